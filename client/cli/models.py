"""`client models`: what an agent holds, and how models get there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from client.cli.model_views import list_view, model_row, model_view, rows_view, summary_of
from client.cli.options import Hosts, OutputForm, Quiet, chosen, chosen_one, on_each
from client.console import Output, emit, note, say, transferring
from client.files.library import Library, LibraryError, manifest_of
from client.files.model_files import local_model
from client.sdk.calls import file_digest
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host, HostsFile
from contract.models import (
    DetectionReading,
    Fit,
    ModelList,
    ModelManifest,
    Outputs,
    Preprocessing,
)
from contract.tasks import BoxCoordinates, DetectionForm, Task
from image_model.catalog import load_catalog

app = typer.Typer(
    help="List, fetch, push and remove models.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

PUSH_TIMEOUT_S = 300.0


@app.command("ls")
def list_models(
    host: Hosts = [],  # noqa: B006
    output: OutputForm = Output.TABLE,
) -> None:
    """List the models that agents hold, and what each is for; * marks the default.

    What agents can write themselves is named below.

    Example: client models ls --host edge1
    """
    lists: dict[str, ModelList] = {}
    writable: dict[str, list[str]] = {}

    def fetch(each: Host) -> None:
        with EdgeClient(each) as client:
            lists[each.name] = client.models()
            writable[each.name] = [model.name for model in client.synthetic_models().models if not model.written]

    try:
        on_each(chosen(host), fetch)
    finally:
        emit(
            output,
            document=lambda: {
                "hosts": {
                    name: {**models.model_dump(mode="json"), "written_on_first_use": writable[name]}
                    for name, models in lists.items()
                }
            },
            rows=lambda: [model_row(name, models, model) for name, models in lists.items() for model in models.models],
            view=lambda: list_view(lists, writable),
        )


@app.command("known")
def known_models(output: OutputForm = Output.TABLE) -> None:
    """List the models that `pull` knows by name, and which of them are on this machine."""
    library = Library()
    rows = []
    for entry in load_catalog().values():
        state = "embedded" if entry.embedded else "fetched" if library.find(entry.name) else "not fetched"
        size = sum(file.size_bytes for file in entry.files)
        rows.append(
            {"name": entry.name, "state": state, "size_bytes": size, "licence": entry.licence, "title": entry.title}
        )
    emit(output, document=lambda: {"models": rows}, rows=lambda: rows, view=lambda: rows_view(rows))


@app.command("show")
def show_model(
    name: Annotated[str, typer.Argument(help="The model's name.")],
    host: Hosts = [],  # noqa: B006
    output: OutputForm = Output.TABLE,
) -> None:
    """Show one model: tensors, preprocessing, and which runtimes can run it."""
    with EdgeClient(chosen_one(host)) as client:
        model = client.model(name)
    document = model.model_dump(mode="json")
    emit(output, document=lambda: document, rows=lambda: [document], view=lambda: model_view(model))


@app.command("pull")
def pull_model(
    name: Annotated[str, typer.Argument(help="A name of `client models known`.")],
    host: Hosts = [],  # noqa: B006
    local: Annotated[bool, typer.Option("--local", help="Fetch to this machine only.")] = False,
    quiet: Quiet = False,
) -> None:
    """Fetch a known model to this machine, checked, and push it to the agent.

    EDGERUN_MODEL_MIRROR names a folder or URL to fetch from instead of the model's own source.

    Example: client models pull mobilenet_v2_1.0_224_quant --host edge1
    """
    with transferring(quiet=quiet) as progress:
        pulled = Library().pull(name, progress)
    if not quiet:
        note(f"{name} is in {pulled.folder}")
    if local or not (host or HostsFile().hosts()):
        return
    manifest, files = manifest_of(pulled)
    _push(name, manifest, files, host, quiet=quiet)


@app.command("path")
def model_path(
    name: Annotated[str, typer.Argument(help="A name of `client models known`.")],
    file: Annotated[str | None, typer.Argument(help="One of its files; default: the folder.")] = None,
) -> None:
    """Print where a fetched model, or one of its files, is on this machine.

    Example: client classify "$(client models path mobilenet_v2_1.0_224_quant parrot.jpg)"
    """
    pulled = Library().find(name)
    if pulled is None:
        raise LibraryError(f"{name} is not on this machine", hint=f"`client models pull {name}` fetches it")
    files = {each.name: pulled.path(each) for each in pulled.entry.files}
    if file is not None and file not in files:
        raise typer.BadParameter(f"{name} has no file {file!r}; it has {', '.join(files)}")
    print(files[file] if file is not None else pulled.folder)


@app.command("push")
def push_model(
    file: Annotated[Path, typer.Argument(help="A .tflite, .onnx or OpenVINO .xml file.", exists=True, dir_okay=False)],
    name: Annotated[str | None, typer.Option(help="Its name on the agent; default: the file's, in lower case.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Label file, a class a line.", exists=True, dir_okay=False)
    ] = None,
    input_range: Annotated[
        str | None, typer.Option(help="Real values of black and white, such as -1,1 or 0,1.", metavar="LOW,HIGH")
    ] = None,
    part: Annotated[
        list[Path],
        typer.Option(help="A file the model refers to, where its name does not tell.", exists=True, dir_okay=False),
    ] = [],  # noqa: B006
    fit: Annotated[Fit, typer.Option(help="How a picture of another shape is brought to the model's.")] = Fit.STRETCH,
    outputs: Annotated[Outputs, typer.Option(help="What the last tensor holds.")] = Outputs.AUTO,
    task: Annotated[
        Task | None, typer.Option(help="What the model is for.", show_default="guessed from its tensors")
    ] = None,
    boxes: Annotated[
        DetectionForm | None,
        typer.Option(help="How a detector's outputs hold boxes.", show_default="guessed from its tensors"),
    ] = None,
    coordinates: Annotated[
        BoxCoordinates | None,
        typer.Option(help="What a YOLO head's boxes are measured in.", show_default="by its format"),
    ] = None,
    host: Hosts = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Push a model of your own; the agent tries it in throw-away processes before it takes it in.

    The .bin beside an OpenVINO .xml, and external data beside an .onnx, are sent with it.

    Example: client models push mine.tflite --labels labels.txt --input-range -1,1

    A detector: client models push yolov8n.onnx --name objects --labels coco.txt
    """
    if (boxes or coordinates) and task not in (None, Task.DETECTION):
        raise typer.BadParameter(f"--boxes and --coordinates tell of a detector's outputs, not with --task {task}")
    preprocessing = None
    if input_range is not None:
        preprocessing = Preprocessing(input_range=_range(input_range), fit=fit)
    elif fit is not Fit.STRETCH:
        raise typer.BadParameter("--fit needs --input-range too: preprocessing is declared as a whole")
    model = local_model(file, part)
    digests = {path: file_digest(path) for path in (file, *model.parts.values(), *([labels] if labels else []))}
    manifest = ModelManifest(
        format=model.format,
        model=digests[file],
        parts={part_name: digests[path] for part_name, path in model.parts.items()},
        labels=digests[labels] if labels else None,
        preprocessing=preprocessing,
        outputs=outputs,
        task=task,
        detection=DetectionReading(form=boxes, coordinates=coordinates) if boxes or coordinates else None,
    )
    files = {digest: path for path, digest in digests.items()}
    _push(name or file.stem.lower().replace(" ", "-"), manifest, files, host, quiet=quiet)


@app.command("write")
def write_model(
    name: Annotated[str, typer.Argument(help="A name such as resnet20-int8; `client models ls` lists them.")],
    host: Hosts = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Have agents write a model of a known architecture with synthetic weights, to measure with.

    Jobs that name one have it written by themselves.

    Example: client models write mobilenet_v2-int8 --host edge1
    """

    def write(each: Host) -> None:
        with EdgeClient(each) as client:
            model = client.write_model(name)
        if not quiet:
            note(f"{each.name}: {summary_of(model)}")

    on_each(chosen(host), write)


@app.command("rm")
def remove_model(
    name: Annotated[str, typer.Argument(help="The model's name.")],
    host: Hosts = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Remove a model from the agent."""

    def remove(each: Host) -> None:
        with EdgeClient(each) as client:
            client.delete_model(name)
        if not quiet:
            note(f"{each.name}: {name} is removed")

    on_each(chosen(host), remove)


@app.command("default")
def default_model(
    name: Annotated[str | None, typer.Argument(help="The model that shall answer when a request names none.")] = None,
    host: Hosts = [],  # noqa: B006
) -> None:
    """Show or choose the model that answers when a request names none.

    Example: client models default digits --host edge1
    """

    def choose(each: Host) -> None:
        with EdgeClient(each) as client:
            if name is not None:
                client.choose_default_model(name)
            say(client.models().default)

    on_each(chosen(host), choose)


def _push(name: str, manifest: ModelManifest, files: Mapping[str, Path], host: list[str], *, quiet: bool) -> None:
    def push(each: Host) -> None:
        with EdgeClient(each, timeout_s=PUSH_TIMEOUT_S) as client, transferring(quiet=quiet) as progress:
            model = client.push_model(name, manifest, files, progress)
        if not quiet:
            note(f"{each.name}: {summary_of(model)}")

    on_each(chosen(host), push)


def _range(text: str) -> tuple[float, float]:
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise typer.BadParameter(f"--input-range takes two numbers such as -1,1, not {text!r}") from None
    return low, high
