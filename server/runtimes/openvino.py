"""OpenVINO: .tflite, IR and ONNX on CPU, GPU, NPU and graphs split over several. The only module that imports it.

Configuration as in OpenVINO's documentation of its CPU, GPU and AUTO plug-ins.
"""

import contextlib
import re
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import openvino as ov

from server.runtimes import KNOWN
from server.runtimes.base import Array, Execution, FoundDevice, LoadOptions, ModelFault, ModelFiles, NodeTime, Tensor

_WEIGHTED = ("Convolution", "FullyConnected", "MatMul", "RNNSeq", "Deconvolution")
_PRECISIONS = {"f32": "f32", "f16": "f16", "bf16": "bf16", "u8": "int8", "i8": "int8"}
_KERNEL_FACTS = ("layerType", "primitiveType", "runtimePrecision")
_HINTS = {"latency": "LATENCY", "throughput": "THROUGHPUT"}
Scales = tuple[Sequence[tuple[float, int] | None], Sequence[tuple[float, int] | None]]
"""Scale and zero point of inputs and outputs."""
_KNOWN_DEVICES = ("CPU", "GPU", "NPU")


def create(version: str, *, delegates: bool) -> "OpenVinoRuntime":
    """The runtime; it has no safe mode, so `delegates` changes nothing."""
    return OpenVinoRuntime(version)


class OpenVinoRuntime:
    """One core, which keeps its plug-ins loaded."""

    name = "openvino"
    formats = KNOWN["openvino"].formats

    def __init__(self, version: str) -> None:
        self.version = version
        self._core = ov.Core()

    def devices(self) -> Sequence[FoundDevice]:
        """As the plug-ins tell; for those that are not there, what loading them ended with."""
        available = list(self._core.available_devices)
        found = [FoundDevice(name, True, str(self._core.get_property(name, "FULL_DEVICE_NAME"))) for name in available]
        missing = [name for name in _KNOWN_DEVICES if not any(name == other.split(".")[0] for other in available)]
        return [*found, *(FoundDevice(name, False, self._why_not(name)) for name in missing)]

    def load(self, files: ModelFiles, options: LoadOptions) -> "OpenVinoModel":
        """Compile a model for a device; several such as `HETERO:GPU,CPU` split the graph. Raises ModelFault."""
        try:
            if files.path is None:  # the cache knows a model by its path, and this one's is new each time
                options = replace(options, cache=None)
            with files.on_disk() as path:
                compiled = self._compile(path, options)
            return OpenVinoModel(compiled, options, _scales(files))
        except RuntimeError as error:
            raise ModelFault(_shortened(error)) from error

    def _compile(self, path: Any, options: LoadOptions) -> Any:
        config = _config(options)
        if options.batch == 1:
            compiled = self._core.compile_model(path, options.device, config)  # skips reading what is in the cache
            if all(port.partial_shape.is_static for port in compiled.inputs):
                return compiled
        model = self._core.read_model(path)
        model.reshape({port: _fixed(port.partial_shape, options.batch) for port in model.inputs})
        return self._core.compile_model(model, options.device, config)

    def _why_not(self, device: str) -> str:
        try:
            self._core.get_property(device, "FULL_DEVICE_NAME")
        except RuntimeError as error:
            if "Cannot load library" in str(error):
                return _shortened(error)
        return f"OpenVINO finds no {device} on this machine"


class OpenVinoModel:
    """One inference request of a compiled model."""

    delegate: str | None = None

    def __init__(self, compiled: Any, options: LoadOptions, scales: Scales) -> None:
        self._made_from = compiled, options, scales
        self._request = compiled.create_infer_request()
        self.inputs: Sequence[Tensor] = _tensors(compiled.inputs, scales[0])
        self.outputs: Sequence[Tensor] = _tensors(compiled.outputs, scales[1])
        self._sources: Sequence[Array] = ()
        self._sinks = list(self._request.output_tensors)
        self._devices = _devices(compiled, options)

    @cached_property
    def execution(self) -> Execution:
        """Device and precision that run it; reading the executed graph takes as long as an inference, not in load."""
        compiled, options, _ = self._made_from
        from_cache = None
        if options.cache is not None:
            with contextlib.suppress(RuntimeError):
                from_cache = bool(compiled.get_property("LOADED_FROM_CACHE"))
        return Execution(",".join(self._devices), _precision_of(compiled), from_cache)

    def invoke(self, *arrays: Array) -> Sequence[Array]:
        """Run once on arrays that are read where they lie; the outputs are copies. Raises ModelFault."""
        if len(arrays) != len(self.inputs):
            raise ModelFault(f"{len(arrays)} arrays for {len(self.inputs)} inputs")
        for tensor, array in zip(self.inputs, arrays, strict=True):  # OpenVINO itself would cast and broadcast
            if array.shape != tensor.shape or array.dtype.name != tensor.dtype:
                wanted = f"{tensor.dtype} {list(tensor.shape)}"
                raise ModelFault(f"input {tensor.name} takes {wanted}, not {array.dtype} {list(array.shape)}")
        try:
            # Held as long as the request reads them. It takes no array that it might not write into.
            self._sources = [np.require(array, None, ["C", "W"]) for array in arrays]
            for number, array in enumerate(self._sources):  # a third of the time of handing them to `infer`
                self._request.set_input_tensor(number, ov.Tensor(array, shared_memory=True))
            self._request.infer(None, share_outputs=True)
            return [np.array(sink.data) for sink in self._sinks]
        except RuntimeError as error:
            raise ModelFault(_shortened(error)) from error

    def node_times(self) -> tuple[list[NodeTime], int]:
        """The executed operators of the last run, and how many more were optimised away; with `profile` only."""
        nodes = self._request.get_profiling_info()
        executed = [node for node in nodes if node.status == ov.ProfilingInfo.Status.EXECUTED]
        times = [
            NodeTime(
                node.node_name,
                f"{node.node_type} {node.exec_type}",
                node.real_time.total_seconds() * 1e6,
                self._shapes.get(node.node_name),
            )
            for node in executed
        ]
        return times, len(nodes) - len(executed)

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of the first output of each operator of the executed graph."""
        operators = self._made_from[0].get_runtime_model().get_ops()
        sized = ((each, each.output(0)) for each in operators if each.get_output_size())
        return {each.get_friendly_name(): tuple(map(int, port.shape)) for each, port in sized}

    def clone(self) -> "OpenVinoModel":
        """Another request of the same compiled model."""
        return OpenVinoModel(*self._made_from)

    def close(self) -> None:
        """Drop the request; the compiled model goes with its last one."""
        del self._sources, self._sinks, self._request, self._made_from


def _config(options: LoadOptions) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if options.hint is not None:
        config["PERFORMANCE_HINT"] = _HINTS[options.hint]
        config["PERFORMANCE_HINT_NUM_REQUESTS"] = options.streams
    if options.device == "CPU":
        # Pinned threads of two processes would share one core while others idle.
        config |= {"NUM_STREAMS": options.streams, "INFERENCE_NUM_THREADS": options.streams * options.threads}
        config |= {"ENABLE_CPU_PINNING": False}
    if ":" not in options.device:
        # Left to itself the CPU plug-in rounds to bf16 or f16, which is another result and another speed.
        config["INFERENCE_PRECISION_HINT"] = options.precision or "f32"
    if options.profile:
        config["PERF_COUNT"] = True
    if options.cache is not None:
        config["CACHE_DIR"] = str(options.cache)
    return config


def _fixed(shape: Any, batch: int) -> list[int]:
    """A shape without unknowns: the first dimension is the batch, what else is free becomes 1."""
    sizes = [size.get_length() if size.is_static else 1 for size in shape]
    return [sizes[0] * batch, *sizes[1:]] if sizes else sizes


def _scales(files: ModelFiles) -> Scales:
    """The scales of a TFLite file's inputs and outputs: OpenVINO reads the graph but does not pass them on."""
    if files.format != "tflite":
        return [], []
    try:
        from server.tflite.patch import quantisation  # the schema comes with litert

        return quantisation(files.content)
    except (ImportError, ValueError, IndexError, TypeError, struct.error) as error:
        raise ModelFault(f"the scales of its tensors cannot be read: {error}") from error


def _tensors(ports: Sequence[Any], scales: Sequence[tuple[float, int] | None]) -> list[Tensor]:
    found = []
    for number, port in enumerate(ports):
        scale, zero_point = (scales[number] if number < len(scales) else None) or (None, None)
        name = sorted(port.names)[0] if port.names else f"{number}"
        shape = tuple(int(size) for size in port.shape)
        found.append(Tensor(name, shape, np.dtype(port.element_type.to_dtype()).name, scale, zero_point))
    return found


def _devices(compiled: Any, options: LoadOptions) -> list[str]:
    """What runs it; raises ModelFault for another device than was asked for."""
    devices = [str(device).strip("()") for device in compiled.get_property("EXECUTION_DEVICES")]
    wanted = options.device.split(":")[-1].split(",")
    unknown = [device for device in devices if device.split(".")[0] not in {name.split(".")[0] for name in wanted}]
    if unknown:
        raise ModelFault(f"asked for {options.device}, but it runs on {', '.join(devices)}")
    return devices


def _precision_of(compiled: Any) -> str | None:
    """The precision of most weighted operators, by the names of their kernels, such as `brgconv_avx512_1x1_bf16`."""
    found: Counter[str | None] = Counter()
    try:
        operators = compiled.get_runtime_model().get_ops()
    except RuntimeError:  # not every plug-in shows its graph
        return None
    for operator in operators:
        facts = {name: value.astype(str) for name, value in operator.get_rt_info().items() if name in _KERNEL_FACTS}
        if facts.get("layerType") in _WEIGHTED:
            kernel = facts.get("primitiveType", "").rpartition("_")[2]
            found[_PRECISIONS.get(kernel) or _PRECISIONS.get(facts.get("runtimePrecision", ""))] += 1
    return max(found, key=found.__getitem__) if found else None


def _shortened(error: Exception) -> str:
    """OpenVINO's message without the places in its sources."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not re.match(r"(Exception from|Check .* failed at) ", line)]
    return re.sub(r'"\S*/([^/" ]+)"', r"\1", " ".join(told))[:400] or str(error)[:400]
