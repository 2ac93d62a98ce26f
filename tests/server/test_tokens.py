"""Tokens: several, named, revoked without a restart, and never on the device but as a hash."""

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from client.sdk.hosts import Host
from contract.codes import ErrorCode
from contract.tokens import NewToken, TokenInfo, TokenList
from server.access.token_file import REVOKED_FIRST_NAME, TOKENS_NAME, USES_NAME
from server.access.tokens import Tokens
from server.storage.room import Room
from tests.agents import TOKEN, RunningAgent, running_agent, wait_for
from tests.images import digit
from tests.server.jobs.running import OPTIONS, lasting, living, shell
from tests.server.test_classify import problem
from tests.server.test_security import SNI

FIRST_SHA256 = "ab" * 32


def make(agent: RunningAgent, name: str, *scopes: str, **fields: float) -> NewToken:
    """A token that an admin made."""
    with agent.http() as http:
        answer = http.post("/v1/tokens", json={"name": name, "scopes": scopes, **fields}, extensions=SNI)
    assert answer.status_code == 201, answer.text
    return NewToken.model_validate_json(answer.content)


def revoke(agent: RunningAgent, name: str) -> httpx.Response:
    """An admin's request to revoke a token."""
    with agent.http() as http:
        return http.delete(f"/v1/tokens/{name}", extensions=SNI)


def listed(agent: RunningAgent) -> dict[str, TokenInfo]:
    """All tokens by name."""
    answer = agent.get("/v1/tokens").raise_for_status()
    return {token.name: token for token in TokenList.model_validate_json(answer.content).tokens}


def with_token(agent: RunningAgent, token: str) -> RunningAgent:
    """The same agent, asked with another token."""
    return RunningAgent(
        agent.process, agent.data, Host("test", agent.url, agent.host.certificate, token), agent.log_path
    )


def status_of(agent: RunningAgent, token: str, path: str = "/v1/access") -> int:
    """How a request with a token is answered."""
    return with_token(agent, token).get(path).status_code


@contextmanager
def secured(data: Path, token: str = TOKEN) -> Iterator[RunningAgent]:
    """An agent on a data folder of this test."""
    with running_agent(data, "--workers", "1", token=token) as running:
        yield running


def test_several_tokens_are_good_at_once_and_only_their_hashes_are_kept(secured_agent: RunningAgent) -> None:
    """Each knows its own name; no file of the agent, its log included, holds a secret."""
    made = [make(secured_agent, f"several-{n}", "read", "infer") for n in range(3)]
    for each in made:
        access = with_token(secured_agent, each.token).get("/v1/access").json()
        assert (access["token"], access["scopes"]) == (each.name, ["read", "infer"])
        assert with_token(secured_agent, each.token).post("/v1/classify", digit(3)).status_code == 200
    secrets = [TOKEN, *(each.token for each in made)]
    files = [path for path in secured_agent.data.rglob("*") if path.is_file() and path.stat().st_size < 1 << 22]
    assert secured_agent.data / TOKENS_NAME in files
    assert not [path for path in files for secret in secrets if secret.encode() in path.read_bytes()]
    assert (secured_agent.data / TOKENS_NAME).stat().st_mode & 0o077 == 0
    for each in made:
        assert hashlib.sha256(each.token.encode()).hexdigest() in (secured_agent.data / TOKENS_NAME).read_text()
        assert status_of(secured_agent, hashlib.sha256(each.token.encode()).hexdigest()) == 401


def test_a_revoked_token_opens_nothing_at_once(secured_agent: RunningAgent) -> None:
    """The others stay as they are, and its name is free again."""
    made, other = make(secured_agent, "gone", "admin"), make(secured_agent, "stays", "read")
    assert revoke(secured_agent, "gone").status_code == 204
    assert (status_of(secured_agent, made.token), status_of(secured_agent, other.token)) == (401, 200)
    assert problem(revoke(secured_agent, "gone")).code == ErrorCode.UNKNOWN_TOKEN
    again = make(secured_agent, "gone", "read")
    assert (status_of(secured_agent, made.token), status_of(secured_agent, again.token)) == (401, 200)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"name": "first", "scopes": ["read"]}, ErrorCode.TOKEN_EXISTS),
        ({"name": "twice", "scopes": ["read"]}, ErrorCode.TOKEN_EXISTS),
        ({"name": "a/b", "scopes": ["read"]}, ErrorCode.INVALID_REQUEST),
        ({"name": "x" * 65, "scopes": ["read"]}, ErrorCode.INVALID_REQUEST),
        ({"name": "x\x1b[2J", "scopes": ["read"]}, ErrorCode.INVALID_REQUEST),
        ({"name": "x", "scopes": []}, ErrorCode.INVALID_REQUEST),
        ({"name": "x", "scopes": ["read"] * 17}, ErrorCode.INVALID_REQUEST),
        ({"name": "x", "scopes": ["root"]}, ErrorCode.INVALID_REQUEST),
        ({"name": "x", "scopes": ["read"], "expires_in_s": 1}, ErrorCode.INVALID_REQUEST),
        ({"name": "x", "scopes": ["read"], "expires_in_s": 1e300}, ErrorCode.INVALID_REQUEST),
        ({"name": "x", "scopes": ["read"], "token": "of my choice"}, ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_is_no_token_is_refused(secured_agent: RunningAgent, wanted: dict[str, object], code: ErrorCode) -> None:
    """And nothing is made."""
    if "twice" not in listed(secured_agent):
        make(secured_agent, "twice", "read")
    before = listed(secured_agent)
    with secured_agent.http() as http:
        assert problem(http.post("/v1/tokens", json=wanted, extensions=SNI)).code == code
    assert listed(secured_agent).keys() == before.keys()


def follow(agent: RunningAgent, path: str, begun: threading.Event, ended: list[float]) -> None:
    """Read a stream until it ends, and note when."""
    with agent.http() as http:
        try:
            with http.stream("GET", path, extensions=SNI) as answer:
                for _ in answer.iter_raw():
                    begun.set()
        except httpx.TransportError:
            pass
    ended.append(time.monotonic())


def test_streams_of_a_revoked_token_end(tmp_path: Path) -> None:
    """Samples, a job's events and a log that is followed; those of other tokens go on."""
    with running_agent(tmp_path / "data", *OPTIONS, token=TOKEN) as agent:
        with agent.http() as http:
            program = shell(f"echo begun; {lasting(300)}")
            job = http.post("/v1/jobs", json=program, extensions=SNI).raise_for_status().json()["id"]
        wait_for(lambda: living(lasting(300)))
        viewer = with_token(agent, make(agent, "viewer", "read").token)
        streams = [
            (viewer, "/v1/telemetry/stream"),
            (viewer, f"/v1/jobs/{job}/events"),
            (viewer, f"/v1/jobs/{job}/logs?follow=true"),
            (agent, "/v1/telemetry/stream"),
        ]
        ends: Sequence[list[float]] = [[] for _ in streams]
        begun = [threading.Event() for _ in streams]
        for (each, path), start, end in zip(streams, begun, ends, strict=True):
            threading.Thread(target=follow, args=(each, path, start, end), daemon=True).start()
        assert all(event.wait(60) for event in begun)
        assert revoke(agent, "viewer").status_code == 204
        wait_for(lambda: all(ends[:3]), timeout_s=30)
        assert not ends[3]
        assert agent.get("/v1/info").status_code == 200


def test_tokens_and_their_last_use_outlive_a_restart(tmp_path: Path) -> None:
    """What was made stays, what was revoked stays revoked, and roughly when each was used is known."""
    with secured(tmp_path / "data") as agent:
        kept, gone, unused = (make(agent, name, "read") for name in ("kept", "gone", "unused"))
        before = datetime.now(UTC)
        assert status_of(agent, kept.token) == status_of(agent, gone.token) == 200
        assert revoke(agent, "gone").status_code == 204
    assert (tmp_path / "data" / USES_NAME).stat().st_mode & 0o077 == 0
    with secured(tmp_path / "data") as agent:
        found = listed(agent)
        assert found.keys() == {"first", "kept", "unused"}
        used = found["kept"].last_used_at
        assert used is not None
        assert abs(used - before) < timedelta(minutes=1)
        assert found["unused"].last_used_at is None
        assert (found["first"].first, found["kept"].first) == (True, False)
        assert [status_of(agent, each.token) for each in (kept, gone, unused)] == [200, 401, 200]


def test_a_first_token_that_was_revoked_stays_so(tmp_path: Path) -> None:
    """With the same environment it is not back, nor when the list is damaged; another hash is a new first token."""
    data = tmp_path / "data"
    with secured(data) as agent:
        assert problem(revoke(agent, "first")).code == ErrorCode.LAST_ADMIN
        admin = make(agent, "admin", "admin")
        assert revoke(agent, "first").status_code == 204
        assert status_of(agent, TOKEN) == 401
        assert problem(revoke(with_token(agent, admin.token), "admin")).code == ErrorCode.LAST_ADMIN
    assert [path.name for path in (data / REVOKED_FIRST_NAME).iterdir()] == [hashlib.sha256(TOKEN.encode()).hexdigest()]
    tokens = Tokens(data, hashlib.sha256(TOKEN.encode()).hexdigest(), Room(data))
    assert (tokens.caller(TOKEN), tokens.caller(admin.token) is not None) == (None, True)
    with secured(data, "another first one") as agent:
        assert listed(agent).keys() == {"first", "admin"}
        assert [status_of(agent, each) for each in ("another first one", admin.token, TOKEN)] == [200, 200, 401]
    (data / TOKENS_NAME).write_text("damaged")
    tokens = Tokens(data, hashlib.sha256(TOKEN.encode()).hexdigest(), Room(data))
    assert (tokens.caller(TOKEN), tokens.caller(admin.token)) == (None, None)


def test_an_agent_with_a_damaged_list_says_so(tmp_path: Path) -> None:
    """Where its users look: readiness and information."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / TOKENS_NAME).write_text("damaged")
    with secured(tmp_path / "data") as agent:
        for path in ("/health/ready", "/v1/info"):
            assert "tokens.json was damaged" in str(agent.get(path).json()["notes"])
