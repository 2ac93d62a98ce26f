"""Wheels for a device: edgerun's own, made from the one that runs here, and those it needs, for the device."""

import base64
import contextlib
import hashlib
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement
from platformdirs import user_cache_path

from provisioning.errors import ProvisioningError

CHECKOUT = Path(__file__).parents[1]
CONSTRAINTS = "provisioning/constraints.txt"
"""Where a wheel has the constraints; a checkout has them at its top."""
OLDEST_GLIBC_MINOR = 17
OLD_TAGS = {"x86_64": ("manylinux2014", "manylinux_2_12", "manylinux2010", "manylinux_2_5", "manylinux1", "linux")}
DOWNLOAD_TIMEOUT_S = 900


@dataclass(frozen=True)
class Platform:
    """What decides which wheels fit a device."""

    machine: str
    """The machine as `uname -m` names it."""
    python: str
    """Its version, such as 3.11.2."""
    glibc: str
    """Its version, such as 2.36."""

    @property
    def tags(self) -> list[str]:
        """Wheel platforms that run there, newest first."""
        newest = int(self.glibc.split(".")[1])
        modern = [f"manylinux_2_{minor}_{self.machine}" for minor in range(newest, OLDEST_GLIBC_MINOR - 1, -1)]
        return [*modern, *(f"{name}_{self.machine}" for name in OLD_TAGS.get(self.machine, ("manylinux2014", "linux")))]

    def needs(self, lines: list[str], extra: str = "") -> list[str]:
        """Those requirements whose markers hold on the device, without the markers."""
        environment = {
            "python_version": ".".join(self.python.split(".")[:2]),
            "python_full_version": self.python,
            "platform_machine": self.machine,
            "platform_system": "Linux",
            "sys_platform": "linux",
            "os_name": "posix",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "extra": extra,
        }
        wanted = []
        for requirement in map(Requirement, lines):
            if requirement.marker is None or requirement.marker.evaluate(environment):
                requirement.marker = None
                wanted.append(str(requirement))
        return wanted


def make_wheel(folder: Path) -> Path:
    """A wheel of the edgerun that runs here, whether it was installed or is a checkout; raises ProvisioningError."""
    metadata = _metadata_of_checkout() if _is_checkout() else _metadata_of_installed()
    version = HeaderParser().parsestr(metadata["METADATA"])["Version"]
    info, record = f"edgerun-{version}.dist-info", []
    path = folder / f"edgerun-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        about = ((f"{info}/{name}", text.encode()) for name, text in metadata.items())
        for name, content in (*_modules(), *about):
            wheel.writestr(name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(content)}")
        wheel.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,", ""]))
    return path


def constraints() -> str:
    """Exact versions that were tested together, as pip reads them."""
    beside = Path(__file__).with_name("constraints.txt")
    return (beside if beside.exists() else CHECKOUT / "constraints.txt").read_text()


def _modules() -> Iterator[tuple[str, bytes]]:
    for package in _packages():
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise ProvisioningError(f"the package {package} is missing here", hint="install edgerun again")
        root = Path(spec.submodule_search_locations[0])
        for path in sorted(root.rglob("*")):
            name = str(Path(package) / path.relative_to(root))
            if path.is_file() and path.suffix != ".pyc" and name != CONSTRAINTS:
                yield name, path.read_bytes()
    yield CONSTRAINTS, constraints().encode()


def _packages() -> list[str]:
    """The packages that edgerun consists of."""
    if _is_checkout():
        packages: list[str] = _pyproject()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        return packages
    return sorted({file.parts[0] for file in distribution("edgerun").files or () if file.suffix == ".py"})


def _is_checkout() -> bool:
    return (CHECKOUT / "pyproject.toml").is_file()


def _pyproject() -> dict[str, Any]:
    """As it is now: what was noted when edgerun was installed may be older."""
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text())


def _metadata_of_checkout() -> dict[str, str]:
    project = _pyproject()["project"]
    lines = ["Metadata-Version: 2.3", "Name: edgerun", f"Version: {project['version']}"]
    lines += [f"Requires-Python: {project['requires-python']}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in project["dependencies"]]
    for extra, requirements in project["optional-dependencies"].items():
        lines.append(f"Provides-Extra: {extra}")
        for requirement in map(Requirement, requirements):
            own = f"({requirement.marker}) and " if requirement.marker else ""
            requirement.marker = Marker(f"{own}extra == {extra!r}")
            lines.append(f"Requires-Dist: {requirement}")
    scripts = [f"{name} = {target}" for name, target in project["scripts"].items()]
    return _metadata("\n".join([*lines, ""]), "\n".join(["[console_scripts]", *scripts, ""]))


def _metadata_of_installed() -> dict[str, str]:
    installed = distribution("edgerun")
    return _metadata(*(installed.read_text(name) or "" for name in ("METADATA", "entry_points.txt")))


def _metadata(about: str, scripts: str) -> dict[str, str]:
    wheel = "Wheel-Version: 1.0\nGenerator: edgerun\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    return {"METADATA": about, "entry_points.txt": scripts, "WHEEL": wheel}


def download(wheel: Path, platform: Platform, extras: Sequence[str]) -> list[Path]:
    """The wheels that edgerun with these extras needs on a device, fetched as pip is set up here and kept."""
    lines = _requires(wheel)
    requirements = [line for extra in extras for line in platform.needs(lines, extra)]
    pins = platform.needs([line for line in constraints().splitlines() if "==" in line])
    key = hashlib.sha256("\n".join([*platform.tags, platform.python, *requirements, *pins]).encode()).hexdigest()
    folder = user_cache_path("edgerun") / "wheels" / key[:16]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:  # the kept folder appears whole or not at all
            fresh = Path(name) / "wheels"
            _download(fresh, platform, requirements, pins)
            with contextlib.suppress(OSError):  # another provision was faster
                fresh.rename(folder)
    return sorted(folder.glob("*.whl"))


def _download(folder: Path, platform: Platform, requirements: list[str], pins: list[str]) -> None:
    folder.mkdir()
    (folder / "constraints.txt").write_text("\n".join(pins) + "\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--only-binary=:all:", "--python-version", platform.python, "--dest", str(folder)]
    command += [word for tag in platform.tags for word in ("--platform", tag)]
    command += ["--constraint", str(folder / "constraints.txt"), *requirements]
    _run(command, f"the wheels for {platform.machine} could not be fetched", DOWNLOAD_TIMEOUT_S)


def _requires(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    return [str(line) for line in metadata.get_all("Requires-Dist", [])]


def _run(command: list[str], complaint: str, timeout_s: float) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise ProvisioningError(f"{complaint}: not done after {timeout_s:.0f} s") from None
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if "ERROR" in line] or lines
        raise ProvisioningError(f"{complaint}: {errors[-1].strip() if errors else 'no reason given'}")
