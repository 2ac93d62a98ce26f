"""Bar charts and time series as pictures, for slides and papers. Needs matplotlib, the extra `plots`."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from client.errors import EdgeError
from client.files.saved import file_name
from client.report.model import Channel, Component, Configuration, Figures, ReportData, ShownRecording

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito (2008), as on the page."""
LINES = ("-", "--", ":", "-.")
INK, MUTED = "#1a1c20", "#565c66"
DPI = 160
WIDTH_INCHES = 9.0


class PlotsMissing(EdgeError):
    """matplotlib is not installed."""

    exit_code = 2


@dataclass(frozen=True)
class _Measure:
    name: str
    title: str
    unit: str
    better: str
    value: Callable[[Figures], float | None]


MEASURES = (
    _Measure("load-time", "Model load time", "ms", "lower is better", lambda each: each.load_ms),
    _Measure("first-inference", "First inference", "ms", "lower is better", lambda each: each.first_inference_ms),
    _Measure("inference-time", "Inference time, median", "ms", "lower is better", lambda each: each.p50_ms),
    _Measure("frames-per-second", "Frames per second", "fps", "higher is better", lambda each: each.fps),
    _Measure("energy", "Energy of a frame", "mJ", "lower is better", lambda each: each.energy_mj),
)


def write_images(folder: Path, data: ReportData) -> list[Path]:
    """A PNG for each measure and for each component that was recorded; gives their paths.

    Raises PlotsMissing, and EdgeError when the folder cannot be written.
    """
    try:
        import matplotlib
    except ImportError:
        hint = "python -m pip install matplotlib, in the environment of edgerun; its extra `plots` brings it too"
        raise PlotsMissing("--png needs matplotlib, which is not installed here", hint=hint) from None
    written = []
    # Names may hold anything: a dollar sign is one, and a letter that the font lacks is no reason for a warning.
    with matplotlib.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, figure in _figures(data):
                path = folder / f"{name}.png"
                figure.savefig(path, dpi=DPI, bbox_inches="tight", facecolor="white", metadata={"Software": "edgerun"})
                written.append(path)
        except OSError as error:
            raise EdgeError(f"{folder}: {error.strerror or error}") from error
    return written


def _figures(data: ReportData) -> Iterator[tuple[str, "Figure"]]:
    for measure in MEASURES:
        known = [each for each in data.configurations if measure.value(each.figures) is not None]
        if known:
            yield measure.name, _bars(measure, known)
    for component in data.components:
        if not component.primary:
            continue
        lines = [(each, each.channels[component.key]) for each in data.recordings if component.key in each.channels]
        if lines:
            yield f"time-{file_name(component.name).lower()}", _series(component, lines)


def _figure(height_inches: float) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, height_inches))
    axes = figure.subplots()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _bars(measure: _Measure, rows: Sequence[Configuration]) -> "Figure":
    figure, axes = _figure(1.0 + 0.55 * len(rows))
    values = [measure.value(each.figures) or 0.0 for each in rows]
    ends = [max(value, _whisker(measure, each)) for value, each in zip(values, rows, strict=True)]
    axes.barh(range(len(rows)), values, color=[COLOURS[each.id % len(COLOURS)] for each in rows], height=0.55)
    for row, (each, end) in enumerate(zip(rows, ends, strict=True)):
        if _whisker(measure, each):
            low = each.figures.p5_ms or 0.0
            axes.plot([low, end], [row, row], color=INK, linewidth=1.2, marker="|", markersize=7)
        axes.annotate(_label(measure, each), (end, row), (8, 0), textcoords="offset points", va="center", color=INK)
    axes.set_yticks(range(len(rows)), [f"{each.title}\n{each.subtitle}" for each in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.3 * max(ends) or 1.0)
    axes.set_xlabel(f"{measure.unit}; {measure.better}", color=MUTED)
    axes.set_title(measure.title, loc="left", fontweight="bold")
    return figure


def _label(measure: _Measure, each: Configuration) -> str:
    doubt = f" ({each.verdict})" if each.verdict not in ("ok", None) else ""
    return f"{measure.value(each.figures):.3g} {measure.unit}{doubt}"


def _whisker(measure: _Measure, each: Configuration) -> float:
    """Where the line from p5 to p95 ends, 0 for none."""
    figures = each.figures
    known = measure.name == "inference-time" and figures.p5_ms is not None
    return max(figures.p95_ms or 0.0, figures.p5_ms or 0.0) if known and figures.p95_ms is not None else 0.0


def _series(component: Component, lines: Sequence[tuple[ShownRecording, Channel]]) -> "Figure":
    figure, axes = _figure(4.0)
    for recording, channel in lines:
        look = recording.owner
        values = [float("nan") if value is None else value for value in channel.values]
        again = f", repeat {recording.repeat + 1}" if recording.repeat else ""
        axes.plot(
            channel.t_s,
            values,
            color=COLOURS[look % len(COLOURS)],
            linestyle=LINES[look % len(LINES)],
            linewidth=1.3,
            label=f"{recording.title}, {recording.subtitle}{again}",
        )
    limits = {channel.limit for _, channel in lines} - {None}
    for limit in limits:
        axes.axhline(limit or 0.0, color=COLOURS[1], linewidth=1, linestyle=(0, (5, 3)))
    if component.zero_based:
        axes.set_ylim(bottom=0, top=component.most)
    _throttling(axes, [recording for recording, _ in lines])
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds since the job began", color=MUTED)
    axes.set_ylabel(component.unit, color=MUTED)
    axes.set_title(component.name, loc="left", fontweight="bold")
    axes.grid(axis="y", color="#dcdfe4", linewidth=0.7)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False, ncols=2)
    return figure


def _throttling(axes: "Axes", recordings: Sequence[ShownRecording]) -> None:
    """A lane above the plot for each recording that was throttled, in its colour."""
    throttled = [each for each in recordings if each.throttled]
    for lane, each in enumerate(throttled):
        spans = [(span.start_s, span.end_s - span.start_s) for span in each.throttled]
        low = 1.01 + 0.03 * lane
        axes.broken_barh(
            spans,
            (low, 0.022),
            facecolors=COLOURS[each.owner % len(COLOURS)],
            transform=axes.get_xaxis_transform(),
            clip_on=False,
        )
    if throttled:
        axes.set_title("throttled", loc="right", fontsize="small", color=MUTED, pad=6 + 9 * len(throttled))
