"""`provision lease` and `provision devices`, as users type them, against the site on loopback."""

import json
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from client.sdk.edge_client import EdgeClient
from tests.agents import wait_for
from tests.chi_at_edge.leases import Lease
from tests.chi_at_edge.state import AGENT_IMAGE, Testbed
from tests.home import Home, Result
from tests.terminals import on_a_terminal

PI = "raspberrypi4-64"
CREATE = ("lease", "create", "--device-type", PI, "--for", "3h", "--name", "mine")
AGENT = ("--image", AGENT_IMAGE, "--model", "none")
NOTHING: tuple[list[str], list[str]] = ([], [])


def done(student: Home, *arguments: str, **variables: str) -> Result:
    """A command that goes well."""
    result = student.provision(*arguments, **variables)
    assert result.returncode == 0, result.stderr
    return result


def started(student: Home, *arguments: str) -> subprocess.Popen[str]:
    command = [str(Path(sys.executable).with_name("provision")), *arguments]
    return subprocess.Popen(command, env=student.environment, stderr=subprocess.PIPE, text=True)


def named(testbed: Testbed, name: str) -> Lease:
    (lease,) = [lease for lease in testbed.leases.values() if lease.name == name]
    return lease


def names(testbed: Testbed) -> list[str]:
    return [lease.name for lease in testbed.leases.values()]


def held_back(testbed: Testbed, operation: str) -> None:
    """Let the answer to the next such call come late, and its effect at once."""
    testbed.knobs.fail(operation, None, after=True, delay_s=3)


def until_asked(testbed: Testbed) -> None:
    wait_for(lambda: not [fault for fault in testbed.knobs.faults if fault.times])
    time.sleep(0.2)


def test_two_devices_of_one_lease_for_two_agents_by_commands_alone(student: Home, testbed: Testbed) -> None:
    """Made, used by two agents that chose at once, shown, extended, and given back."""
    made = json.loads(done(student, *CREATE, "--count", "2", "-o", "json").stdout)["lease"]
    assert (made["status"], made["devices"], len(made["reservations"])) == ("ACTIVE", f"2 {PI}", 2)
    both = [started(student, "up", "--lease", "mine", "--name", name, *AGENT) for name in ("edge1", "edge2")]
    outcomes = [(child.communicate(timeout=120)[1], child.returncode) for child in both]
    assert [code for _, code in outcomes] == [0, 0], outcomes
    assert not any("warning" in said for said, _ in outcomes)
    shown = json.loads(done(student, "lease", "show", "mine", "-o", "json").stdout)["lease"]
    assert sorted(each["containers"] for each in shown["reservations"]) == ["edge1", "edge2"]
    assert (shown["deployments"], len(shown["device_names"])) == ("edge1, edge2", 2)
    refused = student.provision("up", "--lease", "mine", "--name", "edge3", *AGENT)
    assert (refused.returncode, "agents run on all 2 devices" in refused.stderr) == (1, True), refused.stderr
    before = named(testbed, "mine").end
    extended = done(student, "lease", "extend", "mine", "--by", "1h")
    assert named(testbed, "mine").end == before + timedelta(hours=1)
    assert "edge1 may run until" in extended.stderr
    for name in ("edge1", "edge2"):
        with EdgeClient(student.hosts.named(name)) as client:
            assert (client.lease().left_s or 0) > 3.5 * 3600
    kept = student.provision("lease", "delete", "mine")
    assert (kept.returncode, "is used by edge1, edge2" in kept.stderr) == (1, True)
    shared = student.provision("down", "edge1", "--with-lease")
    assert (shared.returncode, "is used by edge2 too" in shared.stderr) == (1, True)
    done(student, "down", "edge1")
    done(student, "down", "edge2", "--with-lease")
    assert (testbed.left(), names(testbed)) == (NOTHING, ["demo"])
    assert "nothing to give back" in done(student, "lease", "delete", "mine").stderr


def test_a_lease_deleted_under_an_agent_is_said(student: Home, testbed: Testbed) -> None:
    """With `--yes`, or the answer on a terminal."""
    done(student, "up", "--lease", "demo", "--name", "edge1", *AGENT)
    code, said = on_a_terminal(student, "provision", "lease", "delete", "demo", typed=b"n\n")
    assert (code, "Lease demo is used by edge1" in said, names(testbed)) == (1, True, ["demo"]), said
    gone = done(student, "lease", "delete", "demo", "--yes")
    assert "`provision down edge1` gives back its address" in gone.stderr
    done(student, "down", "edge1", "--with-lease")
    assert (testbed.left(), names(testbed)) == (NOTHING, [])


@pytest.mark.parametrize(
    ("arguments", "complaint", "advice"),
    [
        (("--device-type", PI, "--count", "4"), f"not enough devices are free for 4 {PI}", "fewer"),
        (("--device-type", "toaster"), "for 1 toaster", "is none of the kinds that `provision devices` lists"),
        (("--device-type", PI, "--name", "demo"), "there is a lease demo already (ACTIVE)", "provision lease delete"),
    ],
)
def test_what_cannot_be_had_is_said(
    student: Home, testbed: Testbed, arguments: tuple[str, ...], complaint: str, advice: str
) -> None:
    """Blazar answers 500 when too little is free, as for faults."""
    refused = student.provision("lease", "create", "--for", "3h", *arguments)
    assert (refused.returncode, complaint in refused.stderr, advice in refused.stderr) == (1, True, True), refused
    assert names(testbed) == ["demo"]


def test_a_spent_allocation_and_too_long_a_lease_are_said(student: Home, testbed: Testbed) -> None:
    """In the site's words, with what to do."""
    testbed.knobs.hours_left = 2.0
    spent = student.provision(*CREATE)
    assert (spent.returncode, "SUs, only 2.00 left" in spent.stderr) == (1, True), spent.stderr
    testbed.knobs.hours_left, testbed.knobs.longest_lease_s = None, 7200
    too_long = student.provision(*CREATE)
    assert "maximum lease duration of 2 h" in too_long.stderr
    assert names(testbed) == ["demo"]


@pytest.mark.parametrize(("status", "delay_s"), [(500, 0.0), (None, 6.0)])
def test_a_lost_answer_loses_no_lease(student: Home, testbed: Testbed, status: int | None, delay_s: float) -> None:
    """It is found by its name, and asked for once."""
    testbed.knobs.fail("blazar.create", status, after=True, delay_s=delay_s)
    made = done(student, *CREATE, EDGERUN_CHI_TIMEOUT="2")
    assert "lease mine is there" in made.stderr
    assert (names(testbed), len(testbed.calls("blazar.create"))) == (["demo", "mine"], 1)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ended_while_it_is_made_no_lease_stays(student: Home, testbed: Testbed, end: signal.Signals) -> None:
    """The request that was under way takes effect all the same."""
    held_back(testbed, "blazar.create")
    child = started(student, *CREATE)
    until_asked(testbed)
    child.send_signal(end)
    said = child.communicate(timeout=60)[1]
    assert (child.returncode, names(testbed)) == (128 + end, ["demo"]), said
    assert "lease mine was given back" in said


def test_ended_while_it_waits_no_lease_stays(student: Home, testbed: Testbed) -> None:
    """Nobody asked for it to start later."""
    testbed.knobs.lease_delay_s = 60
    child = started(student, *CREATE)
    wait_for(lambda: "mine" in names(testbed) and len(testbed.calls("blazar.list")) > 2)
    child.terminate()
    said = child.communicate(timeout=60)[1]
    assert (child.returncode, names(testbed)) == (128 + signal.SIGTERM, ["demo"]), said


def test_ended_again_while_it_undoes_it_says_the_name(student: Home, testbed: Testbed) -> None:
    """And how it goes."""
    held_back(testbed, "blazar.create")
    child = started(student, *CREATE)
    until_asked(testbed)
    held_back(testbed, "blazar.delete")
    child.terminate()
    until_asked(testbed)
    child.terminate()
    said = child.communicate(timeout=60)[1]
    assert child.returncode == 128 + signal.SIGTERM
    assert "there may still be a lease mine: `provision lease delete mine` gives it back" in said


def test_a_lease_that_starts_later_is_not_waited_for(student: Home, testbed: Testbed) -> None:
    """Its times are said in UTC and on this machine's clock; it can be given back before."""
    later = done(student, *CREATE, "--starts", "+2h", TZ="Asia/Kolkata")
    assert "IST)" in later.stdout
    assert "lease mine starts at" in later.stderr
    lease = named(testbed, "mine")
    assert (lease.status, lease.end - lease.start) == ("PENDING", timedelta(hours=3))
    done(student, "lease", "delete", "mine")
    assert names(testbed) == ["demo"]


def test_up_makes_its_lease_and_down_keeps_or_gives_it_back(student: Home, testbed: Testbed) -> None:
    """A second `up` changes nothing; what stays is named with the command that gives it back."""
    up = ("up", "--device-type", PI, "--for", "2h", "--name", "edge1", *AGENT)
    done(student, *up)
    done(student, *up)
    assert len(testbed.calls("blazar.create")) == 1
    (lease,) = [lease for lease in testbed.leases.values() if lease.name.startswith("edgerun-edge1-")]
    assert lease.name in done(student, "status", "-o", "json").stdout
    kept = done(student, "down", "edge1").stderr
    assert f"`provision lease delete {lease.name}` gives it back" in kept
    assert (testbed.left(), names(testbed)) == (NOTHING, ["demo", lease.name])
    done(student, "lease", "delete", lease.name)
    done(student, *up)
    done(student, "down", "edge1", "--with-lease")
    assert (testbed.left(), names(testbed)) == (NOTHING, ["demo"])


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("operation", ["blazar.create", "zun.create"])
def test_up_that_is_ended_leaves_no_lease(student: Home, testbed: Testbed, operation: str, end: signal.Signals) -> None:
    """What asks to end undoes it; after kill -9 `down` does."""
    held_back(testbed, operation)
    child = started(student, "up", "--device-type", PI, "--for", "2h", "--name", "edge1", *AGENT)
    until_asked(testbed)
    child.send_signal(end)
    said = child.communicate(timeout=60)[1]
    if end == signal.SIGKILL:
        done(student, "down", "edge1")
    else:
        assert child.returncode == 128 + end, said
    assert (testbed.left(), names(testbed)) == (NOTHING, ["demo"]), said
    assert done(student, "list", "-o", "csv").stdout.strip() == ""


def test_a_later_step_that_fails_undoes_the_lease(student: Home, testbed: Testbed) -> None:
    """With the rest; a lease that the site does not give back yet goes with the next `down`."""
    testbed.knobs.error_reason = "0/3 nodes are available: Insufficient memory"
    testbed.knobs.fail("blazar.delete", 403)
    failed = student.provision("up", "--device-type", PI, "--for", "2h", "--name", "edge1", *AGENT)
    assert (failed.returncode, "could not be undone" in failed.stderr, len(names(testbed))) == (1, True, 2)
    done(student, "down", "edge1")
    assert (testbed.left(), names(testbed)) == (NOTHING, ["demo"])


def test_only_what_is_leased_has_a_lease_to_give_back(student: Home, testbed: Testbed) -> None:
    """On this machine there is none, and `down` says so before it does anything."""
    done(student, "up", "--on", "local", "--name", "here", "--model", "none")
    refused = student.provision("down", "here", "--with-lease")
    assert (refused.returncode, "here is on local, which is not leased" in refused.stderr) == (1, True)
    assert done(student, "status", "here").returncode == 0
    done(student, "down", "here")


def test_an_extension_that_the_site_refuses_is_said(student: Home, testbed: Testbed) -> None:
    """Somebody has the device afterwards: since when, Blazar does not tell users unless its policy does."""
    lease = named(testbed, "demo")
    later = testbed.add_lease("somebody-elses", status="PENDING", starts_in_s=4.5 * 3600, hours=6)
    for reserved in later.reservations.values():
        reserved.devices = lease.devices
    refused = student.provision("lease", "extend", "demo", "--by", "2h")
    assert (refused.returncode, "another lease has its device by then" in refused.stderr) == (1, True), refused.stderr
    assert "the site does not tell users until when it is free" in refused.stderr
    testbed.knobs.devices_for_users = True
    told = student.provision("lease", "extend", "demo", "--by", "2h")
    assert f"the latest end is {later.start:%Y-%m-%d %H:%M} UTC" in told.stderr
    before = lease.end
    testbed.knobs.hours_left = 0.1
    assert "more SUs, only 0.10 left" in student.provision("lease", "extend", "demo", "--by", "15m").stderr
    assert (lease.end, lease.status) == (before, "ACTIVE")
    lease.end = lease.start
    over = student.provision("lease", "extend", "demo", "--by", "15m")
    assert (over.returncode, "demo is TERMINATED" in over.stderr) == (1, True)


def test_an_extension_whose_answer_is_lost_extends_once(student: Home, testbed: Testbed) -> None:
    """The end is asked for, not an addition."""
    done(student, *CREATE)
    before = named(testbed, "mine").end
    testbed.knobs.fail("blazar.update", 500, after=True)
    done(student, "lease", "extend", "mine", "--by", "1h")
    assert named(testbed, "mine").end == before + timedelta(hours=1)


@pytest.mark.parametrize("columns", [80, 120])
def test_devices_fit_the_terminal_and_claim_nothing(student: Home, testbed: Testbed, columns: int) -> None:
    """Every kind with its hardware; nobody told which are free, so nothing is said of that."""
    listed = done(student, "devices", COLUMNS=str(columns))
    lines = listed.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert max(map(len, done(student, "devices").stdout.splitlines())) < 300  # in a file, as wide as it is
    assert next(line for line in lines if line.startswith(PI)).rstrip().endswith("demo")
    assert any(line.startswith("jetson-nano") and "Jetson Nano" in line for line in lines)
    assert "free" not in listed.stdout
    assert "the site does not tell users which devices are free" in listed.stderr
    assert "kinds as of 20" in listed.stderr


def test_devices_that_the_site_tells_of_are_counted(student: Home, testbed: Testbed) -> None:
    """By kind, and how many no lease has now."""
    testbed.knobs.devices_for_users = True
    rows: list[dict[str, Any]] = json.loads(done(student, "devices", "-o", "json").stdout)["devices"]
    pis = next(row for row in rows if row["kind"] == PI)
    assert (pis["devices"], pis["free_now"], pis["in_your_leases"]) == (4, 3, "demo")
    assert "3 of 4" in done(student, "devices").stdout


def test_devices_are_listed_without_an_account(home: Home) -> None:
    """The kinds are here; what the site would say is not."""
    listed = done(home, "devices")
    assert PI in listed.stdout
    assert "nothing is known from the site: no credentials for CHI@Edge" in listed.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("lease", "create", "--device-type", PI), 2, "--for"),
        (("lease", "create", "--device-type", PI, "--for", "soon"), 2, "'soon' is not a duration"),
        (("lease", "create", "--device-type", PI, "--for", "5s"), 2, "whole minutes"),
        (("lease", "create", "--device-type", PI, "--for", "1h", "--starts", "tomorrow"), 2, "is no time"),
        (("lease", "create", "--device-type", PI, "--for", "1h", "--starts", "2020-01-01"), 2, "is over"),
        (("lease", "create", "--device-type", PI, "--for", "1h", "--name", "a b"), 2, "cannot be a name"),
        (("lease", "create", "--device-type", PI, "--for", "1h", "--count", "0"), 2, "--count"),
        (("lease", "show", "nosuch"), 1, "there are: demo (ACTIVE)"),
        (("lease", "extend", "nosuch", "--by", "1h"), 1, "there are: demo (ACTIVE)"),
        (("up", "--for", "1h", "--name", "edge1"), 1, "--for needs --device-type"),
        (("up", "--for", "1h", "--device-type", PI, "--lease", "demo", "--name", "edge1"), 1, "only one of the two"),
        (("up", "--for", "1m", "--device-type", PI, "--name", "edge1"), 1, "too short for an agent"),
        (("up", "--for", "1x", "--device-type", PI, "--name", "edge1"), 2, "'1x' is not 2h|90m|1d"),
    ],
)
def test_misuse_is_a_line(
    student: Home, testbed: Testbed, arguments: tuple[str, ...], code: int, complaint: str
) -> None:
    """What cannot work is refused before anything is asked for."""
    refused = student.provision(*arguments)
    assert (refused.returncode, complaint in refused.stderr) == (code, True), refused.stderr
    assert "Traceback" not in refused.stderr
    assert (names(testbed), testbed.calls("blazar.create")) == (["demo"], [])
