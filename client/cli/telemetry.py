"""`client telemetry`: what the sensors of devices say, live."""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from client.analysis.readings import STALE_BEATS, Reading, readings, unavailable
from client.cli.options import AllHosts, Hosts, Interval, OutputForm, checked_interval, chosen, on_each
from client.console import SCHEMA_VERSION, Output, complain, emit, live_console, plain_table, until_the_reader_leaves
from client.errors import EdgeError
from client.sdk.edge_client import AsyncEdgeClient, EdgeClient
from client.sdk.hosts import Host
from client.terminal import json_text
from contract.tables import csv_line
from contract.telemetry import DEFAULT_INTERVAL_S, TelemetrySample

REFRESH_INTERVAL_S = 0.25


@dataclass
class Device:
    """What is known of one device now."""

    host: Host
    sample: TelemetrySample | None = None
    before: TelemetrySample | None = None
    heard_s: float = 0.0
    """When the sample came, by this machine's monotonic clock."""
    error: EdgeError | None = None

    def take(self, sample: TelemetrySample) -> None:
        """The next sample."""
        self.before, self.sample, self.heard_s = self.sample, sample, time.monotonic()

    def silent_s(self, interval_s: float) -> float | None:
        """Seconds since the last sample, when it is too old to be the present; None while it is fresh."""
        age_s = time.monotonic() - self.heard_s
        return age_s if self.sample is not None and age_s > STALE_BEATS * interval_s else None


def telemetry(
    host: Hosts = [],  # noqa: B006
    all_hosts: AllHosts = False,
    interval: Interval = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Show the present and end.")] = False,
    output: OutputForm = Output.TABLE,
) -> None:
    """Show temperatures, load, clocks, memory, disk, network and power of devices.

    A live view on a terminal until Ctrl-C; elsewhere, and with -o json, one JSON line a sample.

    Example: client telemetry --host edge1 --once
    """
    hosts = chosen(host, all_hosts)
    interval_s = max(checked_interval(interval), DEFAULT_INTERVAL_S)
    if once:
        _show_once(hosts, output)
    elif output is Output.TABLE and sys.stdout.isatty():
        asyncio.run(_show_live(hosts, interval_s))
    else:
        write = _csv_writer() if output is Output.CSV else _json_writer()
        with until_the_reader_leaves():
            asyncio.run(_stream(hosts, interval_s, write))


def _show_once(hosts: Sequence[Host], output: Output) -> None:
    devices: list[Device] = []

    def look(each: Host) -> None:
        device = Device(each)
        with EdgeClient(each) as client:
            if output is Output.TABLE:
                for sample in client.telemetry_stream():  # two, because a counter says something over a time only
                    device.take(sample)
                    if device.before is not None:
                        break
            else:
                device.take(client.telemetry())
        devices.append(device)

    try:
        on_each(hosts, look)
    finally:
        known = [(device.host.name, device.sample) for device in devices if device.sample is not None]
        emit(
            output,
            document=lambda: {"hosts": {name: sample.model_dump(mode="json") for name, sample in known}},
            rows=lambda: [row for name, sample in known for row in _rows(name, sample)],
            view=lambda: Group(devices_view(devices, DEFAULT_INTERVAL_S), *map(missing_view, devices)),
        )


async def _show_live(hosts: Sequence[Host], interval_s: float) -> None:
    from rich.live import Live

    devices = [Device(host) for host in hosts]
    tasks = [asyncio.create_task(_feed(device, interval_s)) for device in devices]
    told: set[str] = set()
    with Live(console=live_console(), auto_refresh=False) as screen:
        while not all(task.done() for task in tasks):
            for device in devices:
                if device.sample is not None and device.host.name not in told:
                    told.add(device.host.name)  # above the live part, where it stays and takes no room
                    screen.console.print(missing_view(device))
            screen.update(devices_view(devices, interval_s), refresh=True)
            await asyncio.sleep(REFRESH_INTERVAL_S)
    _raise_if_all_failed(devices)


async def _feed(device: Device, interval_s: float) -> None:
    try:
        async with AsyncEdgeClient(device.host) as client:
            async for sample in client.telemetry_stream(interval_s):
                device.take(sample)
    except EdgeError as error:
        device.error = error


Write = Callable[[str, TelemetrySample, bool], None]
"""Takes host, sample, and whether it is the host's first."""


async def _stream(hosts: Sequence[Host], interval_s: float, write: Write) -> None:
    devices = [Device(host) for host in hosts]

    async def follow(device: Device) -> None:
        try:
            async with AsyncEdgeClient(device.host) as client:
                async for sample in client.telemetry_stream(interval_s):
                    write(device.host.name, sample, device.sample is None)
                    device.take(sample)
        except EdgeError as error:
            device.error = error
            if len(devices) > 1:
                complain(error, "client")

    await asyncio.gather(*map(follow, devices))
    _raise_if_all_failed(devices)


def _raise_if_all_failed(devices: Sequence[Device]) -> None:
    for device in devices:
        if device.error is not None:
            raise device.error


def _json_writer() -> Write:
    def write(host: str, sample: TelemetrySample, first: bool) -> None:
        told = sample if first else sample.model_copy(update={"info": {}})
        line = {"schema_version": SCHEMA_VERSION, "host": host, **told.model_dump(mode="json")}
        print(json_text(line), flush=True)

    return write


def _csv_writer() -> Write:
    begun = False

    def write(host: str, sample: TelemetrySample, first: bool) -> None:
        nonlocal begun
        rows = _rows(host, sample)
        if rows and not begun:
            begun = True
            print(csv_line(rows[0]), end="")
        print("".join(csv_line(row.values()) for row in rows), end="", flush=True)

    return write


def _rows(host: str, sample: TelemetrySample) -> list[dict[str, Any]]:
    """A row a value: hosts need not have the same sensors."""
    common = {"host": host, "at": sample.at.isoformat(), "t_s": sample.t_s}
    units = {key: info.unit for key, info in sample.info.items()}
    return [
        {**common, "series": key, "value": value, "unit": units.get(key, "")} for key, value in sample.values.items()
    ]


def devices_view(devices: Sequence[Device], interval_s: float) -> RenderableType:
    """All devices below each other."""
    return Group(*(_device_view(device, interval_s) for device in devices))


def _device_view(device: Device, interval_s: float) -> RenderableType:
    heading = Text(device.host.name, "bold")
    if device.error is not None:
        return Group(heading, Text(str(device.error), "bold red"))
    if device.sample is None:
        return Group(heading, Text("waiting for the first sample", "dim"))
    silent_s = device.silent_s(interval_s)
    heading.append(f"  {device.sample.at:%H:%M:%S %Z}", "dim")
    if silent_s is not None:
        heading.append(f"  stale: nothing came for {silent_s:.0f} s", "bold yellow")
    table = plain_table("", "")
    table.show_header = False
    groups: dict[str, list[str]] = {}
    for reading in readings(device.sample, device.before):
        groups.setdefault(reading.group, []).append(_reading_text(reading))
    for group, texts in groups.items():
        table.add_row(Text(group, "bold"), Text(", ".join(texts)), style="dim" if silent_s else None)
    table.columns[1].no_wrap, table.columns[1].overflow = False, "fold"
    return Group(heading, table)


def _reading_text(reading: Reading) -> str:
    labelled = ", ".join(f"{label} {value}" for label, value in reading.values.items() if label)
    plain = reading.values.get("")
    if plain is None:
        return f"{reading.name} {labelled}"
    return f"{reading.name} {plain}" + (f" ({labelled})" if labelled else "")


def missing_view(device: Device) -> RenderableType:
    """What a device does not measure, each reason once."""
    reasons = unavailable(device.sample) if device.sample is not None else {}
    lines = [f"{device.host.name}: no {', '.join(metrics)}: {reason}" for reason, metrics in reasons.items()]
    return Group(*(Text(line, "dim") for line in lines))
