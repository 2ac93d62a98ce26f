"""The body that carries an error between agent and client.

The agent maps each code to an HTTP status in `server.errors`; the client maps it to an exception and an exit
code. Neither side interprets the human text.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from contract.codes import ErrorCode

PROBLEM_MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """An error body as RFC 9457 defines it, with edgerun's `code`, `hint` and `request_id` added."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    code: ErrorCode | str
    """An `ErrorCode`; a plain string when a newer agent knows more codes than this client."""
    hint: str | None = None
    request_id: str | None = None
    errors: list[dict[str, Any]] | None = None
