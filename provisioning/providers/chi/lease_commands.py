"""`provision lease`: leases at CHI@Edge made, shown, extended and given back."""

import re
import secrets
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from client.console import Output, emit, note, plain_table
from client.durations import parse_duration
from provisioning.deployments import Deployment, Deployments
from provisioning.errors import ProvisioningError
from provisioning.interruption import to_whoever_reads
from provisioning.providers.chi.catalogue import device_names
from provisioning.providers.chi.clock import SITE_CLOCK
from provisioning.providers.chi.containers import Container, Containers
from provisioning.providers.chi.lease_changes import (
    KIND_PATTERN,
    NAME_PATTERN,
    Wanted,
    delete_lease,
    extend_lease,
    in_words,
    make_lease,
)
from provisioning.providers.chi.leases import OVER, Lease, NoLease, find_lease, leases, say_whose_clock_counts
from provisioning.providers.chi.session import open_site
from provisioning.providers.chi.tenancy import deployments_on, tell_deployments, users

LEAST_LENGTH_S = 60.0
OutputForm = Annotated[Output, typer.Option("--output", "-o", help="What standard output carries.")]
Which = Annotated[str, typer.Argument(metavar="LEASE", help="The lease's name or id.")]
Row = dict[str, Any]

app = typer.Typer(
    name="lease",
    help="Time on devices of CHI@Edge: make it, see it, extend it, give it back.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(provision: typer.Typer) -> None:
    """Add the commands to `provision`."""
    provision.add_typer(app)
    provision.command("leases", hidden=True)(list_leases)  # its name before there were others of its kind


def _matching(pattern: str, what: str) -> Callable[[str | None], str | None]:
    def check(text: str | None) -> str | None:
        if text is not None and not re.fullmatch(pattern, text):
            raise typer.BadParameter(f"{text!r} cannot be {what}")
        return text

    return check


def _length_s(text: str) -> float:
    try:
        length_s = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if length_s < LEAST_LENGTH_S:
        raise typer.BadParameter(f"{text!r}: leases are counted in whole minutes")
    return length_s


def _moment(text: str | None) -> datetime | None:
    """When a lease is to start, to the minute and by the site's clock; None for now."""
    if text is None or text == "now":
        return None
    if text.startswith("+"):
        moment = SITE_CLOCK.now() + timedelta(seconds=_length_s(text[1:]))
    else:
        try:
            moment = datetime.fromisoformat(text).astimezone(UTC)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is no time: write now, +30m, '2026-05-01 14:00', or ...Z") from None
    if moment < SITE_CLOCK.now():
        raise typer.BadParameter(f"{text!r} is over: it is {in_words(SITE_CLOCK.now())}")
    return moment.replace(second=0, microsecond=0)


@app.command("create", epilog="Example: provision lease create --device-type raspberrypi4-64 --for 3h --name mine")
def create(
    device_type: Annotated[
        str,
        typer.Option(
            help="Kind of device: `provision devices` lists them.", callback=_matching(KIND_PATTERN, "a kind")
        ),
    ],
    length: Annotated[str, typer.Option("--for", metavar="2h|90m|1d", help="How long.")],
    count: Annotated[int, typer.Option(help="How many devices, each with a reservation of its own.", min=1)] = 1,
    name: Annotated[
        str | None,
        typer.Option(help="Its name; default: the kind and some letters.", callback=_matching(NAME_PATTERN, "a name")),
    ] = None,
    starts: Annotated[
        str | None,
        typer.Option(metavar="now|+30m|TIME", help="When; without a zone TIME is this machine's; default: now."),
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait until it is active.")] = False,
    output: OutputForm = Output.TABLE,
) -> None:
    """Lease devices, and wait until they can be used; Ctrl-C gives them back."""
    name = name or f"{device_type}-{secrets.token_hex(3)}"
    length_s, site = _length_s(length), open_site()
    wanted = Wanted(name, device_type, length_s, count, _moment(starts))
    lease = make_lease(site, wanted, to_whoever_reads(note), wait=not no_wait)
    _show(lease, output)
    if lease.status == "PENDING":
        note(f"lease {lease.name} starts at {in_words(lease.starts_at)}")
    note(f"try: provision up --lease {lease.name} --name edge1")


@app.command("ls", epilog="Example: provision lease ls -o csv")
def list_leases(output: OutputForm = Output.TABLE) -> None:
    """List the project's leases at CHI@Edge: what they hold, and how much time is left."""
    deployments, site = list(Deployments()), open_site()
    say_whose_clock_counts(note)
    rows = [_row(lease, deployments) for lease in leases(site)]
    emit(output, document=lambda: {"leases": rows}, rows=lambda: rows, view=lambda: _leases_view(rows))
    if not rows:
        note("the project has no lease: `provision lease create --device-type raspberrypi4-64 --for 2h` makes one")


@app.command("show", epilog="Example: provision lease show mine")
def show(lease: Which, output: OutputForm = Output.TABLE) -> None:
    """Show a lease: its times, its reservations, and what runs on each."""
    site = open_site()
    found = find_lease(site, lease)
    _show(found, output, Containers(site).every(), device_names(site, found))


@app.command("extend", epilog="Example: provision lease extend mine --by 1h")
def extend(
    lease: Which,
    by: Annotated[str, typer.Option(metavar="1h|30m", help="How much longer.")],
    output: OutputForm = Output.TABLE,
) -> None:
    """Move a lease's end, as far as nobody else has its devices."""
    by_s, site = _length_s(by), open_site()
    extended = extend_lease(site, find_lease(site, lease), by_s, note)
    _show(extended, output)
    tell_deployments(extended, note)


@app.command("delete", epilog="Example: provision lease delete mine")
def delete(
    lease: Which,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Also when deployments run on it.")] = False,
) -> None:
    """Give a lease back, with all that runs on it; a second time is fine."""
    site = open_site()
    try:
        found = find_lease(site, lease)
    except NoLease as missing:
        note(f"nothing to give back: {missing}")
        return
    if found.status not in OVER and not yes and (names := users(site, found)):
        _agree_to_delete(found, ", ".join(names))
    delete_lease(site, found)
    note(f"lease {found.name} is given back")
    for each in deployments_on(found, Deployments()):
        note(f"{each.name} has no device any more: `provision down {each.name}` gives back its address")


def _leases_view(rows: Iterable[Row]) -> RenderableType:
    table = plain_table("name", "status", "devices", "ends", "left", "deployments")
    for row in rows:
        end = in_words(datetime.fromisoformat(row["ends_at"]))
        words = (row["name"], row["status"], row["devices"], end, row["left"], row["deployments"])
        table.add_row(*map(Text, words))
    return table


def _agree_to_delete(lease: Lease, names: str) -> None:
    question = f"Lease {lease.name} is used by {names}. Delete it, and end what runs there?"
    if sys.stdin.isatty() and sys.stderr.isatty() and typer.confirm(question, err=True):
        return
    hint = "`provision down NAME --with-lease` ends both; --yes deletes the lease all the same"
    raise ProvisioningError(f"lease {lease.name} is used by {names}", hint=hint)


def _row(lease: Lease, deployments: Iterable[Deployment]) -> Row:
    users = deployments_on(lease, deployments) if lease.status not in OVER else []
    return {
        "name": lease.name,
        "id": lease.id,
        "status": lease.status,
        "devices": lease.held,
        "starts_at": lease.starts_at.isoformat(timespec="seconds"),
        "ends_at": lease.ends_at.isoformat(timespec="seconds"),
        "left": lease.left if lease.status == "ACTIVE" else "",
        "deployments": ", ".join(each.name for each in users),
    }


def _show(
    lease: Lease, output: Output, containers: Iterable[Container] | None = None, names: Iterable[str] = ()
) -> None:
    """Print one lease; who uses which reservation, where that was asked."""
    row, names = _row(lease, Deployments()), list(names)
    reservations = [
        {
            "reservation": each.id,
            "kind": each.kind,
            "device": each.device,
            "count": each.count,
            "containers": ", ".join(one.name for one in containers or () if one.reservation == each.id),
        }
        for each in lease.reservations
    ]
    document = {**row, "device_names": names, "reservations": reservations}
    emit(
        output,
        document=lambda: {"lease": document},
        rows=lambda: [{"lease": lease.name, **each} for each in reservations],
        view=lambda: _lease_view(lease, row, names, reservations),
    )


def _lease_view(lease: Lease, row: Row, names: list[str], reservations: list[Row]) -> RenderableType:
    facts = {
        "lease": f"{lease.name}, {lease.status}",
        "id": lease.id,
        "starts": in_words(lease.starts_at),
        "ends": in_words(lease.ends_at) + (f", in {lease.left}" if lease.status not in OVER else ""),
        "holds": lease.held + (f": {', '.join(names)}" if names else ""),
        "used by": row["deployments"] or "no deployment here",
    }
    table = plain_table("reservation", "device", "containers")
    for each in reservations:
        what = f"{each['device'] or each['kind']}{' x ' + str(each['count']) if each['count'] > 1 else ''}"
        table.add_row(*(Text(str(text)) for text in (each["reservation"], what, each["containers"] or "")))
    return Group(*(Text(f"{what:8} {value}") for what, value in facts.items()), table)
