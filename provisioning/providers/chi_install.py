"""The agent in a container whose image does not have it: a wheel of this edgerun, installed in an environment there."""

import base64
import hashlib
import io
import zipfile
from importlib.metadata import Distribution, distribution
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from provisioning.errors import ProvisioningError
from provisioning.provider import Report
from provisioning.providers.chi_containers import Containers
from provisioning.providers.chi_files import Files
from provisioning.providers.chi_processes import run_detached

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
"""Exact versions that were tested together, where edgerun runs from its checkout."""
PACKAGES = ("contract", "image_model", "server", "client", "provisioning")
INSTALL_TIMEOUT_S = 1800.0
"""A Raspberry Pi unpacks slowly."""
INSTALL = """
set -e
test -x venv/bin/python || python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall "$1"
if [ -f constraints.txt ]; then set -- -c constraints.txt; else set --; fi
venv/bin/python -m pip install --quiet --disable-pip-version-check "$@" 'edgerun[server]'
touch installed
"""


def install_agent(containers: Containers, container: str, folder: str, report: Report) -> None:
    """Upload edgerun and install it with what it needs; raises ProvisioningError with pip's last words."""
    report("the image has no agent: installing it, which takes minutes on a small board")
    with TemporaryDirectory() as scratch:
        wheel = make_wheel(Path(scratch))
        files = Files(containers, container, folder)
        files.push(wheel, f"{folder}/")
        if CONSTRAINTS.is_file():
            files.push(CONSTRAINTS, f"{folder}/")
        words = ["sh", "-c", INSTALL, "sh", wheel.name]
        said = io.BytesIO()
        code = run_detached(containers, container, folder, words, out=said, err=said, timeout_s=INSTALL_TIMEOUT_S)
    if code != 0:
        lines = said.getvalue().decode(errors="replace").strip().splitlines() or [f"it ended with {code}"]
        hint = "it needs Python 3.11 and a package index that the device can reach; else give an --image with the agent"
        raise ProvisioningError(f"the agent could not be installed: {lines[-1]}", hint=hint)


def make_wheel(folder: Path) -> Path:
    """A wheel of the edgerun that runs here, whether it was installed or is a checkout; raises ProvisioningError."""
    installed = distribution("edgerun")
    info = f"edgerun-{installed.version}.dist-info"
    path = folder / f"edgerun-{installed.version}-py3-none-any.whl"
    record = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in (*_modules(), *_metadata(installed, info)):
            wheel.writestr(name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(content)}")
        wheel.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,", ""]))
    return path


def _modules() -> list[tuple[str, bytes]]:
    found = []
    for package in PACKAGES:
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise ProvisioningError(f"the package {package} is missing here", hint="install edgerun again")
        root = Path(spec.submodule_search_locations[0])
        files = (path for path in sorted(root.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
        found += [(str(Path(package) / path.relative_to(root)), path.read_bytes()) for path in files]
    return found


def _metadata(installed: Distribution, info: str) -> list[tuple[str, bytes]]:
    wheel = "Wheel-Version: 1.0\nGenerator: edgerun\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    texts = {name: installed.read_text(name) or "" for name in ("METADATA", "entry_points.txt")}
    return [(f"{info}/{name}", text.encode()) for name, text in {**texts, "WHEEL": wheel}.items()]
