"""Sessions of browsers: whoever has the token asks for a code, and the code opens one session, once.

Codes live in memory and for minutes. Sessions are in a file that its owner alone reads, so that a page outlives a
restart of the agent; of their secrets it holds the SHA-256. They end with the token they were opened under.
"""

import hashlib
import hmac
import json
import logging
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from contract.codes import ErrorCode
from contract.session import Session, SessionCode
from server.attempts import WrongAttempts
from server.disk import write_atomically
from server.errors import AgentError

log = logging.getLogger(__name__)

CODE_LIFETIME_S = 300.0
"""Long enough to compare a fingerprint before the browser's warning about the certificate is dismissed."""
SESSION_LIFETIME_S = 12 * 3600.0
CODES_MAX = 16
SESSIONS_MAX = 64
"""Of either, the oldest makes room."""
SECRET_BYTES = 32
FILE_NAME = "sessions.json"


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
        self._id, self._expiries = self._load()

    @property
    def cookie_name(self) -> str:
        """Of its own for each agent: cookies of one host are shared by all its ports."""
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

    def holds(self, cookie_header: str) -> bool:
        """Whether a request's cookies name a session that goes on."""
        expires_s = self._expiries.get(_digest(self._secret_in(cookie_header)))
        # A clock that was set back must not lengthen what began before.
        return expires_s is not None and time.time() < expires_s <= time.time() + self._lifetime_s

    def end(self, cookie_header: str) -> str:
        """End the session that a request's cookies name, if any; gives the cookie that removes the browser's."""
        if self._expiries.pop(_digest(self._secret_in(cookie_header)), None) is not None:
            self._save()
        return self._cookie("", 0)

    def _cookie(self, value: str, lifetime_s: float) -> str:
        secure = "; Secure" if self._tls else ""
        return f"{self.cookie_name}={value}; Path=/; Max-Age={lifetime_s:.0f}; HttpOnly; SameSite=Strict{secure}"

    def _secret_in(self, cookie_header: str) -> str:
        try:
            morsel = SimpleCookie(cookie_header).get(self.cookie_name)
        except CookieError:
            return ""
        return morsel.value if morsel is not None else ""

    def _drop_ended(self) -> None:
        now = time.time()
        self._expiries = {digest: expires_s for digest, expires_s in self._expiries.items() if expires_s > now}

    def _load(self) -> tuple[str, dict[str, float]]:
        try:
            document = json.loads(self._path.read_text())
            name, same_token = str(document["id"]), document["token_sha256"] == self._token_sha256
            expiries: Mapping[str, float] = document["sessions"] if same_token else {}
            return name, {str(digest): float(expires_s) for digest, expires_s in expiries.items()}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("%s cannot be read, open pages must be opened anew: %s", self._path, error)
        return secrets.token_hex(4), {}

    def _save(self) -> None:
        document = {"id": self._id, "token_sha256": self._token_sha256, "sessions": self._expiries}
        write_atomically(self._path, json.dumps(document).encode(), 0o600)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
