"""Network: what all interfaces but loopback moved, as seen from this process' network namespace."""

from server.telemetry.series import Group, Reading, SystemFile, Tree, absent, counter

DEVICES = "proc/net/dev"
RECEIVED_FIELD, SENT_FIELD = 0, 8
LOOPBACK = b"lo"


def discover(tree: Tree) -> list[Group]:
    """Bytes received and sent, summed over the interfaces."""
    infos = [
        counter("network_received_bytes_total", "bytes", f"/{DEVICES}"),
        counter("network_transmitted_bytes_total", "bytes", f"/{DEVICES}"),
    ]
    lines = (tree.text(DEVICES) or "").splitlines()[2:]
    if not [line for line in lines if line.strip() and line.split(":")[0].strip().encode() != LOOPBACK]:
        return [absent("no network interface but loopback", *infos)]
    opened = tree.file(DEVICES)
    return [Group(infos, lambda: _sums(opened))]


def _sums(opened: SystemFile) -> list[Reading]:
    received = sent = 0
    for line in opened.read_all().splitlines()[2:]:
        name, _, counters = line.partition(b":")
        if name.strip() != LOOPBACK:
            fields = counters.split()
            received += int(fields[RECEIVED_FIELD])
            sent += int(fields[SENT_FIELD])
    return [float(received), float(sent)]
