"""Models as people and programs see them."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from client.console import plain_table
from contract.models import (
    SYNTHETIC_SOURCE,
    Fit,
    ModelDescription,
    ModelList,
)
from contract.tasks import DetectionForm


def summary_of(model: ModelDescription) -> str:
    """What became of a model that was pushed or written, in one line."""
    runs = ", ".join(name for name, check in model.runtimes.items() if check.ok)
    fails = "".join(f"; not on {name}: {check.detail}" for name, check in model.runtimes.items() if not check.ok)
    kind = f"; its task is {model.task}{', guessed from its tensors' if model.task_assumed else ''}"
    assumed = "; preprocessing is assumed, see `client models show`" if model.preprocessing_assumed else ""
    return f"{model.name} is there, runs on {runs}{fails}{kind}{assumed}{_stretched(model)}"


def _stretched(model: ModelDescription) -> str:
    """What is to be said of a YOLO model whose pictures are brought to its shape in a way that few are trained with."""
    form = model.detection.form if model.detection else None
    if form not in (DetectionForm.YOLO_V5, DetectionForm.YOLO_V8) or model.preprocessing is None:
        return ""
    if model.preprocessing_assumed or model.preprocessing.fit is not Fit.STRETCH:
        return ""
    return "; pictures are stretched to its shape, and most YOLO models are trained with --fit letterbox"


def model_row(host: str, models: ModelList, model: ModelDescription) -> dict[str, object]:
    """A model for programs."""
    return {
        "host": host,
        "name": model.name,
        "task": model.task,
        "format": model.format,
        "default": model.name == models.default,
        "size_bytes": model.size_bytes,
        "input": "x".join(map(str, model.inputs[0].shape)) if model.inputs else None,
        "dtype": model.inputs[0].dtype if model.inputs else None,
        "classes": model.class_count,
        "runtimes": " ".join(name for name, check in model.runtimes.items() if check.ok),
        "synthetic": model.source == SYNTHETIC_SOURCE,
        "digest": model.digest,
    }


def list_view(lists: dict[str, ModelList], writable: dict[str, list[str]]) -> RenderableType:
    """The models of several hosts, and what else there is to know of them."""
    table = plain_table(
        "host", "", "name", "task", "input", "type", "classes", "size", "runs on", right=("classes", "size")
    )
    for host, models in lists.items():
        for model in models.models:
            row = model_row(host, models, model)
            values = [row[key] or "" for key in ("input", "dtype", "classes")]
            size = f"{model.size_bytes / 1e6:.2f} MB"
            mark = "*" if row["default"] else ""
            name = f"{model.name} (synthetic weights)" if row["synthetic"] else model.name
            table.add_row(host, mark, name, model.task, *map(str, values), size, str(row["runtimes"]) or "not tried")
    several = len(lists) > 1
    notes = [
        Text(f"{host + ': ' if several else ''}written when first used, with synthetic weights: {', '.join(names)}")
        for host, names in writable.items()
        if names
    ]
    notes += [
        Text(f"{host + ': ' if several else ''}{model.name} is damaged, push it again or remove it: {model.reason}")
        for host, models in lists.items()
        for model in models.damaged
    ]
    return Group(table, *([Text(), *notes] if notes else []))


def rows_view(rows: Sequence[dict[str, object]]) -> RenderableType:
    """Rows as they are, a column a key."""
    table = plain_table(*rows[0], right=("size_bytes",))
    for row in rows:
        table.add_row(*map(str, row.values()))
    return table


def _boxes_of(model: ModelDescription) -> str | None:
    """How a detector's outputs hold boxes."""
    if model.detection is None:
        return None
    return ", ".join(each for each in (model.detection.form, model.detection.coordinates) if each)


def model_view(model: ModelDescription) -> RenderableType:
    """Everything about one model."""
    table = plain_table("", "")
    table.show_header = False
    facts: dict[str, object] = {
        "name": model.name,
        "digest": model.digest,
        "task": f"{model.task} (guessed)" if model.task_assumed else model.task,
        "format": model.format if not model.parts else f"{model.format} with {', '.join(model.parts)}",
        "size": f"{model.size_bytes / 1e6:.2f} MB",
        "classes": model.class_count,
        "labels": model.label_count,
        "outputs": model.output_kind,
        "boxes": _boxes_of(model),
        "source": model.source,
        "licence": model.licence,
    }
    if model.preprocessing is not None:
        how = f"pixels to {model.preprocessing.input_range}, {model.preprocessing.fit}"
        facts["preprocessing"] = f"{how} (assumed)" if model.preprocessing_assumed else how
    facts |= {f"not for {task}": reason for task, reason in model.unfit.items()}
    for name, tensors in (("input", model.inputs), ("output", model.outputs)):
        for tensor in tensors:
            scale = "" if tensor.scale is None else f", scale {tensor.scale:g}, zero point {tensor.zero_point}"
            table.add_row(name, f"{tensor.name}: {tensor.dtype} {tensor.shape}{scale}")
    for name, check in model.runtimes.items():
        took = (
            f"runs: load {check.load_ms:.1f} ms, first inference {check.first_inference_ms:.1f} ms" if check.ok else ""
        )
        table.add_row(name, took or f"does not run: {check.detail}")
    head = plain_table("", "")
    head.show_header = False
    for fact, value in facts.items():
        if value is not None:
            head.add_row(fact, Text(str(value)))
    return Group(head, table)
