"""What a user is told of a device that is taken away soon."""

from collections.abc import Sequence
from contextlib import suppress

from client.analysis.runs import Run
from client.console import note
from client.durations import format_duration
from client.errors import EdgeError, Refused
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host

SOON_S = 3600.0


def say_lease(client: EdgeClient, needed_s: float | None = None) -> None:
    """Say when the device's lease ends, where that is soon, or before what is asked for can be done.

    Raises EdgeError. Devices that nobody leased, and agents that do not know of leases, say nothing.
    """
    if client.host.provider is None:
        return
    try:
        left_s = client.lease().left_s
    except Refused:
        return
    if left_s is None:
        return
    name, left = client.host.name, format_duration(left_s)
    if needed_s is not None and needed_s > left_s:
        note(f"{name}: its lease ends in {left}, and this takes {format_duration(needed_s)} at least")
        note("  `provision lease extend` gives it more time, then `provision up` again tells the agent")
    elif left_s < SOON_S:
        note(f"{name}: its lease ends in {left}; `provision watch {name}` fetches what is done until then")


def say_leases(run: Run, hosts: Sequence[Host]) -> None:
    """The same of every host of a run; who does not answer says so when it is asked to measure."""
    for host in hosts:
        entries = [entry for entry in run.entries if entry.host == host.name and not entry.settled]
        with suppress(EdgeError), EdgeClient(host) as client:
            say_lease(client, sum(entry.request.spec.duration_s or 0.0 for entry in entries))
