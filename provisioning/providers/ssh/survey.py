"""What a device reached by SSH is like, before anything is made there: whether the agent can run on it at all."""

import io
import re
from dataclasses import dataclass

from provisioning.errors import ProvisioningError
from provisioning.providers.ssh.connection import Connection
from provisioning.wheels import Platform

MACHINES = ("x86_64", "aarch64")
INSTALLED_BYTES = 420 * 1024 * 1024
"""The environment with everything in it, unpacked, and a little to work with."""
GLIBC_MINOR = 34
"""What the wheels of ai-edge-litert really need: Debian 12, Ubuntu 22.04."""

SCRIPT = b"""
tell() { printf '%s=%s\\n' "$1" "$2"; }
tell machine "$(uname -m)"
tell home "$HOME"
tell free_kib "$(df -Pk "$HOME" 2>/dev/null | awk 'NR == 2 {print $4}')"
tell libc "$(getconf GNU_LIBC_VERSION 2>/dev/null)"
[ -w "$HOME" ] && tell writable yes
command -v tar >/dev/null 2>&1 && tell tar yes
for name in python3.11 python3 python3.12 python3.13; do
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
"""


@dataclass(frozen=True)
class Survey:
    """A device that the agent can run on."""

    home: str
    python: str
    """Path of an interpreter that is new enough and can make virtual environments."""
    platform: Platform
    free_bytes: int

    @property
    def summary(self) -> str:
        """A line for people."""
        free = f"{self.free_bytes / 1e9:.1f} GB free"
        return f"{self.platform.machine}, Python {self.platform.python}, glibc {self.platform.glibc}, {free}"

    def require_space(self, upload_bytes: int) -> None:
        """Raise ProvisioningError when the agent and what is uploaded do not fit."""
        needed = INSTALLED_BYTES + upload_bytes
        if self.free_bytes < needed:
            raise ProvisioningError(
                f"no space on the device: {self.free_bytes / 1e6:.0f} MB are free in {self.home}, "
                f"{needed / 1e6:.0f} MB are needed",
                hint="make room there, or log in as a user whose home is on a larger disk",
            )


def survey(connection: Connection, name: str) -> Survey:
    """Look at a device; raises ProvisioningError for the first thing that is missing there."""
    out, err = io.BytesIO(), io.BytesIO()
    code = connection.run("sh -s", io.BytesIO(SCRIPT), out, err)
    lines = (line.partition("=") for line in out.getvalue().decode(errors="replace").splitlines())
    facts = {key: value for key, equals, value in lines if equals}
    if "machine" not in facts:
        said = err.getvalue().decode(errors="replace").strip() or f"exit code {code}"
        raise ProvisioningError(f"{connection.host} gives no shell to work with: {said}")
    problem = _machine(facts) or _python(facts) or _home(facts)
    if problem:
        raise ProvisioningError(f"{name} cannot run on this device: {problem[0]}", hint=problem[1])
    platform = Platform(facts["machine"], facts["version"], facts["libc"].removeprefix("glibc "))
    found = Survey(facts["home"], facts["python"], platform, int(facts["free_kib"] or 0) * 1024)
    return found


def _machine(facts: dict[str, str]) -> tuple[str, str] | None:
    machine = facts["machine"]
    if machine not in MACHINES:
        return f"it is {machine}", f"the runtimes have wheels for {' and '.join(MACHINES)}: install a 64-bit system"
    version = re.fullmatch(r"glibc 2\.(\d+)", facts.get("libc", ""))
    if version is None or int(version[1]) < GLIBC_MINOR:
        hint = "the runtimes need what Debian 12, Ubuntu 22.04 or newer bring"
        return f"its C library is {facts.get('libc') or 'not glibc'}, and glibc 2.{GLIBC_MINOR} is needed", hint
    return None


def _python(facts: dict[str, str]) -> tuple[str, str] | None:
    if "python" in facts:
        return None
    if "new" in facts:
        hint = "on Debian and Ubuntu: sudo apt-get install python3-venv"
        return f"its Python {facts['new']} cannot make virtual environments", hint
    if "seen" in facts:
        return f"its Python is {facts['seen']}, and 3.11 or newer is needed", "Debian 12 and Ubuntu 24.04 bring one"
    return "it has no Python", "on Debian and Ubuntu: sudo apt-get install python3 python3-venv"


def _home(facts: dict[str, str]) -> tuple[str, str] | None:
    if "writable" not in facts:
        return f"the home folder {facts['home']} cannot be written", "log in as a user with a home folder"
    if "tar" not in facts:
        return "it has no tar", "install tar"
    return None
