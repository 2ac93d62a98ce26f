"""Under which circumstances a job runs."""

import functools
import platform
import subprocess
from pathlib import Path

from contract.results import Conditions
from server import __version__
from server.resources import allowed_resources, cpu_model, machine
from server.settings import Settings

GIT_TIMEOUT_S = 5


def conditions_now(settings: Settings) -> Conditions:
    """What holds for this agent now; temperatures come from the telemetry later."""
    root = settings.sensors_root
    allowed = allowed_resources()
    return Conditions(
        device_name=settings.device_name or platform.node(),
        device_type=settings.device_type,
        machine=machine(),
        cpu_model=cpu_model(),
        kernel=platform.release(),
        python=platform.python_version(),
        agent_version=__version__,
        agent_revision=revision(),
        cpus_allowed=allowed.cpus,
        memory_allowed_bytes=allowed.memory_bytes,
        governor=_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        load_average_before=_load_average(root),
        cpu_temperature_before_celsius=None,
        cpu_temperature_after_celsius=None,
    )


@functools.cache
def revision() -> str | None:
    """What `git describe` says of the checkout the agent runs from, None where it was installed from a wheel."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--tags"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _load_average(root: Path) -> float | None:
    text = _text(root / "proc/loadavg")
    return float(text.split()[0]) if text else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except OSError:
        return None
