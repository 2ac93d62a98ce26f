"""How the agent runs on a device: with its Python, with one that is brought along, in its Docker, or not at all."""

from dataclasses import dataclass
from enum import StrEnum

from provisioning.errors import ProvisioningError
from provisioning.providers.ssh.survey import Survey

GLIBC_MINOR = {"x86_64": 27, "aarch64": 34}
"""What the wheels of the runtimes really need: those of ai-edge-litert for aarch64 say 27, and fail when imported."""
STANDALONE = (
    "--python-archive FILE brings a CPython along that runs from any folder, such as an install_only .tar.gz for "
    "{machine} Linux of the project python-build-standalone"
)


class Way(StrEnum):
    """How an agent runs on a device."""

    NATIVE = "native"
    """Installed into the user's home, with a Python of the device."""
    STANDALONE = "standalone"
    """The same, with a Python that is brought along."""
    DOCKER = "docker"
    """In a container of the device's own engine."""


@dataclass(frozen=True)
class Wishes:
    """What `up` was asked for that decides."""

    archive: bool = False
    """Whether a Python to bring along was given."""
    for_docker: tuple[str, ...] = ()
    """Options that were given and that only Docker understands."""
    offline: bool = False


@dataclass(frozen=True)
class Choice:
    """A way, and why it is not the plain one."""

    way: Way
    why: str | None = None


@dataclass(frozen=True)
class Obstacle:
    """What keeps the agent from being installed, and what to do about it."""

    text: str
    hint: str


def choose(found: Survey, wishes: Wishes, name: str) -> Choice:
    """The way for a device; raises ProvisioningError with the reason and what to do when there is none."""
    if obstacle := _machine(found):  # of which Docker has no image either
        raise _refusal(name, obstacle)
    if wishes.for_docker:
        if found.docker is None:
            asked = " and ".join(f"--{option}" for option in wishes.for_docker)
            hint = f"{_mend(found)}, or leave {asked} out"
            raise _refusal(name, Obstacle(f"{asked} needs Docker there, and {_why_no_docker(found)}", hint))
        return Choice(Way.DOCKER, f"as --{wishes.for_docker[0]} asks, the agent runs in Docker on the device")
    obstacle = _libc(found) or _home(found) or (None if wishes.archive else _python(found))
    if obstacle is None:
        return Choice(Way.STANDALONE if wishes.archive else Way.NATIVE)
    if found.docker is None:
        hint = f"{obstacle.hint}; or use Docker there: {_why_no_docker(found)}, {_mend(found)}"
        raise _refusal(name, Obstacle(obstacle.text, hint))
    if wishes.offline:
        hint = f"{obstacle.hint}; or use Docker there, without --offline or with --image NAME of one that is there"
        raise _refusal(name, Obstacle(obstacle.text, hint))
    return Choice(Way.DOCKER, f"{obstacle.text}: running the agent in Docker on the device")


def _refusal(name: str, obstacle: Obstacle) -> ProvisioningError:
    return ProvisioningError(f"{name} cannot run on this device: {obstacle.text}", hint=obstacle.hint)


def _machine(found: Survey) -> Obstacle | None:
    hint = f"the runtimes have wheels for {' and '.join(GLIBC_MINOR)}: install a 64-bit system"
    if found.machine not in GLIBC_MINOR:
        return Obstacle(f"it is {found.machine}", hint)
    if found.is_32_bit:
        return Obstacle(f"it is {found.machine}, but its system is a 32-bit one", hint)
    return None


def _libc(found: Survey) -> Obstacle | None:
    needed = GLIBC_MINOR[found.machine]
    if found.glibc_minor is not None and found.glibc_minor >= needed:
        return None
    has = f"{found.libc}, too old for" if found.glibc_minor is not None else f"{found.libc or 'not glibc'}, not one of"
    return Obstacle(
        f"its C library is {has} the runtimes (glibc 2.{needed})",
        "no Python that is brought along changes that: Debian 12, Ubuntu 22.04 and newer have what they need",
    )


def _python(found: Survey) -> Obstacle | None:
    if found.python is not None:
        return None
    archive = STANDALONE.format(machine=found.machine)
    if found.newest is None:
        return Obstacle("it has no Python", f"on Debian 12 or newer: sudo apt-get install python3-venv; or {archive}")
    if found.lacks_venv:
        hint = f"on Debian and Ubuntu: sudo apt-get install python3-venv; or {archive}"
        return Obstacle(f"its Python {found.newest} cannot make virtual environments", hint)
    hint = f"`uv python install 3.11` on the device is enough; or {archive}"
    return Obstacle(f"its Python is {found.newest}, and 3.11 or newer is needed", hint)


def _home(found: Survey) -> Obstacle | None:
    if not found.writable:
        return Obstacle(f"the home folder {found.home} cannot be written", "log in as a user with a home folder")
    return None if found.has_tar else Obstacle("it has no tar", "install tar")


def _why_no_docker(found: Survey) -> str:
    return f"its Docker says: {found.no_docker}" if found.no_docker else "it has none"


def _mend(found: Survey) -> str:
    if found.no_docker is None:
        return "install it"
    if "permission denied" in found.no_docker.lower():
        return "let the user use it: sudo usermod -aG docker USER, and log in again"
    return "start it"
