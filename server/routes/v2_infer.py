"""Inference over REST: the body goes to a worker as it came, and the reply comes from there as it is sent."""

from functools import lru_cache

from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers

from contract.codes import ErrorCode
from contract.paths import INFERENCE_HEADER_LENGTH, SERVER_TIMING_HEADER, V2_INFER, of_version
from contract.tensors import CODINGS
from server.errors import AgentError
from server.http.exchange import exchange_of
from server.http.openapi import header, refusals
from server.openinference.service import OpenInference
from server.openinference.worker.format import BodyFormat
from server.routes import agent_of
from server.workers.messages import Inferred

router = APIRouter(tags=["open inference protocol"])

JSON, BINARY = "application/json", "application/octet-stream"
LENGTH_DIGITS = 12
FORMATS_KEPT = 32
"""Headers that are not read anew each time: a client sends the same with each request."""

_TENSORS = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "shape", "datatype"],
                "properties": {
                    "name": {"type": "string"},
                    "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
                    "datatype": {"type": "string"},
                    "parameters": {"type": "object"},
                    "data": {"type": "array", "items": {}},
                },
            },
        },
        "outputs": {"type": "array", "items": {"type": "object", "required": ["name"]}},
    },
}
_REPLY = {
    "type": "object",
    "required": ["model_name", "model_version", "outputs"],
    "properties": {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "id": {"type": "string"},
        "outputs": {"type": "array", "items": {"type": "object", "required": ["name", "shape", "datatype"]}},
    },
}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_LENGTH = {
    "name": INFERENCE_HEADER_LENGTH,
    "in": "header",
    "schema": {"type": "integer", "minimum": 0},
    "description": "Bytes of JSON that binary tensors follow; 0: the body is the one input tensor, without JSON",
}
_REPLY_HEADERS = {
    **header(SERVER_TIMING_HEADER, "Milliseconds in each stage (W3C)"),
    **header(INFERENCE_HEADER_LENGTH, "Bytes of JSON before binary tensors", required=False, pattern="^[0-9]+$"),
}


def _described(*parameters: str) -> dict[str, object]:
    """What FastAPI cannot read from a handler that takes the request alone."""
    named = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in parameters]
    content = {JSON: {"schema": _REPLY}, BINARY: _BYTES}
    return {
        "responses": {
            **refusals(400, 404, 409, 413, 415, 422, 504),
            200: {
                "description": "The outputs; binary tensors follow the JSON",
                "content": content,
                "headers": _REPLY_HEADERS,
            },
        },
        "openapi_extra": {
            "parameters": [*named, _LENGTH],
            "requestBody": {"required": True, "content": {JSON: {"schema": _TENSORS}, BINARY: _BYTES}},
        },
        "response_class": Response,
    }


@router.post(V2_INFER, operation_id="v2_infer", **_described("name"))  # type: ignore[arg-type]
@router.post(of_version(V2_INFER), operation_id="v2_infer_version", **_described("name", "version"))  # type: ignore[arg-type]
async def infer(request: Request) -> Response:
    """Run a model on the tensors of the body; raises AgentError.

    It is called by `server.routes.fast_path`, past FastAPI's router.
    """
    agent, parameters = agent_of(request), request.path_params
    service: OpenInference = agent.open_inference
    format = body_format(request.headers, agent.settings.max_image_bytes)
    called = await service.admit(parameters["name"], parameters.get("version"))
    with service.counted(called) as counted:
        place = await agent.pools.admission.enter(exchange_of(request.scope))
        with place, agent.pools.arena.take() as slot:
            await agent.bodies.image(request, slot)
            place.received()
            answer = await service.infer(called, slot, format, place.waited_ns, counted)
    return Response(answer.body, headers=_headers(answer))


def body_format(headers: Headers, max_bytes: int) -> BodyFormat:
    """How a body is to be read, and its reply be written; raises AgentError."""
    said = (headers.get(name) for name in (INFERENCE_HEADER_LENGTH, "content-encoding", "accept-encoding"))
    return _format(*said, max_bytes)


@lru_cache(maxsize=FORMATS_KEPT)
def _format(length: str | None, coding: str | None, acceptable: str | None, max_bytes: int) -> BodyFormat:
    if length is not None and not (length.isascii() and length.isdecimal() and len(length) <= LENGTH_DIGITS):
        raise AgentError(ErrorCode.INVALID_TENSOR, f"{INFERENCE_HEADER_LENGTH} is a number of bytes")
    coding = (coding or "identity").strip().lower()
    if coding not in (*CODINGS, "identity", ""):
        raise AgentError(ErrorCode.UNSUPPORTED_CODING, f"Content-Encoding {coding[:64]}")
    return BodyFormat(
        header_bytes=int(length) if length is not None else None,
        coding=coding if coding in CODINGS else None,
        reply_coding=accepted(acceptable or ""),
        max_bytes=max_bytes,
    )


def accepted(header: str) -> str | None:
    """The first coding of an Accept-Encoding header (RFC 9110, 12.5.3) that can be made here, None for none."""
    for entry in header.lower().split(","):
        coding, _, quality = entry.partition(";")
        if coding.strip() in CODINGS and quality.replace(" ", "").rstrip("0").rstrip(".") != "q=":
            return coding.strip()
    return None


def _headers(answer: Inferred) -> dict[str, str]:
    headers = {"content-type": JSON, SERVER_TIMING_HEADER: _server_timing(answer)}
    if answer.header_bytes is not None:
        headers |= {"content-type": BINARY, INFERENCE_HEADER_LENGTH: str(answer.header_bytes)}
    if answer.coding is not None:
        headers |= {"content-encoding": answer.coding, "vary": "accept-encoding"}
    return headers


def _server_timing(answer: Inferred) -> str:
    """The stages in the worker as a `Server-Timing` header (W3C), milliseconds."""
    stages = {
        "preprocess": answer.prepared_ns - answer.loaded_ns,
        "inference": answer.inferred_ns - answer.prepared_ns,
        "postprocess": answer.done_ns - answer.inferred_ns,
    }
    return ", ".join(f"{name};dur={took_ns / 1e6:.3f}" for name, took_ns in stages.items())
