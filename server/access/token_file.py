"""What is kept of tokens on the disk: the SHA-256 of each, never its secret.

`tokens.json` changes when a token does; `token-uses.json` follows about once a minute, so that what matters is not
written over and over. A first token that was revoked leaves a file of its own, which no damage to the others undoes.
"""

import contextlib
import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from contract.tokens import FIRST_TOKEN, TOKENS_MAX, Scopes, TokenName
from server.access.callers import Token
from server.errors import AgentError
from server.storage.atomic import ensure_folder, move_aside, write_atomically
from server.storage.trees import Folder

log = logging.getLogger(__name__)

TOKENS_NAME = "tokens.json"
USES_NAME = "token-uses.json"
REVOKED_FIRST_NAME = "revoked-first-tokens"
FILE_MAX_BYTES = 256 * 1024

_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Seconds = Annotated[FiniteFloat, Field(ge=0, le=1e11)]
_uses: TypeAdapter[dict[_Sha256, _Seconds]] = TypeAdapter(dict[_Sha256, _Seconds])


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: TokenName
    sha256: _Sha256
    scopes: Scopes
    created_s: _Seconds
    expires_s: _Seconds | None = None


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    tokens: list[_Stored] = Field(max_length=TOKENS_MAX)


class TokenFile:
    """The files of one agent's tokens."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.damaged: str | None = None
        """Why the tokens that were stored are not known any more, None while all is well."""

    def load(self) -> list[Token]:
        """The tokens as they were stored, the first among them; none where the file is damaged, which is moved aside.

        Nothing is taken of a file of which anything is wrong: half a list could hold what was revoked since.
        """
        try:
            document = _Document.model_validate_json(self._read(TOKENS_NAME))
            names = [each.name for each in document.tokens]
            if len(set(names)) < len(names):
                raise ValueError("two tokens have one name")
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            self._set_aside(_reason(error))
            return []
        uses = self._load_uses()
        return [_token(each, uses.get(each.sha256)) for each in document.tokens]

    def save(self, tokens: Iterable[Token]) -> None:
        """Write all tokens; raises AgentError STORAGE_FULL, OSError."""
        stored = [_stored(token) for token in tokens if token.revoked_s is None]
        content = _Document(tokens=stored).model_dump_json().encode()
        write_atomically(self._data / TOKENS_NAME, content)

    def save_uses(self, uses: Mapping[str, float]) -> None:
        """Write when each token was last used, by SHA-256; raises AgentError STORAGE_FULL, OSError."""
        write_atomically(self._data / USES_NAME, _uses.dump_json(dict(uses)))

    def revoke_first(self, token: Token) -> None:
        """Have a first token stay revoked over restarts with it; raises AgentError STORAGE_FULL, OSError."""
        ensure_folder(self._data / REVOKED_FIRST_NAME)
        write_atomically(self._data / REVOKED_FIRST_NAME / token.sha256, b"")

    def is_revoked_first(self, sha256: str) -> bool:
        """Whether a first token was revoked; raises OSError where that cannot be told."""
        try:
            (self._data / REVOKED_FIRST_NAME / sha256).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def _read(self, name: str) -> bytes:
        with Folder.at(self._data.resolve()) as folder:
            return folder.read(name, FILE_MAX_BYTES)

    def _load_uses(self) -> Mapping[str, float]:
        try:
            return _uses.validate_json(self._read(USES_NAME))
        except (OSError, ValueError):  # known again when they are used again
            return {}

    def _set_aside(self, reason: str) -> None:
        self.damaged = f"{TOKENS_NAME} was damaged ({reason}): of all tokens, only the first is good"
        log.error("%s; make the others anew with `client tokens create`", self.damaged)
        with contextlib.suppress(OSError, AgentError):
            move_aside(self._data / TOKENS_NAME)


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'as a whole'}: {first['msg']}"[:200]
    return str(error)[:200]


def _token(stored: _Stored, used_s: float | None) -> Token:
    token = Token(stored.name, stored.sha256, frozenset(stored.scopes), stored.created_s, stored.expires_s)
    token.first = stored.name == FIRST_TOKEN
    token.last_used_s = used_s if used_s is not None and used_s <= time.time() else None
    return token


def _stored(token: Token) -> _Stored:
    return _Stored(
        name=token.name,
        sha256=token.sha256,
        scopes=list(token.scopes),
        created_s=token.created_s,
        expires_s=token.expires_s,
    )
