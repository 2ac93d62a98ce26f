"""The options of `provision up`: what they mean, and which place takes which."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from provisioning.errors import ProvisioningError
from provisioning.providers import OPTIONS


def _volumes(given: list[str] | None) -> list[str] | None:
    for text in given or ():
        if not re.fullmatch(r"/[^:]*:/[^:]+(:r[ow])?", text):  # a bare name would be a volume that nobody removes
            raise typer.BadParameter(f"{text!r} is not /PATH:/PATH or /PATH:/PATH:ro")
    return given


Port = Annotated[int | None, typer.Option(help="Port to listen on; default: any free one.", min=0, max=65535)]
Workers = Annotated[int | None, typer.Option(help="Worker processes; default: what the machine allows.", min=1)]
Threads = Annotated[int | None, typer.Option(help="Threads an inference uses.", min=1)]
DeviceType = Annotated[str | None, typer.Option(help="Type of the device as the agent reports it, such as pi4.")]
AllowCommands = Annotated[
    bool, typer.Option("--allow-commands", help="Let whoever has the token run programs there: `client run`.")
]
Image = Annotated[
    str | None,
    typer.Option(
        help="docker, chi: image to run; default: built from this checkout (docker), Python with the agent installed "
        "into it (chi)."
    ),
]
Lease = Annotated[str | None, typer.Option(help="chi: id or name of the lease; implies --on chi.")]
Reservation = Annotated[str | None, typer.Option(help="chi: which device reservation, when the lease has several.")]
DeviceProfile = Annotated[list[str] | None, typer.Option(help="chi: such as pi_camera; may be repeated.")]
With = Annotated[
    str | None,
    typer.Option("--with", help="Runtimes to install there beside the default: openvino, onnx, gpu; with commas."),
]
Platform = Annotated[str | None, typer.Option(help="docker: such as linux/arm64; default: the engine's own.")]
Volume = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH:PATH[:ro]",
        help="docker: a path of the engine's host, and where the container sees it; may be repeated.",
        callback=_volumes,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="chi: check everything, say what would be made, make nothing.")]
SshKey = Annotated[
    Path | None,
    typer.Option(
        help="ssh: private key to log in with; default: your agent's and ~/.ssh's. chi: key that may log in there.",
        exists=True,
        dir_okay=False,
    ),
]
KnownHosts = Annotated[Path | None, typer.Option(help="ssh: file of trusted host keys; default: ~/.ssh/known_hosts.")]
Offline = Annotated[
    bool, typer.Option("--offline", help="ssh: fetch the device's packages here; it needs no package index.")
]
Model = Annotated[str, typer.Option(help="Catalog model to push once it is up, or none.")]
Keep = Annotated[bool, typer.Option("--keep", help="Keep what was made when something fails.")]


def of_place(on: str, given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Kind of place and the options that were given, as they are kept; raises ProvisioningError for a foreign one."""
    kind, _, place = ("chi" if given.get("lease") and on == "local" else on).partition("://")
    options = {name: _plain(value) for name, value in given.items() if value is not None}
    if place:
        options["place"] = place.rstrip("/")
    for name in options:
        if kind not in OPTIONS.get(name, (kind,)):
            raise ProvisioningError(f"--{name} is for --on {' or '.join(OPTIONS[name])}, not for {kind}")
    if kind == "chi" and "lease" not in options:
        raise ProvisioningError("CHI@Edge needs --lease ID_OR_NAME", hint="`provision leases` lists them")
    return kind, options


def _plain(value: object) -> object:
    return str(value.expanduser().absolute()) if isinstance(value, Path) else value
