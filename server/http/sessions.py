"""Sessions of browsers: whoever has the token asks for a code, and the code opens one session, once.

Codes live in memory and for minutes. Sessions are in a file that its owner alone reads, so that a page outlives a
restart of the agent; of their secrets it holds the SHA-256. They end for good when the agent starts with another
token than the one they were opened under.
"""

import contextlib
import hashlib
import hmac
import json
import logging
import re
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from starlette.types import Scope

from contract.codes import ErrorCode
from contract.session import Session, SessionCode
from server.errors import AgentError
from server.http.attempts import WrongAttempts
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
        token_sha256: str | None,
        *,
        tls: bool,
        code_lifetime_s: float = CODE_LIFETIME_S,
        lifetime_s: float = SESSION_LIFETIME_S,
    ) -> None:
        self._path = folder / FILE_NAME
        self._token_sha256 = token_sha256
        self._tls = tls
        self._code_lifetime_s = code_lifetime_s
        self._lifetime_s = lifetime_s
        self._codes: dict[str, float] = {}
        self._wrong = WrongAttempts("codes")
        self._id, self._expiries, opened_under = self._load()
        if opened_under != token_sha256:
            self._end_all()

    @property
    def cookie_name(self) -> str:
        """The cookie's name, another for each agent: cookies of one host are shared by all its ports."""
        return f"{'__Host-' if self._tls else ''}edgerun-{self._id}"

    def new_code(self) -> SessionCode:
        """A code for whoever has the token."""
        code = secrets.token_urlsafe(SECRET_BYTES)
        self._codes[_digest(code)] = time.monotonic() + self._code_lifetime_s
        while len(self._codes) > CODES_MAX:
            del self._codes[next(iter(self._codes))]
        return SessionCode(code=code, expires_in_s=self._code_lifetime_s)

    def open(self, code: str, address: str) -> tuple[Session, str]:
        """Use a code up; gives the session and the cookie that stands for it.

        Raises AgentError: SESSION_CODE_REFUSED for one that is wrong, used or too old, TOO_MANY_ATTEMPTS.
        """
        presented = _digest(code)
        known = [digest for digest in self._codes if hmac.compare_digest(digest, presented)]
        if not known or self._codes.pop(known[0]) <= time.monotonic():
            self._wrong.count(address)
            raise AgentError(ErrorCode.SESSION_CODE_REFUSED, "this code was used already, is too old, or never was one")
        secret = secrets.token_urlsafe(SECRET_BYTES)
        self._drop_ended()
        expires_s = time.time() + self._lifetime_s
        self._expiries[_digest(secret)] = expires_s
        while len(self._expiries) > SESSIONS_MAX:
            del self._expiries[next(iter(self._expiries))]
        self._save()
        return Session(expires_at=datetime.fromtimestamp(expires_s, UTC)), self._cookie(secret, self._lifetime_s)

    def holds(self, cookies: str) -> bool:
        """Whether a request's cookies name a session that goes on."""
        # A clock that was set back must not lengthen what began before.
        now = time.time()
        return any(now < self._expiries.get(each, 0.0) <= now + self._lifetime_s for each in self._named_in(cookies))

    def end(self, cookies: str) -> str:
        """End the session that a request's cookies name, if any; gives the cookie that removes the browser's."""
        ended = [self._expiries.pop(digest, None) for digest in self._named_in(cookies)]
        if any(ended):
            self._save()
        return self._cookie("", 0)

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
        now = time.time()
        self._expiries = {digest: expires_s for digest, expires_s in self._expiries.items() if expires_s > now}

    def _load(self) -> tuple[str, dict[str, float], str | None]:
        """The id, the sessions, and the digest of the token they were opened under."""
        try:
            document = json.loads(self._path.read_bytes())
            name, opened_under = document["id"], document["token_sha256"]
            if not _ID.fullmatch(name):
                raise ValueError("its id is none of an agent")
            return name, {str(digest): float(end_s) for digest, end_s in document["sessions"].items()}, opened_under
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            log.warning("%s cannot be read, open pages must be opened anew: %s", self._path, error)
        return secrets.token_hex(4), {}, self._token_sha256

    def _end_all(self) -> None:
        """End sessions of another token, also for the day on which that one comes back."""
        self._expiries = {}
        try:
            self._save()
        except (AgentError, OSError):  # no room, for one
            with contextlib.suppress(OSError):
                self._path.unlink()
        log.info("the token is another one than before: sessions of browsers are ended")

    def _save(self) -> None:
        document = {"id": self._id, "token_sha256": self._token_sha256, "sessions": self._expiries}
        write_atomically(self._path, json.dumps(document).encode())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def cookies_of(scope: Scope) -> str:
    """All cookies of a request; HTTP/1.1 knows one header of them, what stands in between may have made several."""
    return "; ".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie")
