"""Every request the client can make, described once for the synchronous and the asynchronous client."""

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import httpx
from pydantic import BaseModel

from contract import paths
from contract.classify import ClassifyOptions, ClassifyReply
from contract.info import AgentInfo, Health, RuntimeList
from contract.models import BlobReceipt, DefaultModel, ModelDescription, ModelList, ModelManifest, SyntheticModels
from contract.session import SessionCode

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

CHUNK_BYTES = 256 * 1024
Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes sent of it, and its size."""


@dataclass(frozen=True)
class FileBody:
    """A request body that is read from a file while it is sent."""

    path: Path
    progress: Progress | None = None

    def chunks(self) -> Iterator[bytes]:
        """The file in pieces, reporting each after it was handed over."""
        size, sent = self.size_bytes, 0
        with self.path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
                sent += len(chunk)
                if self.progress is not None:
                    self.progress(self.path.name, sent, size)

    @property
    def size_bytes(self) -> int:
        """Of the file as it is now."""
        return self.path.stat().st_size


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request and how its answer is read."""

    method: str
    path: str
    parse: Callable[[httpx.Response], T]
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | FileBody | None = None
    repeatable: bool = True
    """Whether sending it twice has the same effect as sending it once."""
    statuses: frozenset[int] = frozenset()
    """Error statuses that `parse` understands."""
    timeout_s: float | None = None


def reply_as(model: type[M]) -> Callable[[httpx.Response], M]:
    """How an answer becomes a wire type; raises pydantic's ValidationError."""
    return lambda response: model.model_validate_json(response.content)


def live() -> Call[Health]:
    """Ask whether the agent's process answers; needs no token."""
    return Call("GET", paths.HEALTH_LIVE, reply_as(Health))


def ready() -> Call[Health]:
    """Ask whether the agent can classify now."""
    return Call("GET", paths.HEALTH_READY, reply_as(Health))


def info() -> Call[AgentInfo]:
    """Ask what the agent is."""
    return Call("GET", paths.INFO, reply_as(AgentInfo))


def new_session_code() -> Call[SessionCode]:
    """Ask for a code that lets a browser in, once."""
    return Call("POST", paths.SESSION_CODES, reply_as(SessionCode))


def classify(picture: bytes, model: str | None, options: ClassifyOptions) -> Call[ClassifyReply]:
    """Classify the bytes of one picture file. It changes nothing on the agent, so it may be sent again."""
    path = paths.CLASSIFY if model is None else paths.CLASSIFY_WITH.format(name=model)
    params = options.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    headers = {"Content-Type": "application/octet-stream"}
    return Call("POST", path, reply_as(ClassifyReply), params=params, headers=headers, body=picture)


def runtimes() -> Call[RuntimeList]:
    """Ask for runtimes and their devices; drivers may take their time."""
    return Call("GET", paths.RUNTIMES, reply_as(RuntimeList), timeout_s=RUNTIMES_TIMEOUT_S)


def models() -> Call[ModelList]:
    """List the agent's models."""
    return Call("GET", paths.MODELS, reply_as(ModelList))


def model(name: str) -> Call[ModelDescription]:
    """Describe one model."""
    return Call("GET", paths.MODEL.format(name=name), reply_as(ModelDescription))


def synthetic_models() -> Call[SyntheticModels]:
    """List the models that the agent can write itself."""
    return Call("GET", paths.SYNTHETIC_MODELS, reply_as(SyntheticModels))


def write_model(name: str) -> Call[ModelDescription]:
    """Have the agent write a synthetic model and try it."""
    path = paths.SYNTHETIC_MODEL.format(name=name)
    return Call("PUT", path, reply_as(ModelDescription), timeout_s=PUT_MODEL_TIMEOUT_S)


def delete_model(name: str) -> Call[None]:
    """Remove a model. Not repeated by itself: a second attempt could not tell success from absence."""
    return Call("DELETE", paths.MODEL.format(name=name), lambda _: None, repeatable=False)


def default_model() -> Call[DefaultModel]:
    """Ask which model answers when a request names none."""
    return Call("GET", paths.DEFAULT_MODEL, reply_as(DefaultModel))


def choose_default_model(name: str) -> Call[DefaultModel]:
    """Choose the model that answers when a request names none."""
    body = DefaultModel.model_construct(name=name).model_dump_json().encode()
    return Call("PUT", paths.DEFAULT_MODEL, reply_as(DefaultModel), headers=JSON_HEADERS, body=body)


JSON_HEADERS = {"Content-Type": "application/json"}
RUNTIMES_TIMEOUT_S = 90.0
PUT_MODEL_TIMEOUT_S = 120.0
"""The agent tries the model in each of its runtimes before it answers."""


def put_blob(digest: str, path: Path, progress: Progress | None = None) -> Generator[Call[Any], Any, None]:
    """The calls that put a file on an agent under its digest; one that is there already is not sent again."""
    held = yield Call("HEAD", paths.BLOB.format(digest=digest), _exists, statuses=frozenset({404}))
    if not held:
        body = FileBody(path, progress)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(body.size_bytes)}
        yield Call("PUT", paths.BLOB.format(digest=digest), reply_as(BlobReceipt), headers=headers, body=body)


def push_model(
    name: str, manifest: ModelManifest, files: Mapping[str, Path], progress: Progress | None = None
) -> Generator[Call[Any], Any, ModelDescription]:
    """The calls that put a model on an agent: files it lacks, then the manifest that names them by digest."""
    for digest, path in files.items():
        yield from put_blob(digest, path, progress)
    document = manifest.model_dump_json(exclude_none=True).encode()
    description: ModelDescription = yield Call(
        "PUT",
        paths.MODEL.format(name=name),
        reply_as(ModelDescription),
        headers=JSON_HEADERS,
        body=document,
        timeout_s=PUT_MODEL_TIMEOUT_S,
    )
    return description


def _exists(response: httpx.Response) -> bool:
    return response.status_code != httpx.codes.NOT_FOUND


def file_digest(path: Path) -> str:
    """The digest of a file as the agent writes it."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
