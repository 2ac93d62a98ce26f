"""Wheels for a device: edgerun's own, made from this checkout, and those it needs, for the device's platform."""

import contextlib
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import Requirement
from platformdirs import user_cache_path

from provisioning.errors import ProvisioningError

CHECKOUT = Path(__file__).parents[1]
CONSTRAINTS = CHECKOUT / "constraints.txt"
OLDEST_GLIBC_MINOR = 17
OLD_TAGS = {"x86_64": ("manylinux2014", "manylinux_2_12", "manylinux2010", "manylinux_2_5", "manylinux1", "linux")}
BUILD_TIMEOUT_S = 120
DOWNLOAD_TIMEOUT_S = 900


@dataclass(frozen=True)
class Platform:
    """What decides which wheels fit a device."""

    machine: str
    """As `uname -m` says it."""
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


def build_wheel(folder: Path) -> Path:
    """Make edgerun's wheel from this checkout; raises ProvisioningError."""
    if not (CHECKOUT / "pyproject.toml").is_file():
        raise ProvisioningError("there is no source to make a wheel from", hint="run provision from a checkout")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    _run(command, "edgerun's wheel could not be made", BUILD_TIMEOUT_S, cwd=CHECKOUT)
    (wheel,) = folder.glob("edgerun-*.whl")
    return wheel


def download(wheel: Path, platform: Platform) -> list[Path]:
    """The wheels that the agent needs on a device, fetched as pip is set up here and kept for the next time."""
    requirements = platform.needs(_requires(wheel), extra="server")
    constraints = platform.needs([line for line in CONSTRAINTS.read_text().splitlines() if "==" in line])
    key = hashlib.sha256("\n".join([*platform.tags, platform.python, *requirements, *constraints]).encode()).hexdigest()
    folder = user_cache_path("edgerun") / "wheels" / key[:16]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:  # the kept folder appears whole or not at all
            fresh = Path(name) / "wheels"
            _download(fresh, platform, requirements, constraints)
            with contextlib.suppress(OSError):  # another provision was faster
                fresh.rename(folder)
    return sorted(folder.glob("*.whl"))


def _download(folder: Path, platform: Platform, requirements: list[str], constraints: list[str]) -> None:
    folder.mkdir()
    (folder / "constraints.txt").write_text("\n".join(constraints) + "\n")
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


def _run(command: list[str], complaint: str, timeout_s: float, cwd: Path | None = None) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, cwd=cwd, check=False)
    except subprocess.TimeoutExpired:
        raise ProvisioningError(f"{complaint}: not done after {timeout_s:.0f} s") from None
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if "ERROR" in line] or lines
        raise ProvisioningError(f"{complaint}: {errors[-1].strip() if errors else 'no reason given'}")
