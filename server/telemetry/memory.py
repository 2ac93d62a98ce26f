"""Memory and swap of the whole machine."""

from server.telemetry.series import Group, Reading, SystemFile, Tree, absent, gauge

MEMINFO = "proc/meminfo"
KIB = 1024


def discover(tree: Tree) -> list[Group]:
    """What /proc/meminfo says. Used is what is not available: caches that can be dropped are not in use."""
    source = f"/{MEMINFO}"
    memory = [
        gauge("memory_used_bytes", "bytes", source),
        gauge("memory_available_bytes", "bytes", source),
        gauge("memory_total_bytes", "bytes", source),
    ]
    swap = [gauge("memory_swap_used_bytes", "bytes", source)]
    fields = _fields((tree.text(MEMINFO) or "").encode())
    if b"MemTotal" not in fields:
        return [absent(f"{source} cannot be read", *memory, *swap)]
    opened = tree.file(MEMINFO)
    if b"MemAvailable" not in fields:
        return [absent("the kernel is older than 3.14: no MemAvailable", *memory), Group(swap, lambda: _swap(opened))]
    return [Group([*memory, *swap], lambda: _all(opened))]


def _fields(content: bytes) -> dict[bytes, float]:
    fields = {}
    for line in content.splitlines():
        name, _, value = line.partition(b":")
        if name in (b"MemTotal", b"MemAvailable", b"SwapTotal", b"SwapFree"):
            fields[name] = float(value.split()[0]) * KIB
    return fields


def _all(opened: SystemFile) -> list[Reading]:
    fields = _fields(opened.read())
    total, available = fields[b"MemTotal"], fields[b"MemAvailable"]
    return [total - available, available, total, _swap_used(fields)]


def _swap(opened: SystemFile) -> list[Reading]:
    return [_swap_used(_fields(opened.read()))]


def _swap_used(fields: dict[bytes, float]) -> Reading:
    """None where the kernel was built without swap."""
    return fields[b"SwapTotal"] - fields[b"SwapFree"] if b"SwapTotal" in fields else None
