"""What passes between the agent and a worker: one JSON object a datagram, pictures and tensors in shared memory.

JSON and not pickle, because a worker that a hostile model took over must not be able to run code in the agent.
"""

import json
from dataclasses import dataclass
from typing import Any, get_args

from contract.codes import ErrorCode
from contract.tasks import Task
from server.openinference.worker.format import BodyFormat

MAX_MESSAGE_BYTES = 64 * 1024
MAX_DETAIL_CHARS = 2000


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
    ran: Ran
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
_ANSWERS: dict[str, type[Answer]] = {kind.__name__: kind for kind in get_args(Answer)}


def encode(message: Order | Answer) -> bytes:
    """One datagram; bytes travel in shared memory."""
    fields = {name: value for name, value in vars(message).items() if not isinstance(value, bytes)}
    return json.dumps([type(message).__name__, fields], default=vars).encode()


def decode_order(datagram: bytes) -> Order:
    """Read what `encode` made of an order."""
    kind, fields = json.loads(datagram)
    fields["model"] = ModelSpec.from_wire(fields["model"])
    if kind == "Infer":
        fields["format"] = BodyFormat(**fields["format"])
    return _ORDERS[kind](**fields)


def decode_answer(datagram: bytes) -> Answer:
    """Read what `encode` made of an answer; raises ValueError, KeyError or TypeError for anything else."""
    kind, fields = json.loads(datagram)
    if kind == "Failed":
        fields["code"] = ErrorCode(fields["code"])
    if "ran" in fields:
        fields["ran"] = Ran(**fields["ran"])
    return _ANSWERS[kind](**fields)
