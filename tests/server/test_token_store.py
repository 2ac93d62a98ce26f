"""The list of tokens on the disk and in memory: what damage, clocks, other requests and its bounds do to it."""

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from contract.codes import ErrorCode
from contract.tokens import TOKENS_MAX, Scope, TokenRequest
from server.access.access import Access
from server.access.token_file import TOKENS_NAME
from server.access.tokens import Tokens
from server.errors import AgentError
from server.storage.room import Room
from tests.agents import TOKEN

FIRST_SHA256 = "ab" * 32
ENTRY = {"name": "a", "sha256": hashlib.sha256(b"known").hexdigest(), "scopes": ["admin"], "created_s": 1.0}
WRONG: Sequence[Mapping[str, object]] = (
    {"name": "../b"},
    {"sha256": "known"},
    {"sha256": None},
    {"scopes": ["everything"]},
    {"scopes": []},
    {"created_s": "nan"},
    {"expires_s": -1},
    {"first": True},
)
DAMAGED = [
    "",
    "damaged",
    "[]",
    "null",
    "[" * 100_000,
    '{"version": 2, "tokens": []}',
    json.dumps({"version": 1, "tokens": [ENTRY], "more": 1}),
    json.dumps({"version": 1, "tokens": [ENTRY, {**ENTRY, "sha256": "cd" * 32}]}),
    *(json.dumps({"version": 1, "tokens": [ENTRY, {**ENTRY, "name": "b", **wrong}]}) for wrong in WRONG),
    json.dumps({"version": 1, "tokens": [{**ENTRY, "name": f"n{n}"} for n in range(TOKENS_MAX + 1)]}),
    " " * (1 << 19),
]


@pytest.mark.parametrize("content", DAMAGED, ids=range(len(DAMAGED)))
def test_of_a_damaged_list_nothing_counts(tmp_path: Path, content: str) -> None:
    """The first token alone is good, the fault is said, the file is kept aside, and the next start is as usual."""
    (tmp_path / TOKENS_NAME).write_text(content)
    tokens = Tokens(tmp_path, hashlib.sha256(TOKEN.encode()).hexdigest(), Room(tmp_path))
    assert tokens.caller("known") is None
    assert tokens.caller(TOKEN) is not None
    assert "only the first is good" in (tokens.fault or "")
    assert len(list(tmp_path.glob(f"{TOKENS_NAME}.damaged-*"))) == 1
    after = Tokens(tmp_path, hashlib.sha256(TOKEN.encode()).hexdigest(), Room(tmp_path))
    assert after.fault is None
    assert [token.name for token in after.listing().tokens] == ["first"]


def test_a_list_that_is_a_link_or_a_pipe_is_not_followed(tmp_path: Path) -> None:
    """What a program left in its place opens nothing and hangs nothing."""
    (tmp_path / "elsewhere").write_text(json.dumps({"version": 1, "tokens": [ENTRY]}))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / TOKENS_NAME).symlink_to(tmp_path / "elsewhere")
    assert Tokens(tmp_path / "data", FIRST_SHA256, Room(tmp_path)).caller("known") is None
    assert (tmp_path / "elsewhere").read_text()


def test_a_token_expires_and_its_name_is_free_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Afterwards it is refused with when that was; and before, where the clock was set back behind its making."""
    tokens = Tokens(tmp_path, FIRST_SHA256, Room(tmp_path))
    wanted = TokenRequest(name="short", scopes=[Scope.READ], expires_in_s=3600)
    made = asyncio.run(tokens.create(wanted))
    assert tokens.caller(made.token) is not None
    now_s = time.time()
    for later_s, words in ((3601, "expired at"), (-3600, "clock")):
        monkeypatch.setattr(time, "time", lambda at=now_s + later_s: at)
        with pytest.raises(AgentError, match=words) as refused:
            tokens.caller(made.token)
        assert refused.value.code is ErrorCode.UNAUTHORIZED
        assert tokens.by_sha256(hashlib.sha256(made.token.encode()).hexdigest()) is None
    monkeypatch.setattr(time, "time", lambda: now_s + 3601)
    assert [token.expired for token in tokens.listing().tokens] == [False, True]
    again = asyncio.run(tokens.create(wanted))
    assert tokens.caller(again.token) is not None
    assert tokens.caller(made.token) is None


def test_a_clock_that_is_set_back_revives_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that was revoked stays so for those who hold on to it: sessions, and connections under way."""
    tokens = Tokens(tmp_path, FIRST_SHA256, Room(tmp_path))
    made = asyncio.run(tokens.create(TokenRequest(name="gone", scopes=[Scope.READ])))
    caller = tokens.caller(made.token)
    assert caller is not None
    assert caller.token is not None
    asyncio.run(tokens.revoke("gone"))
    yesterday_s = time.time() - 86400
    monkeypatch.setattr(time, "time", lambda: yesterday_s)
    assert caller.is_over()
    assert not caller.token.is_good(time.time())


def test_any_protocol_can_ask_who_sends_a_token_and_what_it_may(tmp_path: Path) -> None:
    """Without a request of HTTP: wrong ones are refused, counted and slowed down; right ones have their scopes."""
    access = Access(tmp_path, FIRST_SHA256, Room(tmp_path))
    made = asyncio.run(access.tokens.create(TokenRequest(name="reader", scopes=[Scope.READ])))
    codes = []
    for guess in ("", *map(str, range(10))):
        with pytest.raises(AgentError) as refused:
            access.authenticate(guess, "192.0.2.7")
        codes.append(refused.value.code)
    assert codes == [ErrorCode.UNAUTHORIZED] * 10 + [ErrorCode.TOO_MANY_ATTEMPTS]
    caller = access.authenticate(made.token, "192.0.2.7")
    caller.require(frozenset({Scope.READ, Scope.INFER}), "ModelMetadata")
    with pytest.raises(AgentError, match="ModelInfer needs the scope infer; the token 'reader' has read"):
        caller.require(frozenset({Scope.INFER}), "ModelInfer")
    access.audit.sum_up()
    page = asyncio.run(access.audit.page(10, None))
    assert [(entry.action, entry.address, entry.count) for entry in page.entries] == [
        ("login.refused", "192.0.2.7", 11)
    ]
    access.audit.stop()


def test_an_admin_that_expires_does_not_count_as_the_last(tmp_path: Path) -> None:
    """Else everybody would be locked out one day."""
    tokens = Tokens(tmp_path, FIRST_SHA256, Room(tmp_path))
    asyncio.run(tokens.create(TokenRequest(name="temporary", scopes=[Scope.ADMIN], expires_in_s=3600)))
    asyncio.run(tokens.create(TokenRequest(name="reader", scopes=[Scope.READ])))
    with pytest.raises(AgentError) as refused:
        asyncio.run(tokens.revoke("first"))
    assert refused.value.code is ErrorCode.LAST_ADMIN
    assert "client tokens create" in (refused.value.hint or "")
    asyncio.run(tokens.revoke("temporary"))
    asyncio.run(tokens.create(TokenRequest(name="admin", scopes=[Scope.ADMIN])))
    asyncio.run(tokens.revoke("first"))
    with pytest.raises(AgentError):
        asyncio.run(tokens.revoke("admin"))


def test_two_admins_cannot_revoke_each_other_at_once(tmp_path: Path) -> None:
    """However requests meet, one is left."""
    tokens = Tokens(tmp_path, FIRST_SHA256, Room(tmp_path))
    asyncio.run(tokens.create(TokenRequest(name="admin", scopes=[Scope.ADMIN])))

    async def both() -> list[object]:
        return await asyncio.gather(*map(tokens.revoke, ("first", "admin")), return_exceptions=True)

    results = asyncio.run(both())
    assert sorted(type(result).__name__ for result in results) == ["AgentError", "NoneType"]
    assert len(tokens.listing().tokens) == 1


def test_there_are_only_so_many_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that expired make room; a full list is refused with what to do."""
    tokens = Tokens(tmp_path, FIRST_SHA256, Room(tmp_path))
    for n in range(TOKENS_MAX - 1):
        expires_in_s = 60.0 if n == 0 else None
        asyncio.run(tokens.create(TokenRequest(name=f"n{n}", scopes=[Scope.READ], expires_in_s=expires_in_s)))
    with pytest.raises(AgentError) as refused:
        asyncio.run(tokens.create(TokenRequest(name="more", scopes=[Scope.READ])))
    assert refused.value.code is ErrorCode.TOKENS_FULL
    assert re.search("client tokens revoke", refused.value.hint or "")
    later_s = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later_s)
    asyncio.run(tokens.create(TokenRequest(name="more", scopes=[Scope.READ])))
    assert len(Tokens(tmp_path, FIRST_SHA256, Room(tmp_path)).listing().tokens) == TOKENS_MAX
