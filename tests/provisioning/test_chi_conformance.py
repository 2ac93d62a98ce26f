"""The promises of conformance.py on CHI@Edge; a crash loses the files there: test_chi_up.py has that as `repair`."""

import signal

import pytest

from tests.chi_at_edge.state import AGENT_IMAGE, Testbed
from tests.home import Home
from tests.provisioning import conformance
from tests.provisioning.conformance import Place


@pytest.fixture
def place(student: Home, testbed: Testbed) -> Place:
    """A leased device."""

    def restart() -> None:
        for container in testbed.containers.values():
            container.pod.restart()

    options = ("--lease", "demo", "--image", AGENT_IMAGE)
    return Place(student, options, {}, restart, lambda: [each for kind in testbed.left() for each in kind])


def test_a_life(place: Place) -> None:
    """From nothing to an agent, through all that a user does with it, and back to nothing."""
    conformance.comes_up_and_classifies(place)
    conformance.tells_how_it_is(place)
    conformance.runs_programs(place)
    conformance.ends_programs(place, signal.SIGINT)
    conformance.ends_programs(place, signal.SIGTERM)
    conformance.moves_files(place)
    conformance.goes_without_a_trace(place)


@pytest.mark.parametrize("delay_s", [0.8, pytest.param(1.5, marks=pytest.mark.slow)])
def test_a_kill_at_any_moment(place: Place, delay_s: float) -> None:
    """See conformance.survives_a_kill."""
    conformance.survives_a_kill(place, delay_s)
