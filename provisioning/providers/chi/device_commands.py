"""`provision devices`: what can be leased at CHI@Edge."""

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from client.console import WIDE, Output, data_console, emit, note, plain_table
from provisioning.errors import ProvisioningError
from provisioning.providers.chi.catalogue import Kind, Told, catalogue, told
from provisioning.providers.chi.leases import OVER, Lease, leases
from provisioning.providers.chi.session import open_site

OutputForm = Annotated[Output, typer.Option("--output", "-o", help="What standard output carries.")]
Row = dict[str, Any]
Answer = Mapping[str, Told] | None


def register(provision: typer.Typer) -> None:
    """Add the command to `provision`."""
    provision.command("devices", epilog="Example: provision devices -o csv")(list_devices)


def list_devices(output: OutputForm = Output.TABLE) -> None:
    """List kinds of devices at CHI@Edge: what they are, and what is known of those that are free.

    The kinds are from the public documentation. How many there are and are free, Blazar tells administrators; where
    it tells users, it is shown.
    """
    live: Iterable[Lease] = ()
    site_tells, problem = None, None
    try:
        site = open_site()
        live, site_tells = [lease for lease in leases(site) if lease.status not in OVER], told(site)
    except ProvisioningError as error:
        problem = error
    rows = [_kind_row(kind, live if problem is None else None, site_tells) for kind in _every_kind(live, site_tells)]
    emit(output, document=lambda: _devices_document(rows), rows=lambda: rows, view=lambda: _devices_view(rows))
    known = catalogue()
    note(f"kinds as of {known.read}, from {known.page}")
    if problem is not None:
        note(f"nothing is known from the site: {problem}")
    elif site_tells is None:
        note("the site does not tell users which devices are free: `provision lease create` finds out")


def _every_kind(live: Iterable[Lease], site_tells: Answer) -> list[Kind]:
    """The documented kinds, and those that the site or a lease names besides."""
    known = catalogue().kinds
    named = [*(site_tells or ()), *(each.device for lease in live for each in lease.devices if each.device)]
    others = sorted(set(named) - {kind.name for kind in known})
    return [*known, *(Kind(name, board="not in the documentation") for name in others)]


def _kind_row(kind: Kind, live: Iterable[Lease] | None, site_tells: Answer) -> Row:
    said: Told | None = (site_tells or {}).get(kind.name)
    held = Counter[str]()
    for lease in live or ():
        held[lease.name] += sum(each.count for each in lease.devices if each.device == kind.name)
    names = (name if count == 1 else f"{name} ({count})" for name, count in held.items() if count)
    return {
        "kind": kind.name,
        "hardware": kind.hardware,
        "runtime": kind.runtime or None,
        "agent": kind.agent,
        "devices": None if said is None else said.devices,
        "free_now": None if said is None else said.free,
        "in_your_leases": None if live is None else ", ".join(names),
    }


def _devices_document(rows: list[Row]) -> Row:
    known = catalogue()
    return {"devices": rows, "source": {"page": known.page, "read": known.read.isoformat()}}


def _devices_view(rows: list[Row]) -> RenderableType:
    """As wide as the terminal: what is long is folded there, and a line in a file."""
    counted = any(row["devices"] is not None for row in rows)
    columns = ("kind", "what it is", "agents", *(("free now",) if counted else ()), "in your leases")
    table = plain_table(*columns)
    for column in table.columns[1:]:
        column.no_wrap, column.overflow = False, "fold"
    for row in rows:
        free = f"{row['free_now']} of {row['devices']}" if row["free_now"] is not None else str(row["devices"] or "")
        words = (row["kind"], row["hardware"], row["agent"], *((free,) if counted else ()), row["in_your_leases"])
        table.add_row(*(Text(str("?" if word is None else word)) for word in words))
    table.width = min(data_console().measure(table).maximum, shutil.get_terminal_size((WIDE, 24)).columns)
    return table
