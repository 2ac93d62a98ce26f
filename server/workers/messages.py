"""What passes between the agent and a worker: small datagrams, with pictures and tensors in shared memory.

Orders are marshalled, which takes the least time: a worker believes its agent, and both run the same Python. Answers
are JSON or plain numbers, because a worker that a hostile model took over must not be able to run code in the agent.
"""

import json
import marshal
import struct
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import Any, get_args

from contract.codes import ErrorCode
from contract.tasks import Task
from contract.tensors import CODINGS
from server.openinference.worker.format import BodyFormat

MAX_MESSAGE_BYTES = 64 * 1024
MAX_DETAIL_CHARS = 2000
SPECS_KEPT = 8
"""Models whose spec a worker does not parse anew with every order."""

_NONE = -1
_INFERRED = struct.Struct("<c11q")
_INFERRED_MARK = b"#"
"""Begins no JSON that is an answer."""
_ENCODER = json.JSONEncoder(default=vars, separators=(",", ":"))
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class ModelSource:
    """Where a model's files are."""

    format: str
    path: str
    """The path of the main file."""
    digest: str
    """The digest of all files: `contract.models.identity`."""
    parts: dict[str, str]
    """Paths of the others by name; they lie beside the main one under these names."""


@dataclass(frozen=True)
class ImageFeed:
    """How a picture becomes a model's input."""

    input_range: tuple[float, float] | list[tuple[float, float]]
    fit: str

    @classmethod
    def from_wire(cls, fields: dict[str, Any]) -> "ImageFeed":
        """Rebuild from JSON, where tuples arrived as lists."""
        return cls(_ranges(fields["input_range"]), fields["fit"])


@dataclass(frozen=True)
class ModelSpec:
    """All a worker needs to know to load a model, feed it and read what it gives."""

    source: ModelSource
    task: Task
    image: ImageFeed | None
    """None for a model that takes no picture."""
    reading: dict[str, str]
    """What the task must know to read the outputs: `outputs` (logits or probabilities) of a classifier, `form` and
    `coordinates` of a detector."""
    labels: str | None = None
    """The path of the label file."""

    @cached_property
    def wire(self) -> bytes:
        """The spec as orders carry it: JSON, since marshal knows no enumerations."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_wire(cls, fields: dict[str, Any]) -> "ModelSpec":
        """Rebuild from JSON."""
        image = fields["image"]
        return cls(
            source=ModelSource(**fields["source"]),
            task=Task(fields["task"]),
            image=ImageFeed.from_wire(image) if image else None,
            reading=fields["reading"],
            labels=fields["labels"],
        )

    @property
    def digest(self) -> str:
        """The digest of all files."""
        return self.source.digest


def _ranges(value: list[Any]) -> tuple[float, float] | list[tuple[float, float]]:
    if isinstance(value[0], list):
        return [(low, high) for low, high in value]
    return (value[0], value[1])


@dataclass(frozen=True)
class Prepare:
    """Agent to worker: have this model loaded before it is needed."""

    id: int
    model: ModelSpec
    threads: int


@dataclass
class Predict:
    """Agent to worker: what does the model's task find in the picture at offset..offset+size of the shared memory?

    The pool sets `id` and `threads`.
    """

    model: ModelSpec
    offset: int
    size: int
    headroom: int | None
    """How far a JPEG may be decoded reduced: see `image_model.preprocess.decode`."""
    max_pixels: int
    options: dict[str, Any]
    """The task's own."""
    id: int = 0
    threads: int = 1


@dataclass
class Infer:
    """Agent to worker: run the model on the tensors that a body of the Open Inference Protocol brings.

    The body lies at offset..offset+size of the shared memory; the answer's body goes into the worker's own result
    memory, from `result_offset`. The pool sets `id` and `threads`, the process `result_offset`.
    """

    model: ModelSpec
    name: str
    """The name the model was asked for by."""
    offset: int
    size: int
    format: BodyFormat
    max_pixels: int
    id: int = 0
    threads: int = 1
    result_offset: int = 0


@dataclass(frozen=True)
class Born:
    """Worker to agent, from one that was forked: it has begun, under this process id."""

    pid: int


@dataclass(frozen=True)
class Hello:
    """Worker to agent: the runtime is imported and ran the embedded model once."""

    runtime: str
    version: str
    device: str
    delegate: str | None
    load_ms: float | None
    first_inference_ms: float | None
    """Milliseconds that the embedded model took; None for a runtime that cannot read it."""


@dataclass(frozen=True)
class Prepared:
    """Worker to agent: the model is loaded."""

    id: int


@dataclass(frozen=True)
class Ran:
    """How a model was run."""

    threads: int
    device: str
    """What really ran it."""
    delegate: str | None


@dataclass
class Predicted:
    """Worker to agent: the answer. Times are `perf_counter_ns` readings, which all processes share on Linux."""

    id: int
    result: dict[str, Any]
    """What the task found."""
    ran: Ran
    image: dict[str, Any]
    started_ns: int
    loaded_ns: int
    """Equal to `started_ns` when the model was loaded already."""
    decoded_ns: int
    preprocessed_ns: int
    inferred_ns: int
    suppression_ns: int | None
    """Nanoseconds of non-maximum suppression between `inferred_ns` and `done_ns`."""
    done_ns: int


@dataclass
class Inferred:
    """Worker to agent: the answer's body lies in the worker's result memory. Times as in `Predicted`."""

    id: int
    size: int
    header_bytes: int | None
    """Bytes of JSON at the answer's beginning, after which binary tensors follow; None for JSON alone."""
    coding: str | None
    """How the answer is compressed."""
    batch: int
    """Inferences in this request."""
    executions: int
    """Runs of the model that they took."""
    started_ns: int
    loaded_ns: int
    prepared_ns: int
    """When the inputs were read and checked."""
    inferred_ns: int
    done_ns: int
    body: bytes = b""
    """Filled in by the agent's end."""


@dataclass(frozen=True)
class Failed:
    """Worker to agent: it could not be done."""

    id: int
    code: ErrorCode
    detail: str


Work = Predict | Infer
"""Orders that somebody waits for."""
Done = Predicted | Inferred
Order = Prepare | Work
Answer = Born | Hello | Prepared | Done | Failed

ANSWERED_BY: dict[type[Order], type[Answer]] = {Prepare: Prepared, Predict: Predicted, Infer: Inferred}
"""What a worker that is well answers to each order."""

_ORDERS: dict[str, type[Order]] = {kind.__name__: kind for kind in (Prepare, Predict, Infer)}
_ANSWERS: dict[str, type[Answer]] = {kind.__name__: kind for kind in get_args(Answer) if kind is not Inferred}


def encode_order(order: Order) -> bytes:
    """One datagram; the model's spec is in it as it was made once for many."""
    fields = {**vars(order), "model": order.model.wire}
    if isinstance(order, Infer):
        fields["format"] = vars(order.format)
    return marshal.dumps((type(order).__name__, fields))


def decode_order(datagram: bytes) -> Order:
    """Read what `encode_order` made."""
    kind, fields = marshal.loads(datagram)
    fields["model"] = _spec(fields["model"])
    if kind == "Infer":
        fields["format"] = BodyFormat(**fields["format"])
    return _ORDERS[kind](**fields)


@lru_cache(maxsize=SPECS_KEPT)
def _spec(wire: bytes) -> ModelSpec:
    return ModelSpec.from_wire(json.loads(wire))


def encode_answer(answer: Answer) -> bytes:
    """One datagram; an answer's body travels in shared memory."""
    if isinstance(answer, Inferred):
        return _packed(answer)
    return _ENCODER.encode([type(answer).__name__, vars(answer)]).encode()


def decode_answer(datagram: bytes) -> Answer:
    """Read what `encode_answer` made of an answer; raises ValueError, KeyError or TypeError for anything else."""
    if datagram.startswith(_INFERRED_MARK):
        return _unpacked(datagram)
    kind, fields = _DECODER.decode(datagram.decode())
    if kind == "Failed":
        fields["code"] = ErrorCode(fields["code"])
    if "ran" in fields:
        fields["ran"] = Ran(**fields["ran"])
    return _ANSWERS[kind](**fields)


def _packed(answer: Inferred) -> bytes:
    return _INFERRED.pack(
        _INFERRED_MARK,
        answer.id,
        answer.size,
        _NONE if answer.header_bytes is None else answer.header_bytes,
        _NONE if answer.coding is None else CODINGS.index(answer.coding),
        answer.batch,
        answer.executions,
        answer.started_ns,
        answer.loaded_ns,
        answer.prepared_ns,
        answer.inferred_ns,
        answer.done_ns,
    )


def _unpacked(datagram: bytes) -> Inferred:
    if len(datagram) != _INFERRED.size:
        raise ValueError(f"{len(datagram)} bytes where {_INFERRED.size} belong")
    _, number, size, header_bytes, coding, *counts = _INFERRED.unpack(datagram)
    if header_bytes != _NONE and not 0 <= header_bytes <= size:
        raise ValueError(f"a header of {header_bytes} bytes in a body of {size}")
    return Inferred(
        number,
        size,
        None if header_bytes == _NONE else header_bytes,
        None if coding == _NONE else CODINGS[coding],
        *counts,
    )
