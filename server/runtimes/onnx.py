"""ONNX Runtime: .onnx on CPU, CUDA and TensorRT. The only module that imports it.

A provider that is missing or fails is replaced by the CPU without an error, so what runs on an accelerator is read
from a trace of one inference.
"""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # it would report each session to its maker, from 1.31 on Linux too
import onnxruntime as ort

from server.runtimes import KNOWN
from server.runtimes.base import Array, Execution, FoundDevice, LoadOptions, ModelFault, ModelFiles, NodeTime, Tensor

CPU_PROVIDER = "CPUExecutionProvider"
ACCELERATORS = {"GPU": "CUDAExecutionProvider", "TENSORRT": "TensorrtExecutionProvider"}
_DTYPES = {
    "float": "float32",
    "double": "float64",
    **{name: name for name in ("float16", "int8", "uint8", "int16", "uint16", "int32", "int64", "bool")},
}
_INTEGER_OPERATORS = (b"QLinearConv", b"ConvInteger", b"DequantizeLinear", b"MatMulInteger")
_FATAL = 4
_KERNEL_TIME = "_kernel_time"

ort.set_default_logger_severity(_FATAL)


def create(version: str, *, delegates: bool) -> "OnnxRuntime":
    """The runtime; it has no safe mode, so `delegates` changes nothing."""
    return OnnxRuntime(version)


class OnnxRuntime:
    """Sessions on one provider."""

    name = "onnx"
    formats = KNOWN["onnx"].formats

    def __init__(self, version: str) -> None:
        self.version = version

    def devices(self) -> Sequence[FoundDevice]:
        """By the providers this build holds; whether one works shows when a model is loaded."""
        held = ort.get_available_providers()
        found = [FoundDevice("CPU", True, CPU_PROVIDER)]
        for name, provider in ACCELERATORS.items():
            missing = f"this build of ONNX Runtime has no {provider}: the extra `gpu` brings one that does"
            found.append(FoundDevice(name, provider in held, provider if provider in held else missing))
        return found

    def load(self, files: ModelFiles, options: LoadOptions) -> "OnnxModel":
        """Open a session; raises ModelFault, also when the asked provider runs none of the operators."""
        if options.device not in ("CPU", *ACCELERATORS):
            raise ModelFault(f"onnx runs models on CPU, {' and '.join(ACCELERATORS)}, not on {options.device}")
        try:
            return OnnxModel(files, options)
        except Exception as error:  # its exceptions have no base class of their own
            if isinstance(error, (ModelFault, MemoryError)):
                raise
            raise ModelFault(_shortened(error)) from error


class OnnxModel:
    """A session, which several threads may run at once."""

    delegate: str | None = None

    def __init__(self, files: ModelFiles, options: LoadOptions, session: Any = None) -> None:
        self._files, self._options = files, options
        self._session = session or _open(files, options)
        self.inputs = [_tensor(port, options.batch) for port in self._session.get_inputs()]
        self._names = [tensor.name for tensor in self.inputs]
        detail = None if options.device == "CPU" or session is not None else self._verify()
        self.execution = Execution(options.device, _precision(files.content, self.inputs), None, detail)

    @cached_property
    def outputs(self) -> Sequence[Tensor]:
        """Output tensors in the model's order; files often leave shapes open, so they are those of a run."""
        stored = self.invoke(*self._zeros())
        ports = self._session.get_outputs()
        return [
            Tensor(port.name, array.shape, array.dtype.name, None, None)
            for port, array in zip(ports, stored, strict=True)
        ]

    def invoke(self, *arrays: Array) -> Sequence[Array]:
        """Run once; raises ModelFault."""
        try:
            stored: Sequence[Array] = self._session.run(None, dict(zip(self._names, arrays, strict=True)))
        except Exception as error:
            raise ModelFault(_shortened(error)) from error
        return stored

    def clone(self) -> "OnnxModel":
        """The same session: its `run` may be called by several threads."""
        return OnnxModel(self._files, self._options, self._session)

    def close(self) -> None:
        """Drop the session; its memory goes with the last twin."""
        del self._session

    def _zeros(self) -> Sequence[Array]:
        return [np.zeros(tensor.shape, tensor.dtype) for tensor in self.inputs]

    def _verify(self) -> str:
        """How many operators the accelerator runs, from a trace; raises ModelFault when it runs none."""
        provider = ACCELERATORS[self._options.device]
        if provider not in self._session.get_providers():
            raise ModelFault(f"{provider} could not be started, so ONNX Runtime fell back to the CPU")
        traced = TracedModel(self._files, self._options)
        traced.run(self._zeros())
        counts = providers_in(traced.record())
        if not counts[provider]:
            raise ModelFault(f"{provider} ran none of the {counts.total()} operators")
        return f"{counts[provider]} of {counts.total()} operators on {provider}"


class TracedModel:
    """Sessions that record how long each operator takes; the record is read when a session ends."""

    def __init__(self, files: ModelFiles, options: LoadOptions) -> None:
        """Raises ModelFault."""
        self._files, self._options = files, options
        self._folder = tempfile.TemporaryDirectory(prefix="edgerun-trace-")
        self.begin()

    def begin(self) -> None:
        """Open a session; raises ModelFault."""
        try:
            self._session = _open(self._files, self._options, trace=Path(self._folder.name) / "trace")
        except Exception as error:
            raise ModelFault(_shortened(error)) from error
        self._names = [port.name for port in self._session.get_inputs()]

    def run(self, arrays: Sequence[Array]) -> None:
        """Run once; raises ModelFault."""
        try:
            self._session.run(None, dict(zip(self._names, arrays, strict=True)))
        except Exception as error:
            raise ModelFault(_shortened(error)) from error

    def end(self) -> list[list[NodeTime]]:
        """End the session and give the operators of each of its runs."""
        return node_times(self.record())

    def record(self) -> list[dict[str, Any]]:
        """End the session and give its events."""
        path = Path(self._session.end_profiling())
        events: list[dict[str, Any]] = json.loads(path.read_text())
        path.unlink()
        return events


def node_times(trace: Sequence[dict[str, Any]]) -> list[list[NodeTime]]:
    """Operators by run, from a trace of ONNX Runtime: those of a run come before its `model_run`."""
    runs: list[list[NodeTime]] = []
    nodes: list[NodeTime] = []
    for event in trace:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL_TIME):
            nodes.append(_node_time(event))
        elif event["name"] == "model_run":
            runs.append(nodes)
            nodes = []
    return runs


def _node_time(event: dict[str, Any]) -> NodeTime:
    facts = event["args"]
    outputs = facts.get("output_type_shape") or [{}]
    kind, shape = next(iter(outputs[0].items()), (None, None))
    return NodeTime(
        event["name"].removesuffix(_KERNEL_TIME),
        f"{facts['op_name']} on {facts['provider'].removesuffix('ExecutionProvider')}",
        float(event["dur"]),
        tuple(shape) if shape is not None else None,
        _DTYPES.get(kind, kind) if kind else None,
    )


def providers_in(trace: Sequence[dict[str, Any]]) -> Counter[str]:
    """How many operators each provider ran, from a trace of ONNX Runtime."""
    nodes = {
        event["name"]: event["args"]["provider"]
        for event in trace
        if event.get("cat") == "Node" and event.get("args", {}).get("provider")
    }
    return Counter(nodes.values())


def _open(files: ModelFiles, options: LoadOptions, trace: Path | None = None) -> Any:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = options.threads, 1
    settings.log_severity_level = _FATAL
    if trace is not None:
        settings.enable_profiling, settings.profile_file_prefix = True, str(trace)
    providers = [CPU_PROVIDER]
    if options.device != "CPU":
        providers.insert(0, ACCELERATORS[options.device])
    # From its file where there is one: external data lie beside it.
    return ort.InferenceSession(str(files.path) if files.path else files.content, settings, providers=providers)


def _tensor(port: Any, batch: int) -> Tensor:
    kind = port.type.removeprefix("tensor(").removesuffix(")")
    if kind not in _DTYPES:
        raise ModelFault(f"input {port.name} is a {port.type}, which edgerun cannot feed")
    shape = [size if isinstance(size, int) and size > 0 else 1 for size in port.shape]
    fixed = bool(port.shape) and isinstance(port.shape[0], int) and port.shape[0] > 0
    if batch != 1 and shape:
        if fixed:
            raise ModelFault(f"input {port.name} is fixed to {shape[0]} frames")
        shape[0] = batch
    return Tensor(port.name, tuple(shape), _DTYPES[kind], None, None)


def _precision(content: bytes, inputs: Sequence[Tensor]) -> str:
    """From the file: ONNX Runtime computes in the types of the graph."""
    if any(name in content for name in _INTEGER_OPERATORS):
        return "int8"
    return "f16" if any(tensor.dtype == "float16" for tensor in inputs) else "f32"


def _shortened(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:400] if str(error).strip() else type(error).__name__
