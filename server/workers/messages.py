"""What passes between the agent and a worker: one JSON object a datagram, pictures in shared memory beside it.

JSON and not pickle, because a worker that a hostile model took over must not be able to run code in the agent.
"""

import json
from dataclasses import dataclass
from typing import Any

from contract.codes import ErrorCode

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
class ModelSpec:
    """All a worker needs to know to load a model and feed it pictures."""

    source: ModelSource
    input_range: tuple[float, float] | list[tuple[float, float]]
    fit: str
    logits: bool

    @classmethod
    def from_wire(cls, fields: dict[str, Any]) -> "ModelSpec":
        """Rebuild from JSON, where tuples arrived as lists."""
        source, ranges = ModelSource(**fields["source"]), _ranges(fields["input_range"])
        return cls(**{**fields, "source": source, "input_range": ranges})

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
class Classify:
    """Agent to worker: the picture at offset..offset+size of the shared memory.

    The pool sets `id` and `threads`.
    """

    model: ModelSpec
    offset: int
    size: int
    top_k: int
    exact: bool
    legacy: bool
    max_pixels: int
    id: int = 0
    threads: int = 1


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


@dataclass
class Classified:
    """Worker to agent: the answer. Times are `perf_counter_ns` readings, which all processes share on Linux."""

    id: int
    indices: list[int]
    scores: list[float]
    logits: bool
    threads: int
    device: str
    """What ran the model."""
    delegate: str | None
    image: dict[str, Any]
    started_ns: int
    loaded_ns: int
    """Equal to `started_ns` when the model was loaded already."""
    decoded_ns: int
    preprocessed_ns: int
    inferred_ns: int
    done_ns: int


@dataclass(frozen=True)
class Failed:
    """Worker to agent: it could not be done."""

    id: int
    code: ErrorCode
    detail: str


Order = Prepare | Classify
Answer = Hello | Prepared | Classified | Failed

_ANSWERS: dict[str, type[Answer]] = {kind.__name__: kind for kind in (Hello, Prepared, Classified, Failed)}


def encode(message: Order | Answer) -> bytes:
    """One datagram."""
    return json.dumps([type(message).__name__, vars(message)], default=vars).encode()


def decode_order(datagram: bytes) -> Order:
    """Read what `encode` made of an order."""
    kind, fields = json.loads(datagram)
    fields["model"] = ModelSpec.from_wire(fields["model"])
    return Prepare(**fields) if kind == "Prepare" else Classify(**fields)


def decode_answer(datagram: bytes) -> Answer:
    """Read what `encode` made of an answer; raises ValueError, KeyError or TypeError for anything else."""
    kind, fields = json.loads(datagram)
    if kind == "Failed":
        fields["code"] = ErrorCode(fields["code"])
    return _ANSWERS[kind](**fields)
