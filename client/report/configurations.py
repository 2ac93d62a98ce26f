"""Rows of runs as the report shows them: figures, distribution of latencies, windows, conditions."""

import math
from collections.abc import Sequence
from statistics import median

from client.analysis.facets import batch_of, precision_of
from client.analysis.runs import Entry
from client.analysis.summary import Row, selection_lines
from client.report import recordings
from client.report.channels import significant
from client.report.energy import mean_power
from client.report.model import (
    Channel,
    Configuration,
    Figures,
    Histogram,
    JobWindows,
    Reason,
    WindowRow,
)
from client.report.names import Name
from contract.percentiles import percentile
from contract.results import BenchmarkResult
from contract.specs import input_of, length_of
from contract.telemetry import CPU_TEMPERATURE
from contract.validity import Validity

BINS = 80
HISTOGRAM_END = 0.99
"""The share of the samples that the histogram shows; a lone pause must not squeeze all others into one bin."""
NOT_KNOWN = "not known"
FPS_ROW = "windows:fps"
LATENCY_ROW = "windows:latency"


def configuration(number: int, run: str, row: Row, name: Name) -> Configuration:
    """Everything about one row."""
    energy = _energy(row)
    return Configuration(
        id=number,
        run=run,
        host=row.host,
        title=name.title,
        subtitle=name.subtitle,
        name=name.whole,
        verdict=row.verdict.value if row.verdict else None,
        problem=row.problem,
        jobs=len(row.results),
        reasons=[reason for result in row.results for reason in reasons(result.validity)],
        not_checkable={str(code): why for result in row.results for code, why in result.validity.not_checkable.items()},
        figures=_figures(row, energy[0] if energy else None),
        energy_source=energy[1] if energy else None,
        unsupported={name: why for latency in row.latencies for name, why in latency.unsupported.items()},
        histogram=_histogram(row),
        windows=[JobWindows(repeat=entry.repeat, windows=rows) for entry in row.entries if (rows := _windows(entry))],
        conditions=conditions(row),
        selection=selection_lines(row),
    )


def reasons(validity: Validity) -> list[Reason]:
    """Why a measurement is not beyond doubt."""
    return [
        Reason(code=str(finding.code), verdict=str(finding.verdict), detail=finding.detail)
        for finding in validity.reasons
    ]


def _figures(row: Row, energy_mj: float | None) -> Figures:
    return Figures(
        load_ms=row.load_ms,
        first_inference_ms=row.first_inference_ms,
        p50_ms=row.median_ms,
        interval_ms=row.interval_ms,
        p5_ms=_percentile_of_jobs(row, 5),
        p90_ms=row.percentile_ms("p90"),
        p95_ms=row.percentile_ms("p95"),
        p99_ms=row.percentile_ms("p99"),
        max_ms=max((latency.max_ms for latency in row.latencies), default=None),
        fps=row.fps,
        energy_mj=energy_mj,
        temperature_max_celsius=_hottest(row),
    )


def _percentile_of_jobs(row: Row, percent: float) -> float | None:
    values = [percentile(sorted(samples), percent) for samples in row.samples_ms]
    return median(values) if values else None


def _hottest(row: Row) -> float | None:
    key = CPU_TEMPERATURE
    found = [
        max(known)
        for entry in row.entries
        if entry.telemetry is not None
        and key in entry.telemetry.series
        and (known := recordings.in_phase(entry.telemetry, entry.telemetry.series[key]))
    ]
    return max(found, default=None)


def _energy(row: Row) -> tuple[float, str] | None:
    """Millijoules a frame, median of the jobs, and what was measured."""
    found = []
    for entry in row.entries:
        power = mean_power(entry.telemetry) if entry.telemetry is not None else None
        if power is not None and entry.result is not None and entry.result.fps:
            found.append((1000 * power[0] / entry.result.fps, power[1]))
    return (median(energy for energy, _ in found), found[0][1]) if found else None


def _histogram(row: Row) -> Histogram | None:
    """The histogram of all jobs together."""
    samples = sorted(sample for job in row.samples_ms for sample in job)
    if len(samples) < 2:
        return None
    low, high = samples[0], samples[max(1, math.ceil(HISTOGRAM_END * len(samples)) - 1)]
    bins = min(BINS, max(5, round(2 * len(samples) ** (1 / 3))) * 2)
    width = (high - low) / bins or max(abs(high), 1e-6) * 1e-3
    counts = [0] * bins
    inside = [sample for sample in samples if sample <= high]
    for sample in inside:
        counts[min(int((sample - low) / width), bins - 1)] += 1
    scatters = [latency.std_ms / latency.mean_ms for latency in row.latencies if latency.std_ms is not None]
    return Histogram(
        edges_ms=[float(f"{low + n * width:.6g}") for n in range(bins + 1)],
        counts=counts,
        beyond=len(samples) - len(inside),
        samples=len(samples),
        scatter=median(scatters) if scatters else None,
    )


def _windows(entry: Entry) -> list[WindowRow]:
    if entry.result is None:
        return []
    begin = 0.0
    if entry.telemetry is not None and (phase := recordings.timed_phase(entry.telemetry)) is not None:
        begin = phase[0]
    return [
        WindowRow(
            start_s=round(begin + window.start_s, 3),
            end_s=round(begin + window.end_s, 3),
            fps=significant(window.fps),
            p50_ms=significant(window.p50_ms),
            max_ms=significant(window.max_ms),
        )
        for window in entry.result.windows
    ]


def window_channels(entry: Entry) -> dict[str, Channel]:
    """Frames per second and latency of the windows as rows beside the telemetry; a value stands at a window's end."""
    windows = _windows(entry)
    if not windows:
        return {}
    return {
        FPS_ROW: _stepped(windows, [window.fps for window in windows]),
        LATENCY_ROW: _stepped(windows, [window.p50_ms for window in windows]),
    }


def _stepped(windows: Sequence[WindowRow], values: Sequence[float]) -> Channel:
    statistics = recordings.statistics_of(values)
    return Channel(t_s=[round(window.end_s, 2) for window in windows], values=list(values), statistics=statistics)


def conditions(row: Row) -> dict[str, str]:
    """Circumstances of a row's jobs, each as one text; several where its jobs differ."""
    spec = row.spec
    found: dict[str, str] = {}
    found["input"] = input_of(row.entries[0].request.spec)
    found["length"] = length_of(spec)
    found["warm-up"] = f"{spec.warm_up_iterations} iterations"
    for result in row.results:
        for name, value in _of_result(result).items():
            if value not in found.get(name, "").split(" | "):
                found[name] = f"{found[name]} | {value}" if name in found else value
    devices = [entry.device for entry in row.entries if entry.device is not None]
    if devices and devices[0].memory_bytes:
        found["memory of the device"] = f"{devices[0].memory_bytes / 1024**3:.1f} GiB"
    return found


def _of_result(result: BenchmarkResult) -> dict[str, str]:
    each = result.conditions
    optional = {"precision": precision_of(result), "delegate": result.delegate}
    if result.loaded_from_cache is not None:
        optional["compiled model from cache"] = "yes" if result.loaded_from_cache else "no"
    return {
        "model": result.model,
        "model digest": result.model_digest[:19] + "…",
        "runtime": f"{result.runtime} {result.runtime_version}",
        "device asked for": result.spec.device,
        "device": result.device,
        **{name: str(value) for name, value in optional.items() if value is not None},
        "threads": str(result.threads),
        "streams": str(result.streams),
        "batch": batch_of(result),
        "iterations measured": str(result.iterations),
        "machine": f"{each.cpu_model or each.machine}, {each.machine}",
        "device name": each.device_type or each.device_name,
        "CPUs allowed": f"{each.cpus_allowed:g}",
        "governor": each.governor or NOT_KNOWN,
        "kernel": each.kernel,
        "Python": each.python,
        "agent": each.agent_revision or each.agent_version,
        "load average before": NOT_KNOWN if each.load_average_before is None else f"{each.load_average_before:.2f}",
        "CPU temperature before": _celsius(each.cpu_temperature_before_celsius),
        "CPU temperature after": _celsius(each.cpu_temperature_after_celsius),
    }


def _celsius(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.1f} °C"
