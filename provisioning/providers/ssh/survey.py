"""What a device reached by SSH is like, before anything is made there; choice.py says what follows from it."""

import io
import re
from dataclasses import dataclass

from provisioning.errors import ProvisioningError
from provisioning.providers.ssh.connection import Connection
from provisioning.wheels import Platform

INSTALLED_BYTES = 420 * 1024 * 1024
"""The environment with everything in it, unpacked, and a little to work with."""

SCRIPT = b"""
tell() { printf '%s=%s\\n' "$1" "$2"; }
soon() { if command -v timeout >/dev/null 2>&1; then timeout 15 "$@"; else "$@"; fi; }
tell machine "$(uname -m)"
tell bits "$(getconf LONG_BIT 2>/dev/null)"
tell home "$HOME"
tell free_kib "$(df -Pk "$HOME" 2>/dev/null | awk 'NR == 2 {print $4}')"
tell libc "$(getconf GNU_LIBC_VERSION 2>/dev/null)"
[ -w "$HOME" ] && tell writable yes
command -v tar >/dev/null 2>&1 && tell tar yes
for name in python3.11 python3 python3.12 python3.13 python3.14 "$HOME"/.local/bin/python3.1? \\
    "$HOME"/.local/share/uv/python/cpython-3.1?.*/bin/python3 "$HOME"/.pyenv/versions/3.1?.*/bin/python3 \\
    "$HOME"/mini*3/bin/python3; do
    path=$(command -v "$name") || continue
    version=$("$path" -c 'import sys; print(".".join(map(str, sys.version_info[:3])))' 2>/dev/null) || continue
    tell seen "$version"
    "$path" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    tell new "$version"
    "$path" -c 'import ensurepip, venv' 2>/dev/null || continue
    tell python "$path"
    tell version "$version"
    break
done
if command -v docker >/dev/null 2>&1; then
    if answer=$(soon docker version --format '{{.Server.Version}}' 2>&1); then
        tell docker "$answer"
        tell runtimes "$(soon docker info --format '{{range $name, $_ := .Runtimes}}{{$name}} {{end}}' 2>/dev/null)"
    else
        tell no_docker "$(printf %s "${answer:-nothing within 15 s}" | tr '\\n' ' ')"
    fi
fi
"""


@dataclass(frozen=True)
class Python:
    """An interpreter that is new enough and can make virtual environments."""

    path: str
    version: str


@dataclass(frozen=True)
class Docker:
    """A Docker engine that the user who logs in may use."""

    version: str
    runtimes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """A few words for people."""
        return f"Docker {self.version}{' with the nvidia runtime' if 'nvidia' in self.runtimes else ''}"


@dataclass(frozen=True)
class Survey:
    """What was found on a device."""

    machine: str
    """The machine as `uname -m` names it."""
    libc: str
    """Name and version of its C library, such as `glibc 2.36`; empty for one without a name."""
    home: str
    free_bytes: int
    python: Python | None = None
    newest: str | None = None
    """Version of an interpreter that cannot be used, when there is no better one."""
    lacks_venv: bool = False
    """Whether that one is new enough, but cannot make virtual environments."""
    docker: Docker | None = None
    no_docker: str | None = None
    """What its Docker said that cannot be used, None when there is none at all."""
    is_32_bit: bool = False
    """Whether its programs are, whatever its machine is."""
    writable: bool = True
    has_tar: bool = True

    @property
    def glibc_minor(self) -> int | None:
        """The 36 of glibc 2.36; None for another C library."""
        version = re.fullmatch(r"glibc 2\.(\d{1,4})", self.libc)
        return int(version[1]) if version else None

    @property
    def usable_python(self) -> Python:
        """The interpreter; raises ProvisioningError when there is none."""
        if self.python is None:
            raise ProvisioningError("the device has no Python any more that can be used", hint="install it again")
        return self.python

    @property
    def platform(self) -> Platform:
        """What decides which wheels fit, of a device that the agent can be installed on."""
        return Platform(self.machine, self.usable_python.version, self.libc.removeprefix("glibc "))

    @property
    def summary(self) -> str:
        """A line for people."""
        parts = [self.machine, f"Python {self.python.version}" if self.python else "", self.libc]
        parts += [f"{self.free_bytes / 1e9:.1f} GB free", self.docker.summary if self.docker else ""]
        return ", ".join(filter(None, parts))

    def require_space(self, upload_bytes: int) -> None:
        """Raise ProvisioningError when the agent and what is uploaded do not fit."""
        needed = INSTALLED_BYTES + upload_bytes
        if self.free_bytes < needed:
            raise ProvisioningError(
                f"no space on the device: {self.free_bytes / 1e6:.0f} MB are free in {self.home}, "
                f"{needed / 1e6:.0f} MB are needed",
                hint="make room there, or log in as a user whose home is on a larger disk",
            )


def survey(connection: Connection) -> Survey:
    """Look at a device; raises ProvisioningError when it has no shell."""
    out, err = io.BytesIO(), io.BytesIO()
    code = connection.run("sh -s", io.BytesIO(SCRIPT), out, err)
    lines = (line.partition("=") for line in out.getvalue().decode(errors="replace").splitlines())
    facts = {key: value.strip() for key, equals, value in lines if equals}
    if "machine" not in facts:
        said = err.getvalue().decode(errors="replace").strip() or f"exit code {code}"
        raise ProvisioningError(f"{connection.host} gives no shell to work with: {said}")
    return read(facts)


def read(facts: dict[str, str]) -> Survey:
    """What the script told, as it is used here; whatever is missing or makes no sense is not there."""
    free_kib = facts.get("free_kib", "")
    has_python = {"python", "version"} <= facts.keys() and re.fullmatch(r"\d+\.\d+\.\d+", facts["version"])
    return Survey(
        machine=facts.get("machine", ""),
        libc=facts.get("libc", ""),
        home=facts.get("home", ""),
        free_bytes=int(free_kib) * 1024 if free_kib.isdecimal() else 0,
        python=Python(facts["python"], facts["version"]) if has_python else None,
        newest=facts.get("new") or facts.get("seen"),
        lacks_venv="new" in facts,
        docker=Docker(facts["docker"], tuple(facts.get("runtimes", "").split())) if facts.get("docker") else None,
        no_docker=facts.get("no_docker"),
        is_32_bit=facts.get("bits") == "32",
        writable="writable" in facts,
        has_tar="tar" in facts,
    )
