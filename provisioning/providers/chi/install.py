"""The agent in a container whose image does not have it: a wheel of this edgerun, installed in an environment there."""

import io
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from provisioning import wheels
from provisioning.errors import ProvisioningError
from provisioning.provider import Report
from provisioning.providers.chi.containers import Containers
from provisioning.providers.chi.files import Files
from provisioning.providers.chi.processes import run_detached

INSTALL_TIMEOUT_S = 1800.0
"""A Raspberry Pi unpacks slowly."""
INSTALL = """
set -e
test -x venv/bin/python || python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall "$1"
venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "edgerun[$2]"
touch installed
"""


def install_agent(containers: Containers, container: str, folder: str, extras: Sequence[str], report: Report) -> None:
    """Upload edgerun and install it with these extras; raises ProvisioningError with pip's last words."""
    report("the image has no agent: installing it, which takes minutes on a small board")
    with TemporaryDirectory() as scratch:
        wheel, pins = wheels.make_wheel(Path(scratch)), Path(scratch) / "constraints.txt"
        pins.write_text(wheels.constraints())
        files = Files(containers, container, folder)
        for path in (wheel, pins):
            files.push(path, f"{folder}/")
        words = ["sh", "-c", INSTALL, "sh", wheel.name, ",".join(extras)]
        said = io.BytesIO()
        code = run_detached(containers, container, folder, words, out=said, err=said, timeout_s=INSTALL_TIMEOUT_S)
    if code != 0:
        lines = said.getvalue().decode(errors="replace").strip().splitlines() or [f"it ended with {code}"]
        hint = "it needs Python 3.11 and a package index that the device can reach; else give an --image with the agent"
        raise ProvisioningError(f"the agent could not be installed: {lines[-1]}", hint=hint)
