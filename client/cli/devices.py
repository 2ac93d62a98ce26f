"""`client devices`: what can run models on agents."""

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from client.cli.options import AllHosts, Hosts, OutputForm, chosen, on_each
from client.console import Output, emit, plain_table
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host
from contract.info import RuntimeInfo, RuntimeList


def devices(
    host: Hosts = [],  # noqa: B006
    all_hosts: AllHosts = False,
    output: OutputForm = Output.TABLE,
) -> None:
    """List runtimes and the devices of each, with the reason for those that cannot be used.

    Example: client devices --host edge1
    """
    found: dict[str, RuntimeList] = {}

    def fetch(each: Host) -> None:
        with EdgeClient(each) as client:
            found[each.name] = client.runtimes()

    try:
        on_each(chosen(host, all_hosts), fetch)
    finally:
        emit(
            output,
            document=lambda: {"hosts": {name: each.model_dump(mode="json") for name, each in found.items()}},
            rows=lambda: _rows(found),
            view=lambda: _view(found),
        )


def _rows(found: Mapping[str, RuntimeList]) -> list[dict[str, Any]]:
    return [row for host, each in found.items() for runtime in each.runtimes for row in _runtime_rows(host, runtime)]


def _runtime_rows(host: str, runtime: RuntimeInfo) -> list[dict[str, Any]]:
    common = {"host": host, "runtime": runtime.name, "version": runtime.version, "reads": " ".join(runtime.formats)}
    if not runtime.installed:
        return [{**common, "device": None, "available": False, "detail": "not installed"}]
    return [
        {**common, "device": device.name, "available": device.available, "detail": device.detail}
        for device in runtime.devices or []
    ]


def _view(found: Mapping[str, RuntimeList]) -> RenderableType:
    table = plain_table("host", "runtime", "version", "reads", "device", "", "detail")
    for row in _rows(found):
        sign = Text("ok", "green") if row["available"] else Text("-", "dim")
        cells = [Text(str(row[name] or "-")) for name in ("host", "runtime", "version", "reads", "device")]
        table.add_row(*cells, sign, Text(row["detail"], "" if row["available"] else "dim"))
    return table
