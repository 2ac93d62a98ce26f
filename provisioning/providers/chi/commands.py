"""Commands about CHI@Edge itself: what is still allocated there, what `up` would do, and those about leases."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from client.console import Output, emit, note, plain_table, say
from client.durations import parse_duration
from client.sdk.hosts import HostsFile
from provisioning.deployments import Deployment, DeploymentPhase, Deployments
from provisioning.errors import ProvisioningError
from provisioning.lease_time import left_s
from provisioning.lifecycle import Lifecycle
from provisioning.providers.chi import device_commands, lease_commands
from provisioning.providers.chi.tenancy import choose_device, to_make
from provisioning.watch import LastCall, Watch
from provisioning.watch import watch as until_the_end
from provisioning.watcher import only_watcher

if TYPE_CHECKING:
    from provisioning.providers.chi.session import Site

OutputForm = Annotated[Output, typer.Option("--output", "-o", help="What standard output carries.")]
Row = dict[str, Any]


def register(app: typer.Typer) -> None:
    """Add the commands to `provision`."""
    lease_commands.register(app)
    device_commands.register(app)
    app.command("orphans")(orphans)
    app.command("repair")(repair)
    app.command("watch")(watch)


def orphans(
    remove: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Give back what is listed under this id; may be repeated.")
    ] = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """List what edgerun left at CHI@Edge: without a deployment here, or half removed; and addresses that lead nowhere.

    It may belong to edgerun on another machine, so nothing is removed unless it is named.
    """
    from provisioning.providers.chi.session import open_site

    site = open_site()
    rows = orphaned(site)
    for identifier in remove or ():
        _remove(site, identifier, rows)
    rows = [row for row in rows if row["id"] not in (remove or ())]
    _show("orphans", rows, output)
    if not rows:
        note("nothing is left behind")


def repair(name: Annotated[str, typer.Argument(help="The deployment's name.")]) -> None:
    """Bring back what a deployment lost, such as an agent whose container was restarted.

    A restarted container has lost its files: the agent comes back with a new certificate, which is pinned again, and
    with the model that `up` pushed, but without other models, jobs and results it had.
    """
    host = Lifecycle(Deployments(), HostsFile(), note).repair(name)
    note(f"try: client classify PICTURE --host {host.name}")


def watch(
    name: Annotated[str, typer.Argument(help="The deployment's name.")],
    save: Annotated[Path, typer.Option(help="Where each job gets a folder of its own.")] = Path("results"),
    every: Annotated[str, typer.Option(help="How often to look, such as 30s.", envvar="EDGERUN_WATCH_EVERY")] = "60s",
    lead: Annotated[
        str, typer.Option(help="How long before the lease's end also what is not finished is fetched.")
    ] = f"{LastCall.lead_s:.0f}s",
    stop: Annotated[
        str,
        typer.Option(help="How long before it what runs is ended, so that its result is whole; 0s lets it run."),
    ] = f"{LastCall.stop_s:.0f}s",
) -> None:
    """Fetch every job's result, telemetry and artefacts as it ends, until the lease does.

    Before the end of a lease also what is not finished is fetched, again and again, and what will not be done is said.
    Ctrl-C ends the watching, nothing else.

    Example: provision watch edge1 --save results --lead 5m
    """
    interval_s, lead_s, stop_s = map(_seconds, (every, lead, stop))
    lifecycle = Lifecycle(Deployments(), HostsFile(), note)
    lifecycle.require(name)
    watching, last_call = Watch(HostsFile().named(name), save, note), LastCall(lead_s, stop_s)
    with only_watcher(name):
        until_the_end(lifecycle, name, watching, interval_s, lambda: left_s(lifecycle.require(name)), note, last_call)


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def plan(name: str, options: dict[str, Any]) -> None:
    """Say what `up` would do, after checking credentials, services and the lease; raises ProvisioningError."""
    from provisioning.providers.chi.containers import Containers, require_container_name
    from provisioning.providers.chi.leases import find_lease
    from provisioning.providers.chi.session import open_site
    from provisioning.providers.chi.spec import container_spec

    require_container_name(name)
    site = open_site()
    every = Containers(site).every()
    taken = [each for each in every if each.name == name]
    others = [each for each in every if each.name != name]
    if "lease" in options:
        lease = find_lease(site, str(options["lease"]))
        reservation = choose_device(lease, options.get("reservation"), others, "", note)
        device, of_lease = reservation.device, f"{lease.name} ({lease.id}), {lease.status}, {lease.left} left"
        of_device = f"{device or 'as reserved'} (reservation {reservation.id})"
    else:
        device, of_lease = to_make(name, options, "").device, f"would be made, for {options['for']}"
        of_device = f"{device}, if one is free: the site tells when it is asked for the lease"
    spec = container_spec(Deployment(name, "chi", options, token=""), device)
    lines = {
        "lease": of_lease,
        "device": of_device,
        "container": f"{name}, {f'is there already ({taken[0].status})' if taken else 'would be made'}",
        "image": spec["image"],
        "runtime": spec.get("runtime", "the site's own"),
        "profiles": ", ".join(spec.get("device_profiles", [])) or "none",
        "variables": ", ".join(options.get("env", [])) or "none",
        "port": ", ".join(spec["exposed_ports"]),
    }
    for what, value in lines.items():
        say(f"{what:10} {value}")
    note("nothing was made")


def orphaned(site: "Site") -> list[Row]:
    """What edgerun has at the site that no deployment here uses, and addresses that lead nowhere."""
    from provisioning.providers.chi.addresses import Addresses
    from provisioning.providers.chi.containers import Containers

    every = list(Deployments())
    known = {each.resources.get("owner") for each in every if each.phase is not DeploymentPhase.REMOVING}
    stuck = {str(each.resources.get("owner")): each.name for each in every}
    rows = [
        _row("container", each.id, each.name, f"{each.status} {each.reason}".strip(), each.owner, stuck)
        for each in Containers(site).every()
        if each.owner is not None and each.owner not in known
    ]
    rows += [
        _row("address", each.id, each.address, "bound" if each.port_id else "leads nowhere", each.owner, stuck)
        for each in Addresses(site).every()
        if (each.owner is not None or each.port_id is None) and each.owner not in known
    ]
    return rows


def _row(kind: str, identifier: str, name: str, state: str, owner: str | None, stuck: Mapping[str, str]) -> Row:
    made_by = "edgerun" if owner else "somebody else"
    goes_on = f"; `provision down {stuck[owner]}` goes on" if owner is not None and owner in stuck else ""
    return {"kind": kind, "id": identifier, "name": name, "state": f"{state}{goes_on}", "made_by": made_by}


def _remove(site: "Site", identifier: str, rows: Sequence[Row]) -> None:
    from provisioning.providers.chi.addresses import Addresses
    from provisioning.providers.chi.containers import Containers

    row = next((row for row in rows if row["id"] == identifier), None)
    if row is None or row["made_by"] != "edgerun":
        why = "is not among what is left behind" if row is None else "was not made by edgerun"
        raise ProvisioningError(f"{identifier} {why}", hint="`provision orphans` lists what can be given back")
    if row["kind"] == "container":
        Containers(site).delete(identifier)
    else:
        addresses = Addresses(site)
        for address in addresses.every():
            if address.id == identifier:
                addresses.release(address)
    note(f"{row['kind']} {row['name']} was given back")


def _show(what: str, rows: list[Row], output: Output) -> None:
    table = plain_table(*(rows[0] if rows else ()))
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row.values()))
    emit(output, document=lambda: {what: rows}, rows=lambda: rows, view=lambda: table)
