"""Where the time of a model goes, as a picture. Needs matplotlib, the extra `plots`."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from client.errors import EdgeError
from client.files.saved import RunError
from client.report.png import COLOURS, DPI, INK, MUTED, WIDTH_INCHES, PlotsMissing
from contract.results import OperatorProfile, ProfileResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP = 15
BAR_INCHES = 0.28
SUFFIXES = (".png", ".svg", ".pdf")
REST = "#9aa5b1"


class ChartError(EdgeError):
    """A chart cannot be drawn in the form that was asked for."""

    exit_code = 2


def check_chart(path: Path) -> None:
    """Raise PlotsMissing, ChartError for a suffix that is none of a picture; before anything is measured for it."""
    if path.suffix.lower() not in SUFFIXES:
        raise ChartError(f"{path} names no kind of picture", hint=f"end it in {', '.join(SUFFIXES)}")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        hint = "python -m pip install matplotlib, in the environment of edgerun; -o csv has the same numbers"
        raise PlotsMissing("--chart needs matplotlib, which is not installed here", hint=hint) from None


def write_profile_chart(path: Path, result: ProfileResult, top: int = TOP) -> None:
    """The slowest operators and the rest as bars of microseconds a run; PNG, SVG or PDF by the file's suffix.

    Raises PlotsMissing, ChartError for another suffix, RunError when the file cannot be written.
    """
    check_chart(path)
    import matplotlib

    with matplotlib.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        try:
            _drawn(result, top).savefig(path, dpi=DPI, facecolor="white")
        except OSError as error:
            raise RunError(f"{path}: {error.strerror or error}") from error


def bars(result: ProfileResult, top: int) -> list[tuple[str, float, float]]:
    """Name, microseconds and share of each bar: the slowest operators, the others together, what nothing explains."""
    ordered = sorted(result.operators, key=lambda operator: -operator.mean_us)
    rows = [(_name(each), each.mean_us, each.share) for each in ordered[:top]]
    if rest := ordered[top:]:
        rows.append((f"{len(rest)} others", sum(e.mean_us for e in rest), sum(e.share for e in rest)))
    if result.unattributed_us is not None and result.explained is not None and result.unattributed_us > 0:
        rows.append(("unattributed", result.unattributed_us, 1 - result.explained))
    return rows


def _name(operator: OperatorProfile) -> str:
    index = "" if operator.operator is None else f"{operator.operator} "
    shape = "x".join(map(str, (operator.output_shape or [])[1:]))
    return f"{index}{operator.kind or operator.name} {shape}".strip()


def _drawn(result: ProfileResult, top: int) -> "Figure":
    from matplotlib.figure import Figure

    rows = bars(result, top)
    figure = Figure(figsize=(WIDTH_INCHES, 1.6 + BAR_INCHES * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    single = min(top, len(result.operators))
    colours = [COLOURS[0] if number < single else REST for number in range(len(rows))]
    drawn = axes.barh(range(len(rows)), [mean for _, mean, _ in rows], color=colours)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.bar_label(drawn, [f" {mean:.1f} µs  {share:.1%}" for _, mean, share in rows], fontsize=8, color=INK)
    axes.invert_yaxis()
    axes.margins(x=0.22, y=0.01)
    axes.set_xlabel("microseconds of an inference", color=MUTED)
    axes.tick_params(axis="y", labelsize=8, length=0)
    axes.tick_params(axis="x", labelsize=8, colors=MUTED)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.suptitle(f"{result.model}: where the time goes", x=0.01, ha="left", fontsize=12, color=INK)
    axes.set_title(_settings(result), loc="left", fontsize=8.5, color=MUTED)
    return figure


def _settings(result: ProfileResult) -> str:
    whole = f", {result.latency.mean_ms:.3f} ms each" if result.latency else ""
    threads = f"{result.threads} thread{'s' * (result.threads > 1)}"
    runtime = f"{result.runtime} {result.runtime_version} on {result.device}, {result.spec.kernels} kernels, {threads}"
    return f"{runtime}; {result.iterations} runs{whole}; timed by {result.method}"
