"""`provision watch`: results are here before the device is gone."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.agents import wait_for
from tests.chi_at_edge.state import AGENT_IMAGE, Testbed
from tests.home import Home

UP = ("up", "--lease", "demo", "--name", "edge1", "--image", AGENT_IMAGE, "--model", "none", "--allow-commands")


def test_results_are_fetched_until_the_lease_ends(student: Home, testbed: Testbed, tmp_path: Path) -> None:
    """What ended comes at once, and with the device the watching ends."""
    assert student.provision(*UP).returncode == 0
    bench = student.client("bench", "--model", "digits", "--iterations", "20", "--host", "edge1")
    assert bench.returncode in (0, 8), bench.stderr
    folder = tmp_path / "results"
    command = [str(Path(sys.executable).with_name("provision")), "watch", "edge1", "--every", "1s"]
    command += ["--save", str(folder)]
    watching = subprocess.Popen(command, env=student.environment, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: list(folder.glob("*/result.json")))
    (result,) = folder.glob("*/result.json")
    assert json.loads(result.read_text())["kind"] == "benchmark"
    assert watching.poll() is None
    (lease,) = testbed.leases.values()
    lease.end = lease.start
    said = watching.communicate(timeout=60)[1]
    assert (watching.returncode, "edge1 is gone" in said, "lost" in said) == (0, True, False), said
    assert student.provision("down", "edge1").returncode == 0
    assert testbed.left() == ([], [])


STEPS = """import datetime, os, time
for step in range(9000):
    now = datetime.datetime.now(datetime.UTC).isoformat()
    print(now, flush=True)
    with open(os.environ["OUTPUT"] + "/steps.txt", "a") as file:
        file.write(now + "\\n")
    with open(os.environ["OUTPUT"] + "/newest.txt", "w") as file:
        file.write(now)
    time.sleep(0.2)
"""


@pytest.mark.parametrize("stop", ["5s", pytest.param("0s", marks=pytest.mark.slow)])
def test_a_job_that_outlasts_its_lease(student: Home, testbed: Testbed, tmp_path: Path, stop: str) -> None:
    """Of half an hour on a lease that ends before: all until the last 10 s is here, and the rest is said to be lost."""
    assert student.provision(*UP).returncode == 0
    (lease,) = testbed.leases.values()
    jobs = []
    for words in (("python", "-c", STEPS), ("true",)):
        run = student.client("run", "--host", "edge1", "--detach", "--timeout", "45m", "--", *words)
        assert run.returncode == 0, run.stderr
        jobs.append(run.stdout.strip())
    folder = tmp_path / "results"
    lease.end = datetime.now(UTC) + timedelta(seconds=45)
    command = [str(Path(sys.executable).with_name("provision")), "watch", "edge1", "--every", "5s", "--lead", "30s"]
    command += ["--stop", stop, "--save", str(folder)]
    done = subprocess.run(command, env=student.environment, capture_output=True, text=True, timeout=180, check=False)
    assert (done.returncode, "edge1 is gone" in done.stderr) == (0, True), done.stderr
    assert "the lease ends in" in done.stderr
    assert re.search(rf"{jobs[1]} \(true\) is queued and will not be done", done.stderr), done.stderr
    here = folder / (jobs[0] if stop == "5s" else f"{jobs[0]}-unfinished")
    for file in (here / "stdout.log", here / "artifacts" / "steps.txt", here / "artifacts" / "newest.txt"):
        newest = datetime.fromisoformat(file.read_text().split()[-1])
        assert lease.end - newest < timedelta(seconds=10), (file, done.stderr)
    assert (here / "telemetry.csv").exists()
    if stop == "5s":
        assert json.loads((here / "job.json").read_text())["state"] == "cancelled"
        assert (here / "result.json").exists()
        assert "was ended, as its device is taken away now" in done.stderr
        assert not list(folder.glob("*-unfinished"))
    else:
        assert f"was running and is lost; what it had left until shortly before is in {here}" in done.stderr
        assert f"{jobs[1]} (true) was queued and is lost" in done.stderr
    assert student.provision("down", "edge1").returncode == 0


def test_what_somebody_took_down_is_not_waited_for(student: Home, testbed: Testbed, tmp_path: Path) -> None:
    """The watch ends and says so."""
    assert student.provision(*UP).returncode == 0
    command = [str(Path(sys.executable).with_name("provision")), "watch", "edge1", "--every", "1s"]
    command += ["--save", str(tmp_path / "results")]
    watching = subprocess.Popen(command, env=student.environment, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(testbed.calls("blazar.list")) > 2)
    assert student.provision("down", "edge1").returncode == 0
    said = watching.communicate(timeout=60)[1]
    assert watching.returncode in (0, 1)
    assert "edge1 is gone" in said or "no deployment 'edge1'" in said


def test_the_agent_knows_when_its_lease_ends(student: Home, testbed: Testbed, tmp_path: Path) -> None:
    """From `up` on; `watch` tells it of an extension, and what cannot be done in time is refused with the reason."""
    (lease,) = testbed.leases.values()
    lease.end = datetime.now(UTC) + timedelta(minutes=20)
    assert student.provision(*UP).returncode == 0
    bench = ("bench", "--host", "edge1", "--model", "digits", "--duration", "30m", "--detach")
    refused = student.client(*bench)
    assert refused.returncode != 0
    assert "its lease ends in 19 min" in refused.stderr
    assert "measures for 1800 s, and the device's lease ends in 1" in refused.stderr
    assert "its lease ends in 19 min" in student.client("jobs", "ls", "--host", "edge1").stderr
    lease.end += timedelta(hours=2)
    command = [str(Path(sys.executable).with_name("provision")), "watch", "edge1", "--every", "1s"]
    watching = subprocess.Popen(
        [*command, "--save", str(tmp_path / "results")], env=student.environment, stderr=subprocess.DEVNULL
    )
    assert student.provision(*UP).returncode == 0  # an `up` again tells it too
    assert student.client(*bench).returncode == 0
    lease.end -= timedelta(hours=2)
    wait_for(lambda: student.client("jobs", "ls", "--host", "edge1").stderr.count("its lease ends in") == 1)
    assert student.provision("down", "edge1").returncode == 0
    assert watching.wait(timeout=60) in (0, 1)


def test_up_leaves_a_watcher_running(student: Home, testbed: Testbed, tmp_path: Path) -> None:
    """One, however often it is asked for; it ends with its deployment, and its log says what it did."""
    folder = tmp_path / "saved"
    for said in (f"results are fetched into {folder}", "are fetched already"):
        up = student.provision(*UP, "--watch", str(folder), EDGERUN_WATCH_EVERY="1s")
        assert (up.returncode, said in up.stderr) == (0, True), up.stderr
    second = student.provision("watch", "edge1")
    assert (second.returncode, "another provision watches edge1 already" in second.stderr) == (1, True), second.stderr
    assert student.client("run", "--host", "edge1", "--detach", "--", "sh", "-c", "echo done").returncode == 0
    log = student.folder / "state" / "edgerun" / "watch" / "edge1.log"
    wait_for(lambda: list(folder.glob("*/stdout.log")), timeout_s=120)
    assert student.provision("down", "edge1").returncode == 0
    wait_for(lambda: "edge1 is gone" in log.read_text() or "no deployment 'edge1'" in log.read_text(), timeout_s=120)
