"""The matrix of `client bench`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.analysis.matrix import UsageError, expand, in_rounds, values_of
from contract.specs import Hint, label

VALUES = st.lists(st.integers(1, 16), unique=True, max_size=3)


@given(runtimes=st.lists(st.sampled_from(["litert", "tflite"]), unique=True), threads=VALUES, batches=VALUES)
def test_every_combination_once(runtimes: list[str], threads: list[int], batches: list[int]) -> None:
    """The product of the values; what has none is left to the agent."""
    specs = expand({"iterations": 5}, {"runtime": runtimes, "threads": threads, "batch": batches})
    found = {(spec.runtime, spec.threads, spec.batch) for spec in specs}
    assert len(specs) == len(found) == max(len(runtimes), 1) * max(len(threads), 1) * max(len(batches), 1)
    assert sorted({spec.runtime or "" for spec in specs}) == sorted(runtimes or [""])
    assert {spec.batch for spec in specs} == (set(batches) or {1})
    assert {spec.iterations for spec in specs} == {5}


def test_repeats_go_in_rounds() -> None:
    """A B A B, not A A B B: slow drift meets both alike."""
    specs = expand({}, {"threads": [1, 2]})
    assert [(repeat, spec.threads) for repeat, spec in in_rounds(specs, 2)] == [(0, 1), (0, 2), (1, 1), (1, 2)]


def test_lists_are_read() -> None:
    """In order, each once; None is none."""
    assert values_of("threads", "2, 1,2", int) == (2, 1)
    assert values_of("hint", "latency,throughput", Hint) == (Hint.LATENCY, Hint.THROUGHPUT)
    assert values_of("runtime", None, str) == ()


@pytest.mark.parametrize(
    ("option", "text", "kind"), [("threads", "1,x", int), ("threads", "1,,2", int), ("hint", "fast", Hint)]
)
def test_bad_lists_say_what_they_take(option: str, text: str, kind: type) -> None:
    """The option, what it takes, what it got."""
    with pytest.raises(UsageError, match=f"--{option} takes"):
        values_of(option, text, kind)


def test_limits_of_the_agent_hold_here_too() -> None:
    """A batch of 0, and both lengths at once, are refused before anything is sent; so are thousands of jobs."""
    with pytest.raises(UsageError, match="batch"):
        expand({}, {"batch": [0]})
    with pytest.raises(UsageError, match="not both"):
        expand({"iterations": 1, "duration_s": 1.0}, {})
    with pytest.raises(UsageError, match="2000 jobs"):
        in_rounds(expand({}, {"batch": [1, 2]}), 1000)


def test_labels_tell_jobs_apart() -> None:
    """What was asked for, and nothing that was left to the agent."""
    (spec,) = expand({}, {"runtime": ["tflite"], "threads": [2], "batch": [10]})
    assert label(spec) == "tflite threads 2 batch 10"
