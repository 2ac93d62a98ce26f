"""Where the time of a model goes, as a picture. The only module of the client's commands that needs matplotlib here."""

from pathlib import Path
from typing import Any

from client.errors import EdgeError
from client.runs import RunError
from contract.results import ProfileResult

TOP = 15
BAR_INCHES = 0.28
BLUE, GREY = "#2f6db5", "#9aa5b1"


class ChartError(EdgeError):
    """A chart cannot be drawn."""

    exit_code = 2


def write_profile_chart(path: Path, result: ProfileResult, top: int = TOP) -> None:
    """The slowest operators and the rest as bars of microseconds a run, as PNG, SVG or PDF by the file's suffix.

    Raises ChartError without matplotlib or for another suffix, RunError when the file cannot be written.
    """
    figure = _drawn(result, top)
    try:
        figure.savefig(path, dpi=144)
    except ValueError as error:
        raise ChartError(f"{path}: {error}", hint="name it .png, .svg or .pdf") from error
    except OSError as error:
        raise RunError(f"{path}: {error.strerror or error}") from error


def check_charts() -> None:
    """Raise ChartError when there is nothing to draw with, before anything is measured for it."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        hint = "python -m pip install 'edgerun[plots]' brings it; -o csv has the same numbers"
        raise ChartError("charts are drawn with matplotlib, which is not installed", hint=hint) from error


def bars(result: ProfileResult, top: int) -> list[tuple[str, float, float]]:
    """Name, microseconds and share of each bar: the slowest operators, the others together, what nothing explains."""
    ordered = sorted(result.operators, key=lambda operator: -operator.mean_us)
    rows = [(_name(each), each.mean_us, each.share) for each in ordered[:top]]
    if rest := ordered[top:]:
        rows.append((f"{len(rest)} others", sum(e.mean_us for e in rest), sum(e.share for e in rest)))
    if result.unattributed_us is not None and result.explained is not None and result.unattributed_us > 0:
        rows.append(("unattributed", result.unattributed_us, 1 - result.explained))
    return rows


def _name(operator: Any) -> str:
    index = "" if operator.operator is None else f"{operator.operator} "
    shape = "x".join(map(str, (operator.output_shape or [])[1:]))
    return f"{index}{operator.kind or operator.name} {shape}".strip()


def _drawn(result: ProfileResult, top: int) -> Any:
    check_charts()
    from matplotlib.figure import Figure

    rows = bars(result, top)
    figure = Figure(figsize=(9, 1.6 + BAR_INCHES * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    colours = [BLUE if number < min(top, len(result.operators)) else GREY for number in range(len(rows))]
    drawn = axes.barh([name for name, _, _ in rows], [mean for _, mean, _ in rows], color=colours)
    axes.bar_label(drawn, [f" {mean:.1f} µs  {share:.1%}" for _, mean, share in rows], fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_xlabel("microseconds of an inference")
    axes.tick_params(axis="y", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    whole = f"{result.latency.mean_ms:.3f} ms" if result.latency else "no whole"
    settings = f"{result.runtime} {result.runtime_version}, {result.threads} threads, {result.iterations} runs, {whole}"
    axes.set_title(f"{result.model}: where the time goes\n{settings}, {result.method}", fontsize=10, loc="left")
    return figure
