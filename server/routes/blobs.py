"""Files of models, uploaded under their digests."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response, status

from contract.codes import ErrorCode
from contract.models import DIGEST_PATTERN, BlobReceipt
from contract.paths import BLOB
from server.agent import Agent
from server.errors import AgentError
from server.http.body import BodyReader
from server.routes import AgentDependency, problems, unchanged

router = APIRouter(tags=["models"])

Digest = Annotated[str, Path(pattern=DIGEST_PATTERN)]

_BINARY_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.head(BLOB, operation_id="has_blob", response_class=Response, responses=problems(404, 422))
async def has_blob(digest: Digest, agent: AgentDependency) -> Response:
    """Whether a file is there already, so that it need not be sent."""
    if agent.store.blob(digest) is None:
        raise AgentError(ErrorCode.UNKNOWN_BLOB, f"no file {digest} here")
    return Response()


@router.put(
    BLOB,
    operation_id="put_blob",
    status_code=status.HTTP_201_CREATED,
    responses={**problems(400, 422, 507), **unchanged(BlobReceipt, "The file was there")},
    openapi_extra=_BINARY_BODY,
)
async def put_blob(digest: Digest, request: Request, agent: AgentDependency, response: Response) -> BlobReceipt:
    """Store a file; its bytes must have the digest in the path."""
    agent.room.require()
    receipt = await _receive(digest, request, agent)
    response.status_code = status.HTTP_201_CREATED if receipt.created else status.HTTP_200_OK
    return receipt


async def _receive(digest: str, request: Request, agent: Agent) -> BlobReceipt:
    with agent.store.receive() as receiver:
        reader = BodyReader(request, agent.settings.max_model_bytes)
        while chunk := await reader.read():
            await asyncio.to_thread(receiver.write, chunk)
        if receiver.size_bytes == 0:
            raise AgentError(ErrorCode.EMPTY_BODY, "the request brought no bytes", hint="curl -T model.tflite ...")
        created = await asyncio.to_thread(receiver.keep, digest)
        return BlobReceipt(digest=digest, size_bytes=receiver.size_bytes, created=created)
