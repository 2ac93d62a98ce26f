"""Every request the client can make, described once for the synchronous and the asynchronous client."""

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from client.errors import EdgeError, Malformed
from client.sdk.answers import DOCUMENT_MAX_BYTES, LARGE_MAX_BYTES, Answer, nothing, reply_as
from client.sdk.tensors import REPLY_MAX_BYTES, Tensor, body_of, outputs_of
from contract import paths
from contract.classify import ClassifyOptions, ClassifyReply, ImageOptions
from contract.detect import DetectOptions, DetectReply
from contract.info import AgentInfo, Health, RuntimeList
from contract.lease import LeaseTime
from contract.models import BlobReceipt, DefaultModel, ModelDescription, ModelList, ModelManifest, SyntheticModels
from contract.session import SessionCode

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

NAME_IN_URL_MAX = 500
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
        try:
            with self.path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
                    sent += len(chunk)
                    if self.progress is not None:
                        self.progress(self.path.name, sent, size)
        except OSError as error:
            raise EdgeError(f"{self.path}: {error.strerror or error}") from error

    @property
    def size_bytes(self) -> int:
        """The size of the file as it is now."""
        return self.path.stat().st_size


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request and how its answer is read."""

    method: str
    path: str
    parse: Callable[[Answer], T]
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | FileBody | None = None
    repeatable: bool = True
    """Whether sending it twice has the same effect as sending it once."""
    statuses: frozenset[int] = frozenset()
    """Error statuses that `parse` understands."""
    timeout_s: float | None = None
    bytes_max: int = DOCUMENT_MAX_BYTES
    """What the answer may be long."""


class BadName(EdgeError):
    """A name that cannot be asked for."""

    exit_code = 2


def located(template: str, **names: str) -> str:
    """A path on the agent with names in it, quoted so that each stays one part of it; raises BadName."""
    for kind, name in names.items():
        if name in ("", ".", "..") or len(name) > NAME_IN_URL_MAX or not name.isprintable():
            raise BadName(f"{name[:80]!a} is no {kind}", hint="`client jobs ls` and `client models ls` list them")
    return template.format(**{kind: quote(name, safe=":") for kind, name in names.items()})


def about(model: type[M], field: str, value: str) -> Callable[[Answer], M]:
    """How an answer becomes a wire type that must be of what was asked for; raises Malformed."""
    read = reply_as(model)

    def parse(answer: Answer) -> M:
        found = read(answer)
        if (named := getattr(found, field)) != value:
            raise Malformed(f"it is about {str(named)[:80]!a}, not about {value[:80]!a}")
        return found

    return parse


def live() -> Call[Health]:
    """Ask whether the agent's process answers; needs no token."""
    return Call("GET", paths.HEALTH_LIVE, reply_as(Health))


def ready() -> Call[Health]:
    """Ask whether the agent can classify now."""
    return Call("GET", paths.HEALTH_READY, reply_as(Health))


def info() -> Call[AgentInfo]:
    """Ask what the agent is."""
    return Call("GET", paths.INFO, reply_as(AgentInfo))


def lease() -> Call[LeaseTime]:
    """Ask how long the device is ours."""
    return Call("GET", paths.LEASE, reply_as(LeaseTime))


def set_lease(left_s: float | None) -> Call[LeaseTime]:
    """Say how long the device is ours; said twice it is the same."""
    body = LeaseTime(left_s=left_s).model_dump_json().encode()
    return Call("PUT", paths.LEASE, reply_as(LeaseTime), headers=JSON_HEADERS, body=body)


def new_session_code() -> Call[SessionCode]:
    """Ask for a code that lets a browser in, once."""
    return Call("POST", paths.SESSION_CODES, reply_as(SessionCode))


def classify(image: bytes, model: str | None, options: ClassifyOptions) -> Call[ClassifyReply]:
    """Classify the bytes of one picture file. It changes nothing on the agent, so it may be sent again."""
    path = paths.CLASSIFY if model is None else located(paths.CLASSIFY_WITH, name=model)
    return _about_image(path, image, options, ClassifyReply)


def infer(model: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> Call[dict[str, Tensor]]:
    """Run a model on tensors; raises NoTensor. It changes nothing on the agent, so it may be sent again."""
    body, headers = body_of(inputs, outputs)
    path = located(paths.V2_INFER, name=model)
    return Call("POST", path, outputs_of, headers=headers, body=body, bytes_max=REPLY_MAX_BYTES)


def detect(image: bytes, model: str, options: DetectOptions) -> Call[DetectReply]:
    """Find objects in the bytes of one picture file. It changes nothing on the agent, so it may be sent again."""
    return _about_image(located(paths.DETECT_WITH, name=model), image, options, DetectReply)


def _about_image(path: str, image: bytes, options: ImageOptions, reply: type[M]) -> Call[M]:
    params = options.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    headers = {"Content-Type": "application/octet-stream"}
    return Call("POST", path, reply_as(reply), params=params, headers=headers, body=image)


def runtimes() -> Call[RuntimeList]:
    """Ask for runtimes and their devices; drivers may take their time."""
    return Call("GET", paths.RUNTIMES, reply_as(RuntimeList), timeout_s=RUNTIMES_TIMEOUT_S)


def models() -> Call[ModelList]:
    """List the agent's models."""
    return Call("GET", paths.MODELS, reply_as(ModelList), bytes_max=LARGE_MAX_BYTES)


def model(name: str) -> Call[ModelDescription]:
    """Describe one model."""
    return Call("GET", located(paths.MODEL, name=name), about(ModelDescription, "name", name))


def synthetic_models() -> Call[SyntheticModels]:
    """List the models that the agent can write itself."""
    return Call("GET", paths.SYNTHETIC_MODELS, reply_as(SyntheticModels))


def write_model(name: str) -> Call[ModelDescription]:
    """Have the agent write a synthetic model and try it."""
    path = located(paths.SYNTHETIC_MODEL, name=name)
    return Call("PUT", path, about(ModelDescription, "name", name), timeout_s=PUT_MODEL_TIMEOUT_S)


def delete_model(name: str) -> Call[None]:
    """Remove a model. Not repeated by itself: a second attempt could not tell success from absence."""
    return Call("DELETE", located(paths.MODEL, name=name), nothing, repeatable=False)


def choose_default_model(name: str) -> Call[DefaultModel]:
    """Choose the model that answers when a request names none."""
    body = DefaultModel.model_construct(name=name).model_dump_json().encode()
    return Call("PUT", paths.DEFAULT_MODEL, about(DefaultModel, "name", name), headers=JSON_HEADERS, body=body)


JSON_HEADERS = {"Content-Type": "application/json"}
RUNTIMES_TIMEOUT_S = 90.0
PUT_MODEL_TIMEOUT_S = 120.0
"""The agent tries the model in each of its runtimes before it answers."""


def put_blob(digest: str, path: Path, progress: Progress | None = None) -> Generator[Call[Any], Any, None]:
    """The calls that put a file on an agent under its digest; one that is there already is not sent again."""
    held = yield Call("HEAD", located(paths.BLOB, digest=digest), _exists, statuses=frozenset({404}))
    if not held:
        body = FileBody(path, progress)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(body.size_bytes)}
        path_there = located(paths.BLOB, digest=digest)
        yield Call("PUT", path_there, about(BlobReceipt, "digest", digest), headers=headers, body=body)


def push_model(
    name: str, manifest: ModelManifest, files: Mapping[str, Path], progress: Progress | None = None
) -> Generator[Call[Any], Any, ModelDescription]:
    """The calls that put a model on an agent: files it lacks, then the manifest that names them by digest."""
    for digest, path in files.items():
        yield from put_blob(digest, path, progress)
    document = manifest.model_dump_json(exclude_none=True).encode()
    description: ModelDescription = yield Call(
        "PUT",
        located(paths.MODEL, name=name),
        about(ModelDescription, "name", name),
        headers=JSON_HEADERS,
        body=document,
        timeout_s=PUT_MODEL_TIMEOUT_S,
    )
    return description


def _exists(answer: Answer) -> bool:
    if answer.status not in (httpx.codes.OK, httpx.codes.NOT_FOUND):
        raise Malformed(f"it has the status {answer.status} instead of 200 or 404")
    return answer.status == httpx.codes.OK


def file_digest(path: Path) -> str:
    """The digest of a file as the agent writes it."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
