"""The profiler inside LiteRT: every operator of one and the same run, XNNPACK's own ones too."""

import subprocess
from collections.abc import Sequence

import numpy as np

from server.processes.children import child_command, exit_text
from server.profilers.alignment import align
from server.profilers.base import ON_CPU, Executed, MethodUnavailable, require_cpu
from server.profilers.order import ProfileOrder
from server.runtimes.base import ModelFault, ModelFiles
from server.runtimes.litert_profiler import NativeModel, ProfilerLibrary, ProfilerUnavailable
from server.runtimes.noise import noise
from server.tflite.facts import GraphFacts

METHOD = "litert-native"
TRIAL_TIMEOUT_S = 120.0


def create(order: ProfileOrder, files: ModelFiles, facts: GraphFacts | None) -> "NativeProfiler":
    """The profiler of a job, once a trial of it ended well; raises MethodUnavailable."""
    require_cpu(order)
    assert facts is not None
    profiler = NativeProfiler(order, files.content, [operator.kind for operator in facts.operators])
    survives(trial_command(order))
    return profiler


class NativeProfiler:
    """Calls LiteRT's C API."""

    method = METHOD
    rated_from_us = 10.0  # it counts whole microseconds
    execution = ON_CPU
    detail: str | None = None

    def __init__(self, order: ProfileOrder, content: bytes, kinds: Sequence[str]) -> None:
        """`kinds` are TFLite's names of the file's operators; raises MethodUnavailable."""
        self._order, self._content, self._kinds = order, content, kinds
        try:
            self._library = ProfilerLibrary()
        except ProfilerUnavailable as reason:
            raise MethodUnavailable(str(reason)) from reason

    def load(self) -> None:
        """Compile the model."""
        order = self._order
        try:
            self._model = NativeModel(self._library, self._content, threads=order.threads, builtin=order.builtin)
        except ProfilerUnavailable as reason:
            raise MethodUnavailable(str(reason)) from reason

    def feed(self, seed: int) -> None:
        """Noise in all inputs."""
        source = np.random.default_rng(seed)
        for array in self._model.inputs:
            array[...] = noise(source, array.shape, array.dtype.name)

    def plain(self) -> None:
        """The profiler is there and not started, which costs nothing that can be measured."""
        self._model.run()

    def begin(self) -> Sequence[Executed]:
        """The operators of one run."""
        operators = self._model.profile().operators
        self._count = len(operators)
        indices = align(self._kinds, operators)
        return [Executed(each.name, index, each.delegated) for each, index in zip(operators, indices, strict=True)]

    def run(self) -> tuple[float, Sequence[float]]:
        """One run with the profiler on."""
        run = self._model.profile()
        if len(run.operators) != self._count:
            raise ModelFault(f"{len(run.operators)} operators ran instead of {self._count}")
        return run.invoke_us, [operator.elapsed_us for operator in run.operators]

    def collected(self) -> None:
        """`run` tells all."""


def trial_command(order: ProfileOrder) -> list[str]:
    """What profiles a model once in a process of its own."""
    kernels = "builtin" if order.builtin else "default"
    return child_command("server.profilers.native_trial", order.model.path, order.threads, kernels)


def survives(command: Sequence[str]) -> None:
    """Run a trial; raises MethodUnavailable when it crashes, hangs or refuses.

    The profiler's interface is not a promised one: where it differs it may take its process down, and that must not
    be the job's.
    """
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TRIAL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise MethodUnavailable(f"LiteRT's profiler was not through after {TRIAL_TIMEOUT_S:g} s") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        words = f": {lines[-1]}" if lines and done.returncode > 0 else ""
        how = exit_text(done.returncode)
        raise MethodUnavailable(f"LiteRT's profiler, tried in a process of its own, {how}{words}")
