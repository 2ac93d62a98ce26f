"""The disk under the root or work volume: the whole device, not a partition."""

import re
from collections.abc import Iterator

from server.telemetry.series import Group, Reading, SystemFile, Tree, absent, counter

DISKSTATS = "proc/diskstats"
MOUNTS = "proc/self/mountinfo"
SECTOR_BYTES = 512
"""The bytes of a sector in /proc/diskstats, whatever the device's own are."""
READ_FIELD, WRITTEN_FIELD, IO_TIME_FIELD = 5, 9, 12
PREFERRED_MOUNTS = ("/", "/data", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
"""A container's root is an overlay without a device, but engines mount these files from the disk it lies on."""
_PARTITION = re.compile(r"((?:nvme\d+n|mmcblk|nbd|loop)\d+)p\d+|((?:sd|vd|xvd|hd)[a-z]+)\d+")


def discover(tree: Tree) -> list[Group]:
    """Bytes read and written, and the time in which the device was busy."""
    name = disk_name(tree)
    source = f"/{DISKSTATS}: {name}" if name else f"/{DISKSTATS}"
    infos = [
        counter("disk_read_bytes_total", "bytes", source),
        counter("disk_written_bytes_total", "bytes", source),
        counter("disk_io_time_seconds_total", "seconds", source),
    ]
    if name is None:
        return [absent("no disk of /proc/diskstats is mounted here", *infos)]
    opened = tree.file(DISKSTATS)
    return [Group(infos, lambda: _counters(opened, name.encode()))]


def disk_name(tree: Tree) -> str | None:
    """The disk that holds the root volume, or else the first one that anything is mounted from."""
    devices = {}
    for line in (tree.text(DISKSTATS) or "").splitlines():
        if len(fields := line.split()) > IO_TIME_FIELD:
            devices[f"{fields[0]}:{fields[1]}"] = fields[2]
    for number, source in _mounts(tree):
        name = devices.get(number) or source.removeprefix("/dev/")
        if name in devices.values() and not name.startswith(("loop", "ram", "zram")):
            whole = _whole(name)
            return whole if whole in devices.values() else name
    return None


def _mounts(tree: Tree) -> Iterator[tuple[str, str]]:
    """Device number and source of each mount, the ones we care for first."""
    mounts: list[tuple[str, str, str]] = []
    for line in (tree.text(MOUNTS) or "").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) > 4 and len(kind) > 1:
            mounts.append((fields[4], fields[2], kind[1]))
    rank = {point: position for position, point in enumerate(PREFERRED_MOUNTS)}
    for _, number, source in sorted(mounts, key=lambda mount: rank.get(mount[0], len(rank))):
        yield number, source


def _whole(name: str) -> str:
    partition = _PARTITION.fullmatch(name)
    return name if partition is None else partition[1] or partition[2]


def _counters(opened: SystemFile, name: bytes) -> list[Reading]:
    for line in opened.read_all().splitlines():
        fields = line.split()
        if fields[2] == name:
            read, written = int(fields[READ_FIELD]) * SECTOR_BYTES, int(fields[WRITTEN_FIELD]) * SECTOR_BYTES
            return [float(read), float(written), int(fields[IO_TIME_FIELD]) / 1e3]
    raise KeyError(name)
