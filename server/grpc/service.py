"""The calls of `inference.GRPCInferenceService`, each a few lines around what REST uses too."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from contract.codes import ErrorCode
from contract.openinference import DurationStatistic, ModelStatistics
from server.errors import AgentError
from server.grpc import open_inference_pb2 as messages
from server.grpc.translate import to_body, to_response
from server.openinference.service import OpenInference
from server.openinference.worker.format import BodyFormat
from server.workers.pools import Pools

log = logging.getLogger(__name__)


class Service:
    """The calls by name, on the event loop's thread. They raise AgentError."""

    def __init__(
        self, open_inference: OpenInference, pools: Pools, max_body_bytes: int, is_ready: Callable[[], bool]
    ) -> None:
        self._open_inference = open_inference
        self._pools = pools
        self._max_body_bytes = max_body_bytes
        self._is_ready = is_ready

    async def server_live(self, request: messages.ServerLiveRequest) -> messages.ServerLiveResponse:
        """The agent's process answers."""
        return messages.ServerLiveResponse(live=True)

    async def server_ready(self, request: messages.ServerReadyRequest) -> messages.ServerReadyResponse:
        """A request sent now is answered at once."""
        return messages.ServerReadyResponse(ready=self._is_ready())

    async def model_ready(self, request: messages.ModelReadyRequest) -> messages.ModelReadyResponse:
        """A model answers; one that is not there does not."""
        try:
            ready = self._is_ready() and self._open_inference.ready(request.name, request.version)
        except AgentError as error:
            if error.code is not ErrorCode.UNKNOWN_MODEL:
                raise
            ready = False
        return messages.ModelReadyResponse(ready=ready)

    async def server_metadata(self, request: messages.ServerMetadataRequest) -> messages.ServerMetadataResponse:
        """Name, version and extensions."""
        return messages.ServerMetadataResponse(**self._open_inference.server().model_dump())

    async def model_metadata(self, request: messages.ModelMetadataRequest) -> messages.ModelMetadataResponse:
        """Names, datatypes and shapes of inputs and outputs."""
        found = self._open_inference.metadata(request.name, request.version)
        return messages.ModelMetadataResponse(**found.model_dump())

    async def model_config(self, request: messages.ModelConfigRequest) -> messages.ModelConfigResponse:
        """A model's configuration as Triton would have it."""
        found = self._open_inference.config(request.name, request.version)
        return messages.ModelConfigResponse(config=messages.ModelConfig(**found.model_dump()))

    async def model_statistics(self, request: messages.ModelStatisticsRequest) -> messages.ModelStatisticsResponse:
        """What one model, or every one, has done."""
        found = self._open_inference.statistics(request.name or None, request.version)
        return messages.ModelStatisticsResponse(model_stats=map(_statistics, found))

    async def repository_index(self, request: messages.RepositoryIndexRequest) -> messages.RepositoryIndexResponse:
        """Every model on the agent."""
        found = self._open_inference.index(ready_only=request.ready)
        entry = messages.RepositoryIndexResponse.ModelIndex
        return messages.RepositoryIndexResponse(models=[entry(**each.model_dump()) for each in found])

    async def load(self, request: messages.RepositoryModelLoadRequest) -> messages.RepositoryModelLoadResponse:
        """Have the workers load a model, and let it answer."""
        if request.parameters:
            detail = "a model's configuration and files cannot be sent with load"
            raise AgentError(ErrorCode.INVALID_TENSOR, detail, hint="`client models push` brings a model")
        await self._open_inference.load(request.model_name)
        return messages.RepositoryModelLoadResponse()

    async def unload(self, request: messages.RepositoryModelUnloadRequest) -> messages.RepositoryModelUnloadResponse:
        """Let a model answer no more over this protocol."""
        self._open_inference.unload(request.model_name)
        return messages.RepositoryModelUnloadResponse()

    async def infer(self, request: messages.ModelInferRequest) -> messages.ModelInferResponse:
        """Run a model.

        What has begun is not cancelled with the call: a worker reads from the memory that the request holds.
        """
        return await asyncio.shield(asyncio.ensure_future(self._infer(request)))

    async def stream_infer(
        self, requests: AsyncIterator[messages.ModelInferRequest | None]
    ) -> AsyncIterator[messages.ModelStreamInferResponse]:
        """One answer to each request, in their order; an error ends nothing but its own request.

        None stands for a message that cannot be read.
        """
        async for request in requests:
            if request is None:
                yield messages.ModelStreamInferResponse(error_message="the message is no ModelInferRequest")
                continue
            try:
                yield messages.ModelStreamInferResponse(infer_response=await self.infer(request))
            except AgentError as error:
                response = messages.ModelInferResponse(id=request.id)
                yield messages.ModelStreamInferResponse(error_message=error.detail, infer_response=response)

    async def _infer(self, request: messages.ModelInferRequest) -> messages.ModelInferResponse:
        called = await self._open_inference.admit(request.model_name, request.model_version)
        body = to_body(request)
        size = len(body.header) + sum(map(len, body.tensors))
        if size > self._max_body_bytes:
            detail = f"the request has {size} bytes, at most {self._max_body_bytes} are allowed here"
            raise AgentError(ErrorCode.TOO_MANY_BYTES, detail)
        format = BodyFormat(header_bytes=len(body.header), max_bytes=self._max_body_bytes)
        with (
            self._open_inference.counted(called) as counted,
            await self._pools.admission.enter(None) as place,
            self._pools.arena.take() as slot,
        ):
            for part in (body.header, *body.tensors):
                slot.append(part)
            answer = await self._open_inference.infer(called, slot, format, place.waited_ns, counted)
        try:
            return to_response(answer.body, answer.header_bytes)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            log.error("a worker wrote a reply that nobody can read: %s", error)
            raise AgentError(ErrorCode.INTERNAL_ERROR, "a worker wrote a reply that nobody can read") from error

    def unary(self) -> dict[str, Callable[..., Awaitable[object]]]:
        """The calls of one request and one response, by their names in the protocol."""
        return {
            "ServerLive": self.server_live,
            "ServerReady": self.server_ready,
            "ModelReady": self.model_ready,
            "ServerMetadata": self.server_metadata,
            "ModelMetadata": self.model_metadata,
            "ModelInfer": self.infer,
            "ModelConfig": self.model_config,
            "ModelStatistics": self.model_statistics,
            "RepositoryIndex": self.repository_index,
            "RepositoryModelLoad": self.load,
            "RepositoryModelUnload": self.unload,
        }


def _statistics(found: ModelStatistics) -> messages.ModelStatistics:
    durations = {
        name: messages.StatisticDuration(count=value.count, ns=value.ns)
        for name, value in found.inference_stats
        if isinstance(value, DurationStatistic)
    }
    return messages.ModelStatistics(
        name=found.name,
        version=found.version,
        last_inference=found.last_inference,
        inference_count=found.inference_count,
        execution_count=found.execution_count,
        inference_stats=messages.InferStatistics(**durations),
    )
