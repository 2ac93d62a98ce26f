"""A GPU, variables and devices for an agent on CHI@Edge: `--runtime`, `--env`, `--device-profile`."""

import json
import re
from typing import Any

import pytest

from provisioning.providers.chi.containers import Containers
from provisioning.providers.chi.session import open_site
from tests.chi_at_edge.state import AGENT_IMAGE, Testbed
from tests.home import Home
from tests.provisioning.trial import NOTHING, Trial, creates

UP = ("up", "--lease", "demo", "--name", "edge1", "--image", AGENT_IMAGE, "--model", "none")
OPTIONS = ("--runtime", "nvidia", "--env", "EDGERUN_DEVICE=AUTO", "--env", "SAID=a=b c")
PROFILES = ("--device-profile", "camera", "--device-profile", "pi_sensehat")


def created(testbed: Testbed) -> dict[str, Any]:
    """The one create call's body."""
    (call,) = testbed.calls("zun.create")
    body: dict[str, Any] = json.loads(call.body)
    return body


def test_runtime_variables_and_profiles_reach_the_container(student: Home, testbed: Testbed) -> None:
    """Zun is asked for them, a program there sees the variables, and a second `up` with the same changes nothing."""
    done = student.provision(*UP, *OPTIONS, *PROFILES)
    assert done.returncode == 0, done.stderr
    body = created(testbed)
    assert (body["runtime"], body["device_profiles"]) == ("nvidia", ["pi_camera", "pi_sensehat"])
    assert (body["environment"]["EDGERUN_DEVICE"], body["environment"]["SAID"]) == ("AUTO", "a=b c")
    assert "EDGERUN_TOKEN_SHA256" in body["environment"]
    seen = student.provision("exec", "edge1", "--", "sh", "-c", 'echo "$SAID" "$NVIDIA_VISIBLE_DEVICES"')
    assert seen.stdout == "a=b c all\n", seen.stderr
    assert "is up already" in student.provision(*UP, *OPTIONS, *PROFILES).stderr
    other = student.provision(*UP, "--runtime", "nvidia", "--env", "SAID=something else")
    assert (other.returncode, "exists already" in other.stderr) == (1, True), other.stderr
    assert student.provision("down", "edge1").returncode == 0
    assert testbed.left() == NOTHING
    assert creates(testbed) == (1, 1)


def test_a_dry_run_shows_them(student: Home, testbed: Testbed) -> None:
    """By the names that the site will be given."""
    done = student.provision(*UP, *OPTIONS, *PROFILES, "--dry-run")
    assert re.search(r"^runtime +nvidia$", done.stdout, re.MULTILINE), done.stderr
    assert re.search(r"^profiles +pi_camera, pi_sensehat$", done.stdout, re.MULTILINE)
    assert re.search(r"^variables +EDGERUN_DEVICE=AUTO, SAID=a=b c$", done.stdout, re.MULTILINE)
    assert not testbed.calls("zun.create")


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        (("--env", "SAID"), 2, "NAME=VALUE"),
        (("--env", "1ST=a"), 2, "NAME=VALUE"),
        (("--env", "EDGERUN_PORT=1"), 1, "give --port instead"),
        (("--env", "EDGERUN_ALLOW_COMMANDS=on"), 1, "give --allow-commands instead"),
        (("--env", "EDGERUN_TOKEN_SHA256=0"), 1, "every deployment gets its own"),
        (("--runtime", "nvida"), 1, "there is nvidia, for Jetsons"),
    ],
)
def test_what_cannot_be_given_is_refused_with_the_reason(
    student: Home, testbed: Testbed, options: tuple[str, ...], code: int, complaint: str
) -> None:
    """Before anything is made: the site would take a wrong runtime without a word."""
    done = student.provision(*UP, *options)
    assert (done.returncode, complaint in done.stderr) == (code, True), done.stderr
    assert not testbed.calls("zun.create")
    assert student.hosts.hosts() == {}


def test_a_profile_that_the_site_does_not_have_is_named(logged_in: Testbed) -> None:
    """The container ends in Error, with the site's words and what to do."""
    trial = Trial(logged_in, **{"device-profile": ["vcio"]})
    error = trial.fails("Missing mapping for device_profile 'vcio'")
    assert "helpdesk" in str(error.hint)


def test_the_site_on_loopback_has_no_host_for_another_runtime(logged_in: Testbed) -> None:
    """As upstream's scheduler."""
    lease = next(iter(logged_in.leases.values()))
    containers = Containers(open_site())
    made = containers.create("other", "me", next(iter(lease.reservations)), {"image": AGENT_IMAGE, "runtime": "kata"})
    with pytest.raises(Exception, match="There are not enough hosts available"):
        containers.wait_until_running(made.id, print)
    containers.delete(made.id)
