"""Tokens and the record of changes, with what is written of both now and then."""

import asyncio
import contextlib
from pathlib import Path

from contract.codes import ErrorCode
from server.access.attempts import WrongAttempts
from server.access.audit import AuditLog
from server.access.callers import Caller
from server.access.tokens import Tokens
from server.errors import AgentError
from server.storage.room import Room

UPKEEP_INTERVAL_S = 60.0


class Access:
    """Who may use an agent, and what they changed."""

    def __init__(self, data: Path, first_sha256: str | None, room: Room) -> None:
        """`first_sha256` is of the token that the agent was started with; None for an agent that wants none."""
        self.tokens = Tokens(data, first_sha256, room)
        self.audit = AuditLog(data)
        self._wrong = WrongAttempts("tokens")
        self._upkeep: asyncio.Task[None] | None = None

    def authenticate(self, token: str, address: str) -> Caller:
        """Whoever sent a token, by whatever protocol; what it may do, `Caller.require` says.

        Raises AgentError: UNAUTHORIZED for one that is none of this agent's, or is over; TOO_MANY_ATTEMPTS where the
        address keeps sending such.
        """
        caller = self.tokens.caller(token)
        if caller is None:
            self.audit.login_refused(address)
            self._wrong.count(address)
            raise unknown_token()
        return caller

    def start(self) -> None:
        """Begin to write about once a minute what is only counted."""
        self._upkeep = asyncio.create_task(self._keep_up())

    async def stop(self) -> None:
        """Write what is left."""
        if self._upkeep is not None:
            self._upkeep.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._upkeep
        await self.tokens.save_uses()
        await asyncio.to_thread(self.audit.stop)

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(UPKEEP_INTERVAL_S)
            self.audit.sum_up()
            await self.tokens.save_uses()


def unknown_token() -> AgentError:
    """The refusal of a token that is none of this agent's."""
    return AgentError(ErrorCode.UNAUTHORIZED, "this is none of this agent's tokens, or it was revoked")
