"""Sessions of browsers: whoever has the token asks for a code, and the code opens one session, once.

Codes live in memory and for minutes. Sessions are in a file that its owner alone reads, so that a page outlives a
restart of the agent; of their secrets it holds the SHA-256. A session may do what the token may that it was opened
with, and ends with it for good.
"""

import contextlib
import hashlib
import hmac
import json
import logging
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from starlette.types import Scope

from contract.codes import ErrorCode
from contract.session import Session, SessionCode
from server.access.attempts import WrongAttempts
from server.access.callers import Caller, Token
from server.access.tokens import Tokens
from server.errors import AgentError
from server.storage.atomic import write_atomically

log = logging.getLogger(__name__)

CODE_LIFETIME_S = 300.0
"""Long enough to compare a fingerprint before the browser's warning about the certificate is dismissed."""
SESSION_LIFETIME_S = 12 * 3600.0
CODES_MAX = 16
SESSIONS_MAX = 64
"""The most codes and the most sessions; the oldest makes room."""
SECRET_BYTES = 32
FILE_NAME = "sessions.json"
_ID = re.compile("[0-9a-f]{8}")


class Sessions:
    """The codes and sessions of one agent. All methods belong to the event loop's thread."""

    def __init__(
        self,
        folder: Path,
        tokens: Tokens,
        *,
        tls: bool,
        code_lifetime_s: float = CODE_LIFETIME_S,
        lifetime_s: float = SESSION_LIFETIME_S,
    ) -> None:
        self._path = folder / FILE_NAME
        self.tokens = tokens
        self._tls = tls
        self._code_lifetime_s = code_lifetime_s
        self._lifetime_s = lifetime_s
        self._codes: dict[str, tuple[float, Token | None]] = {}
        self._wrong = WrongAttempts("codes")
        self._id, stored = self._load()
        self._sessions = self._continued(stored)
        if len(self._sessions) < len(stored):
            self._end_others()

    @property
    def cookie_name(self) -> str:
        """The cookie's name, another for each agent: cookies of one host are shared by all its ports."""
        return f"{'__Host-' if self._tls else ''}edgerun-{self._id}"

    def new_code(self, caller: Caller) -> SessionCode:
        """A code for whoever has a token; what it opens may do what that token may."""
        code = secrets.token_urlsafe(SECRET_BYTES)
        self._codes[_digest(code)] = (time.monotonic() + self._code_lifetime_s, caller.token)
        while len(self._codes) > CODES_MAX:
            del self._codes[next(iter(self._codes))]
        return SessionCode(code=code, expires_in_s=self._code_lifetime_s)

    def open(self, code: str, address: str) -> tuple[Session, str, Caller]:
        """Use a code up; gives the session, the cookie that stands for it, and who it is from now on.

        Raises AgentError: SESSION_CODE_REFUSED for one that is wrong, used or too old, TOO_MANY_ATTEMPTS.
        """
        token = self._use_up(code, address)
        secret = secrets.token_urlsafe(SECRET_BYTES)
        self._drop_ended()
        now_s = time.time()
        caller = Caller(token, session=True, session_ends_s=now_s + self._lifetime_s)
        self._sessions[_digest(secret)] = caller
        while len(self._sessions) > SESSIONS_MAX:
            del self._sessions[next(iter(self._sessions))]
        self._save()
        session = Session(expires_at=datetime.fromtimestamp(caller.ends_s, UTC))
        return session, self._cookie(secret, caller.ends_s - now_s), caller

    def caller(self, cookies: str) -> Caller | None:
        """Who a request's cookies stand for, None where they name no session that goes on."""
        now_s = time.time()
        for digest in self._named_in(cookies):
            found = self._sessions.get(digest)
            if found is not None and self._goes_on(found, now_s):
                if found.token is not None:
                    found.token.last_used_s = now_s
                return found
        return None

    def end(self, cookies: str) -> str:
        """End the session that a request's cookies name, if any; gives the cookie that removes the browser's."""
        ended = [session for digest in self._named_in(cookies) if (session := self._sessions.pop(digest, None))]
        for session in ended:
            session.session_ends_s = 0.0  # its streams end too
        if ended:
            self._save()
        return self._cookie("", 0)

    def _use_up(self, code: str, address: str) -> Token | None:
        """The token that a good code stands for."""
        presented = _digest(code)
        known = [digest for digest in self._codes if hmac.compare_digest(digest, presented)]
        expires_s, token = self._codes.pop(known[0]) if known else (0.0, None)
        if expires_s <= time.monotonic() or (token is not None and not token.is_good(time.time())):
            self._wrong.count(address)
            raise AgentError(ErrorCode.SESSION_CODE_REFUSED, "this code was used already, is too old, or never was one")
        return token

    def _goes_on(self, session: Caller, now_s: float) -> bool:
        # A clock that was set back must not lengthen what began before.
        in_time = now_s < session.session_ends_s <= now_s + self._lifetime_s
        return in_time and (session.token is None or session.token.is_good(now_s))

    def _cookie(self, value: str, lifetime_s: float) -> str:
        secure = "; Secure" if self._tls else ""
        return f"{self.cookie_name}={value}; Path=/; Max-Age={lifetime_s:.0f}; HttpOnly; SameSite=Strict{secure}"

    def _named_in(self, cookies: str) -> Iterator[str]:
        """Digests of the values that cookies of this agent's name have.

        What other applications of the host put into theirs (JSON, spaces, UTF-8, a lone quotation mark) comes along, so
        nothing is taken to be well-formed; and of two cookies of one name, as for two paths, either may be good.
        """
        for pair in cookies.split(";"):
            name, separator, value = pair.partition("=")
            if separator and name.strip(" \t") == self.cookie_name:
                yield _digest(value.strip(" \t"))

    def _drop_ended(self) -> None:
        now_s = time.time()
        self._sessions = {digest: each for digest, each in self._sessions.items() if self._goes_on(each, now_s)}

    def _continued(self, stored: Mapping[str, tuple[str, float]]) -> dict[str, Caller]:
        """Of the sessions that were stored, those whose token is still one of this agent's."""
        found = {}
        for digest, (token_sha256, ends_s) in stored.items():
            token = self.tokens.by_sha256(token_sha256)
            if token is not None:
                found[digest] = Caller(token, session=True, session_ends_s=ends_s)
        return found

    def _load(self) -> tuple[str, Mapping[str, tuple[str, float]]]:
        """The id; and by digest the sessions: the SHA-256 of the token that each was opened with, and its end."""
        try:
            document = json.loads(self._path.read_bytes())
            name = document["id"]
            if not _ID.fullmatch(name):
                raise ValueError("its id is none of an agent")
            sessions = document["sessions"].items()
            return name, {str(digest): (str(token), float(end_s)) for digest, (token, end_s) in sessions}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            log.warning("%s cannot be read, open pages must be opened anew: %s", self._path, error)
        return secrets.token_hex(4), {}

    def _end_others(self) -> None:
        """End sessions whose token is gone, also for the day on which that one comes back."""
        try:
            self._save()
        except (AgentError, OSError):  # no room, for one
            with contextlib.suppress(OSError):
                self._path.unlink()
        log.info("sessions of browsers are ended whose token is no longer one")

    def _save(self) -> None:
        stored = {
            digest: (each.token.sha256, each.session_ends_s)
            for digest, each in self._sessions.items()
            if each.token is not None
        }
        write_atomically(self._path, json.dumps({"id": self._id, "sessions": stored}).encode())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def cookies_of(scope: Scope) -> str:
    """All cookies of a request; HTTP/1.1 knows one header of them, what stands in between may have made several."""
    return "; ".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie")
