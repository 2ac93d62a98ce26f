"""A model ready on one runtime and device, for all streams of a benchmark."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from server.jobs.host.batches import Batched, open_batched
from server.jobs.host.frames import in_batches, single_frames
from server.jobs.record.events import EngineFacts
from server.jobs.record.orders import BenchmarkOrder, DeviceOrder
from server.runtimes import open_runtime
from server.runtimes.base import Array, LoadedModel, LoadOptions, ModelFault, ModelFiles, Runtime
from server.runtimes.batching import Frame, Reference

ACCELERATOR_TOLERANCE = 0.05
"""Largest difference to the CPU's results, of the largest of them: accelerators compute in half precision."""


@dataclass(frozen=True)
class Engine:
    """One runtime on one device."""

    runtime: Runtime
    device: str
    """The device as it was asked for."""
    streams: Sequence[Batched]
    groups: Sequence[Sequence[Frame]]
    """The invocations of which each iteration consists, in turn."""
    reference: Reference
    load_ms: float
    first_inference_ms: float

    @property
    def name(self) -> str:
        """Runtime and device."""
        return f"{self.runtime.name} {self.device}"

    @property
    def model(self) -> LoadedModel:
        """The first stream's."""
        return self.streams[0].model

    def facts(self) -> EngineFacts:
        """What it is, as the runtime tells."""
        execution, first = self.model.execution, self.streams[0]
        return EngineFacts(
            runtime=self.runtime.name,
            runtime_version=self.runtime.version,
            device=execution.device,
            precision=execution.precision,
            loaded_from_cache=execution.from_cache,
            delegate=self.model.delegate,
            batch_mode=first.mode,
            batch_detail=first.detail,
        )


def open_engine(order: BenchmarkOrder, candidate: DeviceOrder, files: ModelFiles) -> Engine:
    """Load a model for all streams; the first load and inference are timed. Raises ModelFault and JobFailed."""
    runtime = open_runtime(candidate.runtime, delegates=candidate.delegates)
    options = LoadOptions(
        threads=order.threads,
        streams=order.streams,
        device=candidate.device,
        precision=order.precision,
        hint=order.hint,
        cache=Path(order.cache) if order.cache else None,
    )
    if options.cache is not None:
        runtime.load(files, options).close()  # from here on it is there
    started = time.perf_counter_ns()
    single = runtime.load(files, options)
    loaded = time.perf_counter_ns()
    frames = single_frames(order, single.inputs)
    began = time.perf_counter_ns()
    stored = single.invoke(*frames[0])
    ended = time.perf_counter_ns()
    reference = Reference(frames[0], stored)
    first = open_batched(runtime, files, replace(options, batch=order.batch), single, reference)
    return Engine(
        runtime=runtime,
        device=candidate.device,
        streams=[first, *(first.clone() for _ in range(order.streams - 1))],
        groups=[first.prepare(group) for group in in_batches(frames, order.batch)],
        reference=reference,
        load_ms=(loaded - started) / 1e6,
        first_inference_ms=(ended - began) / 1e6,
    )


def check_agreement(engine: Engine, trusted: Engine) -> None:
    """See that an engine gives what another one gives for the same frame; raises ModelFault."""
    pairs = zip(engine.reference.outputs, trusted.reference.outputs, strict=True)
    for number, (found, expected) in enumerate(pairs):
        if found.shape != expected.shape:
            raise ModelFault(f"output {number} has shape {list(found.shape)} instead of {list(expected.shape)}")
        apart, largest = _largest(_real(found) - _real(expected)), _largest(_real(expected))
        if not apart <= ACCELERATOR_TOLERANCE * max(largest, 1e-6):  # also for NaN
            raise ModelFault(
                f"output {number} differs by {apart:.3g} from that of {trusted.name} (up to {largest:.3g})"
            )


def _real(array: Array) -> np.ndarray[Any, np.dtype[np.float64]]:
    return array.astype(np.float64)


def _largest(array: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    return float(np.abs(array).max(initial=0.0))
