"""Print the table of faults; ends with 1 when a row leaves something allocated, or touched what is not ours.

Every row is a site of its own with a container and an address of somebody else, one `provision up` in which the fault
happens, and `provision down`, twice when the first one says that something is left. `--only TEXT` chooses rows.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from scripts.fault_matrix.cases import Case, every_case
from tests.chi_at_edge.containers import Image, namespaces_work
from tests.chi_at_edge.service import running_testbed
from tests.chi_at_edge.state import Container, Testbed
from tests.home import Home

FOREIGN = "somebody-elses"
MESSAGE_CHARACTERS = 110
TIMEOUT_S = 180


@dataclass(frozen=True)
class Row:
    """How one fault went."""

    name: str
    up: int
    down: str
    message: str
    after_up: str
    left: str
    creates: int
    seconds: float
    clean: bool


def main() -> int:
    """Run the faults and print the table."""
    parser = argparse.ArgumentParser(prog="python -m scripts.fault_matrix", description=__doc__)
    parser.add_argument("--only", default="", help="rows whose name contains this text")
    arguments = parser.parse_args()
    if not namespaces_work():
        print("this machine allows no user namespaces, and the loopback containers need them", file=sys.stderr)
        return 1
    print("| fault | up | message | allocated after up | down | left | creates | s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    rows = []
    for case in every_case():
        if arguments.only in case.name:
            row = run(case)
            rows.append(row)
            words = (row.name, row.up, row.message, row.after_up, row.down, row.left, row.creates, f"{row.seconds:.1f}")
            print("| " + " | ".join(str(word).replace("|", "/") for word in words) + " |", flush=True)
    wrong = [row.name for row in rows if not row.clean]
    print(f"\n{len(rows)} faults, {len(rows) - len(wrong)} of them leave nothing and touch nothing of others")
    for name in wrong:
        print(f"NOT CLEAN: {name}")
    return 1 if wrong else 0


def run(case: Case) -> Row:
    """One row."""
    with tempfile.TemporaryDirectory() as folder, running_testbed() as bed:
        home = Home(Path(folder))
        home.environment.update(bed.environment())
        bed.images["crashing/agent:1"] = _crashing_image(Path(folder))
        _add_foreign(bed)
        began = time.monotonic()
        case.before_up(bed)
        code, said = _up(case, home, bed)
        seconds, after_up = time.monotonic() - began, _own(bed)
        case.before_down(bed)
        first, words = _down(case, home, bed)
        codes = [first]
        if first != 0:
            said = words if code == 0 else said
            bed.knobs.faults.clear()
            case.recover(bed)
            codes.append(home.provision("down", "edge1").returncode)
        left = _own(bed)
        untouched = FOREIGN in bed.left()[0] and any(each.description == FOREIGN for each in bed.addresses.values())
        forgotten = not list((home.folder / "state" / "edgerun" / "deployments").glob("*.json"))
        clean = not left and untouched and forgotten and codes[-1] == 0 and len(bed.calls("zun.create")) <= 1
        shown = [" ".join(kinds) or "nothing" for kinds in (after_up, left)]
        down = ", then ".join(map(str, codes))
        return Row(case.name, code, down, said, shown[0], shown[1], len(bed.calls("zun.create")), seconds, clean)


def _up(case: Case, home: Home, bed: Testbed) -> tuple[int, str]:
    arguments = ["up", "--name", "edge1", "--model", "none", "--image", case.image, *case.lease, *case.arguments]
    return _provision(arguments, {**home.environment, **case.variables}, bed, case.ended_at, case.end)


def _down(case: Case, home: Home, bed: Testbed) -> tuple[int, str]:
    variables = {**home.environment, **case.down_variables}
    return _provision(["down", "edge1", *case.down_arguments], variables, bed, case.down_ended_at, case.end)


def _provision(
    arguments: list[str], environment: dict[str, str], bed: Testbed, ended_at: str | None, end: signal.Signals
) -> tuple[int, str]:
    """Exit code and last words; a signal ends it while the answer to the operation `ended_at` is held back."""
    command = [str(Path(sys.executable).with_name("provision")), *arguments]
    if ended_at is not None:
        bed.knobs.fail(ended_at, None, after=True, delay_s=1.0)
    child = subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # also where we run under nohup
    )
    if ended_at is not None:
        while child.poll() is None and any(fault.times for fault in bed.knobs.faults):
            time.sleep(0.01)
        time.sleep(0.3)
        child.send_signal(end)
    said = child.communicate(timeout=TIMEOUT_S)[1].strip().splitlines()
    errors = [line.removeprefix("provision: ") for line in said if line.startswith("provision: ")]
    message = (errors or said or [""])[-1]
    if "Traceback" in "".join(said):
        message = f"TRACEBACK {message}"
    return child.returncode, message[:MESSAGE_CHARACTERS]


def _own(bed: Testbed) -> list[str]:
    containers, _ = bed.left()
    addresses = [each.address for each in bed.addresses.values() if each.description.startswith("edgerun")]
    leases = [each.name.rpartition("-")[0] for each in bed.leases.values() if each.name.startswith("edgerun-")]
    return [name for name in containers if name != FOREIGN] + addresses + leases


def _crashing_image(folder: Path) -> Image:
    program = folder / "bin" / "server"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho cannot work on this device\nexit 1\n")
    program.chmod(0o755)
    return Image((), {"PATH": f"{program.parent}:{os.defpath}"})


def _add_foreign(bed: Testbed) -> None:
    identifier = str(uuid.uuid4())
    pod = bed.new_pod(identifier, Image((), {}), [], {})
    record = {"uuid": identifier, "name": FOREIGN, "status": "Running", "image": "x", "labels": {}, "addresses": {}}
    bed.containers[identifier] = Container(record, pod, time.monotonic(), None, ())
    bed.allocate(FOREIGN)


if __name__ == "__main__":
    sys.exit(main())
