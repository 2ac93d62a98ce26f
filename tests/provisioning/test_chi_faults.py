"""A site that stumbles: what can be asked again is, so that nothing is undone and nothing is lost by one bad answer."""

import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.errors import ProvisioningError
from provisioning.providers.chi.errors import SiteUnreachable
from tests.chi_at_edge.knobs import Knobs
from tests.chi_at_edge.state import Testbed
from tests.home import Home
from tests.provisioning.test_chi_up import down, up
from tests.provisioning.trial import NOTHING, Trial, creates

KINDS = ("500", "null", "409", "503")


def mostly_slow(always: str) -> list[object]:
    """All kinds, one of them in every run."""
    return [kind if kind == always else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]


def stumble(knobs: Knobs, kind: str, index: int) -> None:
    """Let the site answer one exec call badly: with a status, or before the program's end."""
    if kind == "null":
        knobs.fail("zun.unfinished", None, skip=index)
    else:
        knobs.fail("zun.execute", int(kind), skip=index)


def spent(knobs: Knobs) -> bool:
    """Whether every fault was met."""
    return not [fault for fault in knobs.faults if fault.times]


def at_every_exec(testbed: Testbed, kind: str, at_least: int) -> Iterator[str]:
    """A fault at each exec call of what is done then, one at a time, until there is no such call any more."""
    for index in itertools.count():
        testbed.knobs.faults.clear()
        stumble(testbed.knobs, kind, index)
        yield f"{kind} at exec call {index}"
        if not spent(testbed.knobs):
            break
    assert index >= at_least, f"{kind} was met at {index} calls only"


@pytest.mark.parametrize("kind", mostly_slow("500"))
def test_up_survives_one_bad_answer_at_every_exec(trial: Trial, kind: str) -> None:
    """One container, one address, and nothing left after."""
    for fault in at_every_exec(trial.testbed, kind, at_least=3):
        before = creates(trial.testbed)
        trial.up()
        assert creates(trial.testbed) == (before[0] + 1, before[1] + 1), fault
        trial.down()
        assert trial.testbed.left() == NOTHING, fault


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS])
def test_programs_and_files_survive_one_bad_answer_at_every_exec(trial: Trial, tmp_path: Path, kind: str) -> None:
    """A program runs once, its output comes once, and files arrive whole."""
    trial.up()
    sent, back = tmp_path / "sent", tmp_path / "back"
    sent.write_bytes(bytes(range(256)) * 20_000)

    def work(turn: int) -> None:
        out = io.BytesIO()
        words = ["sh", "-c", "echo ran >>runs; echo said; exit 3"]
        assert trial.provider.exec(trial.deployment, words, out, io.BytesIO()) == 3
        assert out.getvalue() == b"said\n"
        trial.provider.push(trial.deployment, sent, f"there-{turn}")
        trial.provider.pull(trial.deployment, f"there-{turn}", back)
        assert back.read_bytes() == sent.read_bytes()
        back.unlink()

    turns = 0
    for turns, _ in enumerate(at_every_exec(trial.testbed, kind, at_least=12), 1):
        work(turns)
    runs = io.BytesIO()
    trial.testbed.knobs.faults.clear()
    trial.provider.exec(trial.deployment, ["cat", "runs"], runs, io.BytesIO())
    assert runs.getvalue().count(b"ran\n") == turns
    assert trial.provider.exec(trial.deployment, ["sh", "-c", "ls -d .run-* .exec-* .files-*"], runs, runs) == 2
    trial.down()


def test_an_exec_that_the_site_cuts_off_is_resumed(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its program goes on; the line that is told follows it, with all of its output."""
    trial.up()
    monkeypatch.setenv("EDGERUN_CHI_PATIENCE", "0.5")
    trial.testbed.knobs.fail("zun.execute", 503, skip=2, times=1000)
    words = ["sh", "-c", "for i in 1 2 3; do echo beat $i; sleep 1; done; exit 5"]
    with pytest.raises(SiteUnreachable) as cut:
        trial.provider.exec(trial.deployment, words, io.BytesIO(), io.BytesIO())
    told = re.search(r"provision exec --resume edge1 (\w+)$", cut.value.hint or "")
    assert told is not None, cut.value.hint
    trial.testbed.knobs.faults.clear()
    with pytest.raises(ProvisioningError, match="no program nosuch"):
        trial.provider.resume(trial.deployment, "nosuch", io.BytesIO(), io.BytesIO())
    out = io.BytesIO()
    assert trial.provider.resume(trial.deployment, told[1], out, io.BytesIO()) == 5
    assert out.getvalue() == b"beat 1\nbeat 2\nbeat 3\n"
    with pytest.raises(ProvisioningError, match="no program of `provision exec` is left"):
        trial.provider.resume(trial.deployment, None, out, out)
    trial.down()


def test_the_command_resumes_the_only_program(student: Home, testbed: Testbed) -> None:
    """As a user types it; where a program ends with its connection there is nothing to resume."""
    up(student)
    testbed.knobs.fail("zun.execute", 502, skip=2, times=1000)
    cut = student.provision("exec", "edge1", "--", "sh", "-c", "sleep 1; echo done", EDGERUN_CHI_PATIENCE="0.5")
    assert (cut.returncode, "provision exec --resume edge1" in cut.stderr) == (3, True), cut.stderr
    testbed.knobs.faults.clear()
    resumed = student.provision("exec", "--resume", "edge1")
    assert (resumed.returncode, resumed.stdout) == (0, "done\n"), resumed.stderr
    misplaced = student.provision("exec", "edge1", "--resume")
    assert (misplaced.returncode, "options before the name" in misplaced.stderr) == (2, True), misplaced.stderr
    down(student)
