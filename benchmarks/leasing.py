"""From a lease to the first answer, and what an upload costs in memory, on the loopback CHI@Edge."""

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import table
from image_model.catalog import SAMPLES_FOLDER
from provisioning.deployments import Deployment
from provisioning.providers.chi.provider import ChiProvider
from tests.chi_at_edge.service import running_testbed
from tests.chi_at_edge.state import AGENT_IMAGE
from tests.home import Home

IMAGE = str(SAMPLES_FOLDER / "digit-3.png")
UP = ("up", "--lease", "demo", "--name", "edge1", "--image", AGENT_IMAGE, "--model", "none")
MEGABYTE = 1_000_000


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--upload-megabytes", type=int, default=100)
    parser.add_argument("--uploads-to", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.uploads_to:
        print(json.dumps(_upload(Path(arguments.uploads_to))))
        return
    rounds = [_round() for _ in range(arguments.times)]
    rows = [
        (what, *(f"{pick(column):.2f}" for pick in (statistics.median, min, max)))
        for what, column in zip(("up", "first classification", "both", "down"), zip(*rounds, strict=True), strict=True)
    ]
    print(table(["command", "median s", "least s", "most s"], rows))
    with running_testbed() as testbed, tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(arguments.upload_megabytes * MEGABYTE))
        file.flush()
        command = [sys.executable, "-m", "benchmarks.leasing", "--uploads-to", file.name]
        environment = {**os.environ, **testbed.environment()}
        said = json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
        largest = max(len(entry.body) for entry in testbed.log)
    print(
        f"\nuploading {arguments.upload_megabytes} MB took {said['seconds']:.1f} s, raised the peak of memory from "
        f"{said['before_mb']:.0f} to {said['after_mb']:.0f} MB; the largest request had {largest / MEGABYTE:.1f} MB"
    )


def _round() -> tuple[float, float, float, float]:
    with running_testbed() as testbed, tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.environment.update(testbed.environment())
        marks = [time.monotonic()]
        for program, words in (("provision", UP), ("client", ("classify", IMAGE)), ("provision", ("down", "edge1"))):
            done = home.run(program, *words)
            marks.append(time.monotonic())
            if done.returncode:
                raise SystemExit(done.stderr)
        up, classify, down = (after - before for before, after in itertools.pairwise(marks))
        return up, classify, up + classify, down


def _upload(path: Path) -> dict[str, float]:
    """In a process of its own, whose peak of memory is that of the upload."""
    provider = ChiProvider()
    deployment = Deployment("edge1", "chi", {"lease": "demo", "image": AGENT_IMAGE}, "token")
    provider.create(deployment, lambda: None, lambda _: None)
    before_mb, began = _peak_mb(), time.monotonic()
    provider.push(deployment, path, "model.tflite")
    seconds = time.monotonic() - began
    after_mb = _peak_mb()
    provider.destroy(deployment, lambda: None, lambda _: None)
    return {"before_mb": before_mb, "after_mb": after_mb, "seconds": seconds}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE


if __name__ == "__main__":
    main()
