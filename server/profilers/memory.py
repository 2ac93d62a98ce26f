"""Memory of this process, as the kernel counts it (proc_pid_status(5))."""

import contextlib
from pathlib import Path

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


def resident_bytes() -> int | None:
    """Resident now; None where the kernel does not tell."""
    return _line("VmRSS")


def peak_resident_bytes() -> int | None:
    """Most that was resident since the process began, or since `forget_peak`."""
    return _line("VmHWM")


def forget_peak() -> None:
    """Begin to look for the peak anew, where the kernel lets a process."""
    with contextlib.suppress(OSError):
        CLEAR.write_text(_RESET_PEAK)


def _line(name: str) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        for line in STATUS.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) << 10
    return None
