"""EdgeClient and AsyncEdgeClient: the same calls, one blocking, one for asyncio."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

from client.sdk import calls
from client.sdk.calls import Progress
from client.sdk.job_methods import AsyncJobMethods, JobMethods
from client.sdk.replies import Classification, Detections
from client.sdk.request import Stopwatch
from client.sdk.tensors import Array, Tensor
from client.sdk.token_methods import AsyncTokenMethods, TokenMethods
from contract.classify import ClassifyOptions, DecodeMode, QuantMode
from contract.detect import DetectOptions
from contract.info import AgentInfo, Health, RuntimeList
from contract.lease import LeaseTime
from contract.models import ModelDescription, ModelList, ModelManifest, SyntheticModels
from contract.session import SessionCode

TensorLike = bytes | memoryview | Array | Tensor
"""An array, a buffer with a shape, a tensor, or the bytes of a picture file."""
Image = bytes | str | Path
"""The bytes of a picture file, or where the file is."""


class Options(TypedDict, total=False):
    """How a picture is to be classified; what is left out is as in `ClassifyOptions`."""

    top_k: int
    runtime: str | None
    decode: DecodeMode
    quant: QuantMode


class DetectionOptions(TypedDict, total=False):
    """How objects are to be found in a picture; what is left out is as in `DetectOptions`."""

    min_score: float
    iou_threshold: float
    max_detections: int
    runtime: str | None
    decode: DecodeMode


class EdgeClient(JobMethods, TokenMethods):
    """Talks to one agent; keeps its connection until closed. Use as a context manager."""

    def classify(self, image: Image, *, model: str | None = None, **options: Unpack[Options]) -> Classification:
        """Classify one picture; raises EdgeError, OSError for a file that cannot be read."""
        call, watch = calls.classify(_content(image), model, ClassifyOptions(**options)), Stopwatch()
        return Classification.seen(self._run(call, watch), self.host.name, watch)

    def detect(self, image: Image, *, model: str, **options: Unpack[DetectionOptions]) -> Detections:
        """Find objects in one picture; raises EdgeError, OSError for a file that cannot be read."""
        call, watch = calls.detect(_content(image), model, DetectOptions(**options)), Stopwatch()
        return Detections.seen(self._run(call, watch), self.host.name, watch)

    def infer(self, model: str, inputs: Mapping[str, TensorLike], outputs: Sequence[str] = ()) -> dict[str, Tensor]:
        """Run any model on tensors by name; bytes are the file of a picture. Raises EdgeError.

        Gives the outputs that are named, or all: `reply["scores"].numpy()`, or `.elements()` without NumPy.
        """
        return self._run(calls.infer(model, inputs, outputs))

    def live(self) -> Health:
        """Whether the agent's process answers; needs no token."""
        return self._run(calls.live())

    def ready(self) -> Health:
        """Whether the agent can classify now; raises AgentFault when it cannot."""
        return self._run(calls.ready())

    def info(self) -> AgentInfo:
        """What the agent is and what it may use."""
        return self._run(calls.info())

    def lease(self) -> LeaseTime:
        """How long the device is ours, as far as the agent was told."""
        return self._run(calls.lease())

    def set_lease(self, left_s: float | None) -> LeaseTime:
        """Tell the agent in how many seconds its device is taken away; None when it is not."""
        return self._run(calls.set_lease(left_s))

    def new_session_code(self) -> SessionCode:
        """A code that lets a browser in, once: `https://AGENT/#CODE`."""
        return self._run(calls.new_session_code())

    def runtimes(self) -> RuntimeList:
        """Runtimes and the devices of each."""
        return self._run(calls.runtimes())

    def models(self) -> ModelList:
        """The agent's models and its default."""
        return self._run(calls.models())

    def model(self, name: str) -> ModelDescription:
        """One model."""
        return self._run(calls.model(name))

    def push_model(
        self, name: str, manifest: ModelManifest, files: Mapping[str, Path], progress: Progress | None = None
    ) -> ModelDescription:
        """Put a model on the agent; `files` are by digest. Files that the agent holds are not sent again."""
        return self._run_all(calls.push_model(name, manifest, files, progress))

    def synthetic_models(self) -> SyntheticModels:
        """The models that the agent can write itself."""
        return self._run(calls.synthetic_models())

    def write_model(self, name: str) -> ModelDescription:
        """Have the agent write a model with synthetic weights; one that is there stays as it is."""
        return self._run(calls.write_model(name))

    def delete_model(self, name: str) -> None:
        """Remove a model from the agent."""
        self._run(calls.delete_model(name))

    def choose_default_model(self, name: str) -> None:
        """Let a model answer requests that name none."""
        self._run(calls.choose_default_model(name))


class AsyncEdgeClient(AsyncJobMethods, AsyncTokenMethods):
    """Talks to one agent from asyncio; keeps its connections until closed. Use as an async context manager."""

    async def classify(self, image: Image, *, model: str | None = None, **options: Unpack[Options]) -> Classification:
        """Classify one picture; raises EdgeError, OSError for a file that cannot be read."""
        content = await asyncio.to_thread(_content, image)
        call, watch = calls.classify(content, model, ClassifyOptions(**options)), Stopwatch()
        return Classification.seen(await self._run(call, watch), self.host.name, watch)

    async def detect(self, image: Image, *, model: str, **options: Unpack[DetectionOptions]) -> Detections:
        """Find objects in one picture; raises EdgeError, OSError for a file that cannot be read."""
        content = await asyncio.to_thread(_content, image)
        call, watch = calls.detect(content, model, DetectOptions(**options)), Stopwatch()
        return Detections.seen(await self._run(call, watch), self.host.name, watch)

    async def infer(
        self, model: str, inputs: Mapping[str, TensorLike], outputs: Sequence[str] = ()
    ) -> dict[str, Tensor]:
        """Run any model on tensors by name; bytes are the file of a picture. Raises EdgeError.

        Gives the outputs that are named, or all: `reply["scores"].numpy()`, or `.elements()` without NumPy.
        """
        return await self._run(calls.infer(model, inputs, outputs))

    async def live(self) -> Health:
        """Whether the agent's process answers; needs no token."""
        return await self._run(calls.live())

    async def ready(self) -> Health:
        """Whether the agent can classify now; raises AgentFault when it cannot."""
        return await self._run(calls.ready())

    async def info(self) -> AgentInfo:
        """What the agent is and what it may use."""
        return await self._run(calls.info())

    async def lease(self) -> LeaseTime:
        """How long the device is ours, as far as the agent was told."""
        return await self._run(calls.lease())

    async def set_lease(self, left_s: float | None) -> LeaseTime:
        """Tell the agent in how many seconds its device is taken away; None when it is not."""
        return await self._run(calls.set_lease(left_s))

    async def new_session_code(self) -> SessionCode:
        """A code that lets a browser in, once: `https://AGENT/#CODE`."""
        return await self._run(calls.new_session_code())

    async def runtimes(self) -> RuntimeList:
        """Runtimes and the devices of each."""
        return await self._run(calls.runtimes())

    async def models(self) -> ModelList:
        """The agent's models and its default."""
        return await self._run(calls.models())

    async def model(self, name: str) -> ModelDescription:
        """One model."""
        return await self._run(calls.model(name))

    async def push_model(
        self, name: str, manifest: ModelManifest, files: Mapping[str, Path], progress: Progress | None = None
    ) -> ModelDescription:
        """Put a model on the agent; `files` are by digest. Files that the agent holds are not sent again."""
        return await self._run_all(calls.push_model(name, manifest, files, progress))

    async def synthetic_models(self) -> SyntheticModels:
        """The models that the agent can write itself."""
        return await self._run(calls.synthetic_models())

    async def write_model(self, name: str) -> ModelDescription:
        """Have the agent write a model with synthetic weights; one that is there stays as it is."""
        return await self._run(calls.write_model(name))

    async def delete_model(self, name: str) -> None:
        """Remove a model from the agent."""
        await self._run(calls.delete_model(name))

    async def choose_default_model(self, name: str) -> None:
        """Let a model answer requests that name none."""
        await self._run(calls.choose_default_model(name))


def _content(image: Image) -> bytes:
    return image if isinstance(image, bytes) else Path(image).read_bytes()
