"""Pressure: how long at least one task waited for a CPU."""

from server.telemetry.series import MICRO, Group, Tree, absent, counter

PRESSURE = "proc/pressure/cpu"


def discover(tree: Tree) -> list[Group]:
    """The kernel's total of `some`; it grows by up to a second a second."""
    info = counter("pressure_cpu_waiting_seconds_total", "seconds", f"/{PRESSURE}")
    text = tree.text(PRESSURE)
    if not text or not text.startswith("some"):
        return [absent("the kernel does not measure pressure (PSI)", info)]
    opened = tree.file(PRESSURE)
    return [Group([info], lambda: [_total_us(opened.read()) * MICRO])]


def _total_us(content: bytes) -> int:
    some = content.split(b"\n", 1)[0]
    return int(some.rpartition(b"total=")[2])
