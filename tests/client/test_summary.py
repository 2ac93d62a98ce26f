"""Tables of runs: what is shown, what is marked, and what is never called the best."""

from typing import Any

import pytest

from client.analysis.alignment import align, sentences
from client.analysis.ranking import verdict_lines
from client.analysis.summary import footnotes, rows_of, title
from contract.jobs import JobState
from contract.results import BatchMode
from contract.validity import Verdict
from tests.client.made_runs import made_entry, made_run, samples_around


def test_an_unreliable_run_is_never_the_best() -> None:
    """The fastest one is unreliable: it is named as not ranked, and in no ratio."""
    run = made_run(
        made_entry(samples_around(1.0, 200, 1), Verdict.UNRELIABLE, threads=1),
        made_entry(samples_around(2.0, 200, 2), Verdict.OK, threads=2),
        made_entry(samples_around(4.0, 200, 3), Verdict.SUSPECT, threads=4),
    )
    lines = verdict_lines(rows_of(run))
    assert lines[0].startswith("threads 2 is 2.0")
    assert lines[0].endswith("times faster than threads 4 [suspect]")
    assert "not ranked, because unreliable: threads 1" in lines
    assert not [line for line in lines if "faster" in line and "threads 1" in line]


def test_alike_runs_are_not_ranked() -> None:
    """No sentence where the intervals do not separate."""
    run = made_run(
        made_entry(samples_around(1.0, 50, 1, 0.3), threads=1), made_entry(samples_around(1.0, 50, 2, 0.3), threads=2)
    )
    assert verdict_lines(rows_of(run)) == []


def test_batches_are_compared_by_their_frame_rate() -> None:
    """A batch of 10 takes longer and gives more frames: latencies of different batches are not compared."""
    run = made_run(made_entry(samples_around(1.0, 100, 1), batch=1), made_entry(samples_around(5.0, 100, 2), batch=10))
    lines = verdict_lines(rows_of(run))
    assert lines[0].startswith("batch 10 gives 2.0")
    assert lines[0].endswith("times the frames per second of batch 1")


def test_repeats_make_one_row() -> None:
    """Median of medians, with their range; the worst verdict; missing ones are counted."""
    run = made_run(
        made_entry([1.0] * 10, repeat=0, threads=1),
        made_entry([3.0] * 10, Verdict.SUSPECT, repeat=1, threads=1),
        made_entry([2.0] * 10, repeat=2, threads=1),
        made_entry(None, state=JobState.FAILED, repeat=3, threads=1),
    )
    (row,) = rows_of(run)
    assert (row.median_ms, row.interval_ms, row.verdict) == (2.0, (1.0, 3.0), Verdict.SUSPECT)
    assert row.problem == "failed"


def test_what_is_missing_is_explained_once() -> None:
    """Percentiles the sample cannot support, loops for batches, failures and findings."""
    loop = {"batch_mode": BatchMode.LOOP, "batch_detail": "the graph takes one frame"}
    run = made_run(
        made_entry([1.0] * 10, batch=10, fields=loop),
        made_entry([1.0] * 10, Verdict.SUSPECT, batch=1),
        made_entry(None, state=JobState.CANCELLED, batch=2),
    )
    notes = footnotes(rows_of(run))
    assert notes.count("p99 n/a: needs 662 samples") == 1
    assert "batch 10 as a loop: the graph takes one frame" in notes
    assert "batch 1: suspect: it drifted" in notes
    assert "batch 2: cancelled" in notes


def test_titles_name_what_differs() -> None:
    """Only that; the host where there are several."""
    samples = samples_around(1.0, 20)
    run = made_run(*(made_entry(samples, host=host, threads=n) for host in ("a", "b") for n in (1, 2)))
    rows = rows_of(run)
    assert [title(row, rows) for row in rows] == ["a threads 1", "a threads 2", "b threads 1", "b threads 2"]


def test_runs_are_aligned_by_what_varies_within_them() -> None:
    """Threads vary within the runs and align; the runtime is constant in each and is the difference."""
    runs = [
        made_run(*(made_entry(samples_around(speed * n, 100, n), runtime=runtime, threads=n) for n in (1, 2)))
        for runtime, speed in (("tflite", 2.0), ("litert", 1.0))
    ]
    alignment = align(runs)
    assert [line.name for line in alignment.lines] == ["threads 1", "threads 2"]
    assert alignment.differences["runtime"] == ("tflite", "litert")
    for line in alignment.lines:
        cell = line.cells[1]
        assert cell is not None
        assert cell.ratio is not None
        assert cell.ratio.low < 2 < cell.ratio.high


@pytest.mark.parametrize(
    ("axis", "values", "facts", "label"),
    [
        ("precision", ("f32", "f16"), ({"precision": "f32"}, {"precision": "f16"}), "precision"),
        ("model_cache", (False, True), ({"loaded_from_cache": False}, {"loaded_from_cache": True}), "cache"),
        ("hint", ("latency", "throughput"), ({}, {}), "hint"),
        ("device", ("CPU", "GPU"), ({"device": "CPU"}, {"device": "GPU"}), "device"),
        ("runtime", ("litert", "openvino"), ({}, {}), "runtime"),
        ("model", ("a", "b"), ({"model": "a"}, {"model": "b"}), "model"),
        ("batch", (1, 2), ({}, {}), "batch"),
    ],
)
def test_compare_keeps_every_configuration_and_names_what_differs(
    axis: str, values: tuple[Any, Any], facts: tuple[dict[str, Any], dict[str, Any]], label: str
) -> None:
    """Runs that vary something align by it; where it is constant in each, every ratio says that it is not the same."""
    entries = [
        made_entry(samples_around(speed, 100, number), fields=fields, **{axis: value})
        for number, (speed, value, fields) in enumerate(zip((2.0, 1.0), values, facts, strict=True))
    ]
    both = align([made_run(*entries), made_run(*entries)])
    assert len(both.lines) == 2
    assert [cell is not None and cell.ratio is not None for line in both.lines for cell in line.cells[1:]] == [True] * 2
    assert not both.differences
    apart = align([made_run(entries[0]), made_run(entries[1])])
    assert label in apart.differences
    (line,) = apart.lines
    assert line.cells[1] is not None
    assert label in line.cells[1].with_what
    assert line.cells[1].with_what in sentences(["x", "y"], apart)[0]


def test_compare_loses_no_configuration_that_it_cannot_tell_apart() -> None:
    """What differs in something that no facet tells, such as the length, is counted."""
    run = made_run(*(made_entry(samples_around(1.0, 100, n), iterations=100 + n) for n in range(3)))
    assert [line.name for line in align([run, run]).lines] == ["all", "(2)", "(3)"]


def test_compare_refuses_unreliable_and_says_what_differs() -> None:
    """No ratio on either side of an unreliable measurement; digests and inputs that differ are listed."""
    other = {"model_digest": "sha256:" + "2" * 64}
    first = made_run(made_entry(samples_around(1.0, 100, 1), Verdict.UNRELIABLE))
    second = made_run(
        made_entry(samples_around(1.0, 100, 1), fields=other), made_entry(samples_around(1.0, 9), fields=other, batch=2)
    )
    alignment = align([first, second])
    assert alignment.differences["model digest"] == ("sha256:" + "1" * 12, "sha256:" + "2" * 12)
    cell = alignment.lines[0].cells[1]
    assert cell is not None
    assert cell.ratio is None
    assert cell.why_not == "not ranked: the first run is unreliable"
    assert alignment.lines[1].cells[0] is None
