"""The options of `provision up`: those of every place, and those that providers have registered."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from keyword import iskeyword
from pathlib import Path
from typing import Annotated, Any

import typer

from provisioning.errors import ProvisioningError
from provisioning.provider import Option
from provisioning.providers import KNOWN, package_of

DEFAULT_KIND = "local"

Port = Annotated[int | None, typer.Option(help="Port to listen on; default: any free one.", min=0, max=65535)]
Workers = Annotated[int | None, typer.Option(help="Worker processes; default: what the machine allows.", min=1)]
Threads = Annotated[int | None, typer.Option(help="Threads an inference uses.", min=1)]
DeviceType = Annotated[
    str | None,
    typer.Option(help="Type of the device: what the agent reports, such as pi4; with --for also the kind to lease."),
]
AllowCommands = Annotated[
    bool, typer.Option("--allow-commands", help="Let tokens with the scope run start programs: `client run`.")
]
With = Annotated[
    str | None,
    typer.Option("--with", help="Runtimes to install there beside the default: openvino, onnx, gpu; with commas."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="chi: check everything, say what would be made, make nothing.")]
Model = Annotated[str, typer.Option(help="Catalog model to push once it is up, or none.")]
Watch = Annotated[
    Path | None,
    typer.Option(
        help="Leave a `provision watch` running that saves results in this folder until the agent or its lease ends.",
        metavar="FOLDER",
        file_okay=False,
    ),
]
Keep = Annotated[bool, typer.Option("--keep", help="Keep what was made when something fails.")]


def takes_what_providers_take(up: Callable[..., None]) -> Callable[..., None]:
    """Give a command every provider's options, in place of its `**of_providers`."""
    *own, rest = inspect.signature(up, eval_str=True).parameters.values()
    assert rest.kind is inspect.Parameter.VAR_KEYWORD
    theirs = [_parameter(options) for options in registered().values()]
    up.__signature__ = inspect.Signature([*own, *theirs])  # type: ignore[attr-defined]
    return up


def registered() -> Mapping[str, Mapping[str, Option]]:
    """By name of an option, what each provider that takes it means by it."""
    found: dict[str, dict[str, Option]] = {}
    for kind, package in KNOWN.items():
        for option in package.taken():
            found.setdefault(option.name, {})[kind] = option
    return found


def of_place(on: str | None, agent: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Kind of place and the options that were given for the agent and by parameter, as they are kept.

    Raises ProvisioningError for an option of another kind, and for one that is missing.
    """
    known = registered()
    asked = {name: value for name in known if (value := given[_parameter_name(name)])}
    implied = (kind for name in asked for kind, option in known[name].items() if option.selects)
    kind, _, place = (on or next(implied, DEFAULT_KIND)).partition("://")
    package = package_of(kind)
    options = {name: _plain(value) for name, value in {**agent, **asked}.items() if value is not None}
    if place:
        options["place"] = place.rstrip("/")
    for name in asked:
        if kind not in known[name]:
            raise ProvisioningError(f"--{name} is for --on {' or '.join(known[name])}, not for {kind}")
    _require_what_belongs_together(package.taken(), options)
    return kind, options


def _require_what_belongs_together(taken: Sequence[Option], options: Mapping[str, Any]) -> None:
    given = [option for option in taken if option.name in options]
    replaced = {option.instead_of: option.name for option in given if option.instead_of is not None}
    for option in taken:
        if option.required is not None and option.name not in (*options, *replaced):
            raise _misuse(option.required)
    for option in given:
        if option.name in replaced:
            raise ProvisioningError(f"--{option.name} and --{replaced[option.name]}: only one of the two can be given")
        if option.needs is not None and option.needs.partition(": ")[0] not in options:
            raise _misuse(f"--{option.name} needs --{option.needs}")


def _misuse(text: str) -> ProvisioningError:
    detail, _, hint = text.partition(": ")
    return ProvisioningError(detail, hint=hint)


def _parameter(options: Mapping[str, Option]) -> inspect.Parameter:
    """One option of the command line for what may mean something else to each provider."""
    first = next(iter(options.values()))
    text = " ".join(f"{kind}: {option.help}" for kind, option in options.items())
    extras: dict[str, Any] = {"exists": first.must_exist, "dir_okay": False} if first.type is Path else {}
    form = typer.Option(f"--{first.name}", help=text, metavar=first.metavar, callback=_checker(first), **extras)
    if first.type is bool:
        annotation, default = Annotated[bool, form], False
    else:
        annotation = Annotated[(list[first.type] if first.many else first.type) | None, form]  # type: ignore
        default = None
    return inspect.Parameter(
        _parameter_name(first.name), inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _checker(option: Option) -> Callable[[Any], Any] | None:
    pattern = option.pattern
    if pattern is None:
        return None

    def check(given: Any) -> Any:
        for text in [given] if isinstance(given, str) else given or ():
            if not re.fullmatch(pattern, text):
                raise typer.BadParameter(f"{text!r} is not {option.metavar}")
            if option.check is not None:
                option.check(text)
        return given

    return check


def _parameter_name(name: str) -> str:
    plain = name.replace("-", "_")
    return f"{plain}_" if iskeyword(plain) else plain


def _plain(value: object) -> object:
    return str(value.expanduser().absolute()) if isinstance(value, Path) else value
