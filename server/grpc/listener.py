"""The port that gRPC listens on: started with the agent, with its token and certificate."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import grpc
import grpc.aio

from contract.codes import ErrorCode
from contract.paths import ERROR_CODE_HEADER
from server.errors import AgentError
from server.grpc import open_inference_pb2 as messages
from server.grpc.access import CallAccess, Metadata
from server.grpc.service import Service
from server.http.tls import Certificate

log = logging.getLogger(__name__)

SERVICE = messages.DESCRIPTOR.services_by_name["GRPCInferenceService"]
LIVE, STREAM = "ServerLive", "ModelStreamInfer"
OVERHEAD_BYTES = 64 * 1024
"""What a message may have besides its tensors."""
CALLS_MAX = 64
"""Calls at a time: each may hold a message in memory."""
CONNECTIONS_MAX = 128
"""Besides those of HTTP: more would leave too few descriptors."""
IDLE_MS = 60_000
HANDSHAKE_MS = 10_000

STATUS = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
    507: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
"""What HTTP's statuses are called over gRPC; others are INTERNAL."""


@dataclass(frozen=True)
class Endpoint:
    """Where to listen, and what for."""

    host: str
    port: int
    """0 for any free one."""
    max_body_bytes: int
    connections: int
    certificate: Certificate | None


class GrpcListener:
    """A gRPC server on the running event loop."""

    def __init__(self, endpoint: Endpoint, service: Service, access: CallAccess) -> None:
        size = endpoint.max_body_bytes + OVERHEAD_BYTES
        self._endpoint = endpoint
        self._server = grpc.aio.server(
            interceptors=[_Guard(access)],
            maximum_concurrent_rpcs=CALLS_MAX,
            options=[
                ("grpc.max_receive_message_length", size),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),  # two agents on one port would share its calls
                ("grpc.max_connection_idle_ms", IDLE_MS),
                ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
                ("grpc.max_allowed_incoming_connections", min(endpoint.connections, CONNECTIONS_MAX)),
            ],
        )
        self._server.add_generic_rpc_handlers((_handlers(service, access),))

    async def start(self) -> int:
        """Listen; returns the port. Raises OSError where that cannot be."""
        logging.getLogger("grpc._cython.cygrpc").addFilter(_is_no_call_given_up)
        endpoint = self._endpoint
        address = f"[{endpoint.host}]:{endpoint.port}" if ":" in endpoint.host else f"{endpoint.host}:{endpoint.port}"
        try:
            if endpoint.certificate is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, _credentials(endpoint.certificate))
        except RuntimeError as error:
            raise OSError(f"cannot listen for gRPC on {address}; --grpc-port 0 takes any free port") from error
        await self._server.start()
        return port

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls at once, and end those under way after so many seconds."""
        await self._server.stop(grace_s)


def _is_no_call_given_up(record: logging.LogRecord) -> bool:
    """Whether a line of the library is of more than a caller that went away, which is no mistake of this agent."""
    return not record.getMessage().startswith("ExecuteBatchError raised in core")


def _credentials(certificate: Certificate) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials([(certificate.key_path.read_bytes(), certificate.certificate_path.read_bytes())])


def _handlers(service: Service, access: CallAccess) -> grpc.GenericRpcHandler:
    methods = {
        name: grpc.unary_unary_rpc_method_handler(
            _answered(name, call, access),
            request_deserializer=_reader(_message(SERVICE.methods_by_name[name].input_type)),
            response_serializer=_message(SERVICE.methods_by_name[name].output_type).SerializeToString,
        )
        for name, call in service.unary().items()
    }

    async def live(requests: Any, context: Any) -> Any:
        return await service.server_live(messages.ServerLiveRequest())

    # Strangers may ask: their messages are not even read.
    methods[LIVE] = grpc.stream_unary_rpc_method_handler(
        live, response_serializer=messages.ServerLiveResponse.SerializeToString
    )

    async def stream(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for response in service.stream_infer(requests):
            yield response
            try:
                access.check(STREAM, context.invocation_metadata())
            except AgentError as error:  # revoked or expired meanwhile
                await _abort(context, error)

    methods[STREAM] = grpc.stream_stream_rpc_method_handler(
        stream,
        request_deserializer=_reader(messages.ModelInferRequest),
        response_serializer=messages.ModelStreamInferResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(SERVICE.full_name, methods)


def _message(descriptor: Any) -> Any:
    return getattr(messages, descriptor.name)


def _reader(message: Any) -> Callable[[bytes], Any]:
    """Reads a message, None for bytes that are none of its kind: gRPC itself would call that a fault of the agent."""

    def read(content: bytes) -> Any:
        try:
            return message.FromString(content)
        except Exception:  # the library's own, which this module need not import
            return None

    return read


def _answered(
    name: str, call: Callable[[Any], Awaitable[Any]], access: CallAccess
) -> Callable[[Any, Any], Awaitable[Any]]:
    """A call whose errors become the protocol's; what nobody expected is logged and not shown."""

    def note(request: Any, context: Any, status: int) -> None:
        target = getattr(request, "model_name", "")
        access.note(name, context.invocation_metadata(), _address(context.peer()), target, status)

    async def answer(request: Any, context: Any) -> Any:
        try:
            if request is None:
                raise AgentError(ErrorCode.INVALID_TENSOR, f"the message is no request of {name}")
            response = await call(request)
            note(request, context, HTTPStatus.OK)
            return response
        except AgentError as error:
            note(request, context, error.status)
            refusal = error
        except Exception as error:
            log.error("a gRPC call failed", exc_info=error)
            refusal = AgentError(ErrorCode.INTERNAL_ERROR, "something went wrong inside the agent")
        await _abort(context, refusal)

    return answer


async def _abort(context: Any, error: AgentError) -> None:
    text = f"{error.detail}; {error.hint}" if error.hint else error.detail
    code = STATUS.get(error.status, grpc.StatusCode.INTERNAL)
    await context.abort(code, text, ((ERROR_CODE_HEADER.lower(), str(error.code)),))


class _Guard(grpc.aio.ServerInterceptor):
    """Refuses calls before their messages are read."""

    def __init__(self, access: CallAccess) -> None:
        self._access = access

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        """The handler of a call; for one that may not be, a handler that reads nothing and refuses."""
        metadata = details.invocation_metadata
        try:
            self._access.check(details.method.rpartition("/")[2], metadata)
        except AgentError as error:
            return grpc.stream_unary_rpc_method_handler(self._refusal(error, metadata))
        return await continuation(details)

    def _refusal(self, error: AgentError, metadata: Metadata) -> Callable[[Any, Any], Awaitable[None]]:
        async def refuse(requests: Any, context: Any) -> None:
            try:
                self._access.count(metadata, _address(context.peer()))
            except AgentError as too_many:
                await _abort(context, too_many)
            await _abort(context, error)

        return refuse


def _address(peer: str) -> str:
    """The address of a peer as gRPC writes it: `ipv4:10.0.0.7:5000`, `ipv6:[::1]:5000`, percent-encoded."""
    return unquote(peer.partition(":")[2].rpartition(":")[0].strip("[]")) or "unknown"
