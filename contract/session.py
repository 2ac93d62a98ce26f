"""Sessions of browsers, which cannot send a token with every request: a one-time code, then a cookie."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contract.text import Name

LIVE_PAGE = "live-page"
"""Feature of an agent that has a page for browsers."""


class SessionCode(BaseModel):
    """`POST /v1/session-codes`: what opens one session, once."""

    code: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,200}$")]
    """It becomes a part of an address."""
    expires_in_s: float


class SessionRequest(BaseModel):
    """What `POST /v1/session` takes, without a token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Name = Field(min_length=1)


class Session(BaseModel):
    """A session that was opened; its secret is in the cookie alone."""

    expires_at: AwareDatetime
