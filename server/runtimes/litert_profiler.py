"""Times of single operators, from the profiler inside LiteRT's own shared library.

The library exports a C API (litert/c/*.h of LiteRT 2.x) that the Python package does not wrap. It is called through
ctypes, so a version whose API differs could crash: versions outside `SUPPORTED` are refused, and this runs in a
process of its own.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from server.runtimes.base import Array, ModelFault

SUPPORTED = ((2, 1, 6), (2, 4))
"""The first version that works, and the first not tried: 2.1.4 has another signature and aborts."""

_ALIGNMENT = 64
_CPU = 1
_FIRST = ctypes.c_size_t(0)
_TYPES = {1: "float32", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8"}
_WHOLE_GRAPH, _TFLITE_OPERATOR, _DELEGATE_OPERATOR = 1, 2, 8
_pointer = ctypes.c_void_p


class ProfilerUnavailable(Exception):
    """This LiteRT cannot be profiled; the message says why."""


class _Layout(ctypes.Structure):
    _fields_ = (("rank", ctypes.c_uint32), ("dims", ctypes.c_int32 * 8), ("strides", ctypes.c_uint32 * 8))


class _TensorType(ctypes.Structure):
    _fields_ = (("element", ctypes.c_int), ("layout", _Layout))


class _Event(ctypes.Structure):
    """LiteRtProfiledEventData; 104 bytes."""

    _fields_ = (
        ("tag", ctypes.c_char_p),
        ("kind", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", ctypes.c_size_t * 6),
        ("metadata", ctypes.c_uint64 * 2),
        ("source", ctypes.c_int),
    )


@dataclass(frozen=True)
class OperatorTime:
    """One operator of one run."""

    name: str
    index: int
    """Within its own list: that of the graph, or that of the delegate."""
    delegated: bool
    elapsed_us: float


@dataclass(frozen=True)
class ProfiledRun:
    """One run: the whole graph and its operators, in their order."""

    invoke_us: float
    operators: Sequence[OperatorTime]


class NativeModel:
    """A compiled model with its tensors in this process's memory, and its profiler.

    Not safe for use from two threads at once. What it holds is freed with the process.
    """

    def __init__(self, library: "ProfilerLibrary", model: bytes, *, threads: int, builtin: bool) -> None:
        """Compile a model for the CPU, with XNNPACK or with the built-in kernels.

        Raises ProfilerUnavailable, and ModelFault for a model that LiteRT refuses.
        """
        self._lib = library
        call, out = self._lib.call, self._lib.out
        self._content = ctypes.create_string_buffer(model, len(model))
        self._environment = out("LiteRtCreateEnvironment", 0, None)
        size = ctypes.c_size_t(len(model))
        self._model = out("LiteRtCreateModelFromBuffer", self._environment, self._content, size)
        options = out("LiteRtCreateOptions")
        call("LiteRtSetOptionsHardwareAccelerators", options, ctypes.c_int(_CPU))
        kernels = 'kernel_mode = "builtin"\n' if builtin else ""
        self._lib.add_option(options, "xnnpack", f"num_threads = {threads}\n{kernels}")
        self._lib.add_option(options, "runtime_options_string", "enable_profiling = true\n")
        self._compiled = out("LiteRtCreateCompiledModel", self._environment, self._model, options)
        self._profiler = out("LiteRtCompiledModelGetProfiler", self._compiled)
        signature = out("LiteRtGetModelSignature", self._model, _FIRST)
        self.inputs, self._input_buffers = self._tensors(signature, "Input")
        self.outputs, self._output_buffers = self._tensors(signature, "Output")

    def run(self) -> None:
        """Run once on what lies in `inputs`; raises ModelFault."""
        counts = ctypes.c_size_t(len(self.inputs)), ctypes.c_size_t(len(self.outputs))
        self._lib.call(
            "LiteRtRunCompiledModel",
            self._compiled,
            _FIRST,
            counts[0],
            self._input_buffers,
            counts[1],
            self._output_buffers,
        )

    def profile(self) -> ProfiledRun:
        """Run once with the profiler on; raises ModelFault."""
        for step in ("Reset", "Start"):
            self._lib.call(f"LiteRt{step}Profiler", self._profiler)
        self.run()
        self._lib.call("LiteRtStopProfiler", self._profiler)
        count = ctypes.c_int()
        self._lib.call("LiteRtGetNumProfilerEvents", self._profiler, ctypes.byref(count))
        events = (_Event * count.value)()
        self._lib.call("LiteRtGetProfilerEvents", self._profiler, count, events)
        return _run_of(events)

    def _tensors(self, signature: _pointer, side: str) -> tuple[list[Array], "ctypes.Array[_pointer]"]:
        count = ctypes.c_size_t()
        self._lib.call(f"LiteRtGetNumSignature{side}s", signature, ctypes.byref(count))
        arrays, buffers = [], (_pointer * count.value)()
        for number in range(count.value):
            tensor = self._lib.out(f"LiteRtGetSignature{side}TensorByIndex", signature, ctypes.c_size_t(number))
            kind = _TensorType()
            self._lib.call("LiteRtGetRankedTensorType", tensor, ctypes.byref(kind))
            array = _aligned(_shape(kind), _TYPES[kind.element])
            buffers[number] = self._lib.out(
                "LiteRtCreateTensorBufferFromHostMemory",
                ctypes.byref(kind),
                _pointer(array.ctypes.data),
                ctypes.c_size_t(array.nbytes),
                None,
            )
            arrays.append(array)
        return arrays, buffers


class ProfilerLibrary:
    """The shared library; every function returns a status, 0 for success."""

    def __init__(self) -> None:
        """Load it; raises ProfilerUnavailable for a version that was not tried."""
        installed = version("ai-edge-litert")
        numbers = tuple(int(part) for part in installed.split(".")[:3] if part.isdecimal())
        if not SUPPORTED[0] <= numbers < SUPPORTED[1]:
            raise ProfilerUnavailable(f"LiteRT {installed} has not been tried; 2.1.6 up to 2.3 have")
        spec = find_spec("ai_edge_litert")
        if spec is None or spec.origin is None:
            raise ProfilerUnavailable("ai-edge-litert is not installed")
        path = Path(spec.origin).with_name("libLiteRt.so")
        try:
            self._library = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise ProfilerUnavailable(f"{path.name}: {error}") from error
        libc = ctypes.CDLL(None)
        libc.strdup.restype, libc.strdup.argtypes = _pointer, [ctypes.c_char_p]
        self._libc = libc

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function; raises ModelFault for a status other than success."""
        try:
            function = getattr(self._library, name)
        except AttributeError as error:
            raise ProfilerUnavailable(f"this LiteRT has no {name}") from error
        if status := function(*arguments):
            raise ModelFault(f"{name} failed with status {status}")

    def out(self, name: str, *arguments: Any) -> _pointer:
        """Call a function whose last argument takes a handle, and give the handle."""
        handle = _pointer()
        self.call(name, *arguments, ctypes.byref(handle))
        return handle

    def add_option(self, options: _pointer, identifier: str, toml: str) -> None:
        """Add a group of options as TOML text, which the library frees."""
        text = _pointer(self._libc.strdup(toml.encode()))
        free = ctypes.cast(self._libc.free, _pointer)
        self.call(
            "LiteRtAddOpaqueOptions", options, self.out("LiteRtCreateOpaqueOptions", identifier.encode(), text, free)
        )


def _shape(kind: _TensorType) -> tuple[int, ...]:
    rank = kind.layout.rank & 0x7F  # the highest bit says whether there are strides
    return tuple(max(1, size) for size in kind.layout.dims[:rank])


def _aligned(shape: tuple[int, ...], dtype: str) -> Array:
    """Zeros whose memory begins at a multiple of 64 bytes, as the library demands."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + _ALIGNMENT, np.uint8)
    offset = -raw.ctypes.data % _ALIGNMENT
    return raw[offset : offset + size].view(dtype).reshape(shape)


def _run_of(events: "ctypes.Array[_Event]") -> ProfiledRun:
    whole = sum(event.elapsed_us for event in events if event.kind == _WHOLE_GRAPH and event.tag == b"Invoke")
    operators = [
        OperatorTime(
            event.tag.decode(errors="replace"),
            int(event.metadata[0]),
            event.kind == _DELEGATE_OPERATOR,
            float(event.elapsed_us),
        )
        for event in events
        if event.kind in (_TFLITE_OPERATOR, _DELEGATE_OPERATOR)
    ]
    return ProfiledRun(float(whole), operators)
