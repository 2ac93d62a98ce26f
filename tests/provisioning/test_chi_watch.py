"""`provision watch`: results are here before the device is gone."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.agents import wait_for
from tests.chi_at_edge.state import AGENT_IMAGE, Testbed
from tests.home import Home

UP = ("up", "--lease", "demo", "--name", "edge1", "--image", AGENT_IMAGE, "--model", "none", "--allow-commands")


def test_results_are_fetched_until_the_lease_ends(student: Home, testbed: Testbed, tmp_path: Path) -> None:
    """What ended comes at once, what runs comes before the end; a second watch fetches nothing twice."""
    assert student.provision(*UP).returncode == 0
    bench = student.client("bench", "--model", "digits", "--iterations", "20", "--host", "edge1")
    assert bench.returncode in (0, 8), bench.stderr
    folder = tmp_path / "results"
    command = [str(Path(sys.executable).with_name("provision")), "watch", "edge1", "--every", "1s"]
    command += ["--output-folder", str(folder)]
    watching = subprocess.Popen(command, env=student.environment, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: list(folder.glob("*/result.json")))
    (result,) = folder.glob("*/result.json")
    assert json.loads(result.read_text())["kind"] == "benchmark"
    script = "echo measured; sleep 60"
    job = student.client("run", "--host", "edge1", "--detach", "--", "sh", "-c", script).stdout.strip()
    wait_for(lambda: student.client("jobs", "logs", job, "--host", "edge1").stdout == "measured\n")
    (lease,) = testbed.leases.values()
    lease.end = datetime.now(UTC) + timedelta(seconds=30)
    wait_for(lambda: list(folder.glob("*-unfinished/stdout.log")))
    (log,) = folder.glob("*-unfinished/stdout.log")
    assert log.read_text() == "measured\n"
    lease.end = lease.start
    said = watching.communicate(timeout=60)[1]
    assert (watching.returncode, "edge1 is gone" in said) == (0, True), said
    assert student.provision("down", "edge1").returncode == 0
    assert testbed.left() == ([], [])


def test_what_somebody_took_down_is_not_waited_for(student: Home, testbed: Testbed, tmp_path: Path) -> None:
    """The watch ends and says so."""
    assert student.provision(*UP).returncode == 0
    command = [str(Path(sys.executable).with_name("provision")), "watch", "edge1", "--every", "1s"]
    command += ["--output-folder", str(tmp_path / "results")]
    watching = subprocess.Popen(command, env=student.environment, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(testbed.calls("blazar.list")) > 2)
    assert student.provision("down", "edge1").returncode == 0
    said = watching.communicate(timeout=60)[1]
    assert watching.returncode in (0, 1)
    assert "edge1 is gone" in said or "no deployment 'edge1'" in said
