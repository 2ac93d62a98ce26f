"""Who changed what: a line for each change, never a secret, and never at the cost of an answer."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from contract.codes import ErrorCode
from contract.tokens import AuditEntry, AuditPage, Scope, TokenRequest
from image_model.catalog import EMBEDDED_FOLDER
from server.access.audit import ADDRESSES_MAX, FILE_NAME, OLDER_NAME, OTHERS, REFUSED_PER_MINUTE, AuditLog, Change
from server.access.tokens import Tokens
from server.errors import AgentError
from server.storage.room import RESERVE_BYTES, Room
from tests.agents import TOKEN, RunningAgent, running_agent
from tests.server.jobs.running import OPTIONS, command, wait_until_ended
from tests.server.jobs.small_disk import fill, small_disk
from tests.server.test_security import SNI
from tests.server.test_tokens import make, with_token

DIGITS = EMBEDDED_FOLDER / "digits.tflite"


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAgent]:
    """An agent that runs programs."""
    with running_agent(tmp_path_factory.mktemp("audited"), *OPTIONS, token=TOKEN) as running:
        yield running


def entries(agent: RunningAgent, query: str = "") -> list[AuditEntry]:
    """A page of the log, oldest first."""
    found = AuditPage.model_validate_json(agent.get(f"/v1/audit?limit=500{query}").raise_for_status().content)
    return found.entries[::-1]


def test_every_kind_of_change_leaves_a_line(audited: RunningAgent) -> None:
    """With who, what, from where, and how it was answered; reading and classifying leave none."""
    digest = f"sha256:{hashlib.sha256(DIGITS.read_bytes()).hexdigest()}"
    already = len(entries(audited))
    runner = with_token(audited, make(audited, "runner", "run", "read").token)
    hooks = {"request": [lambda request: request.extensions.update(SNI)]}
    with runner.http(event_hooks=hooks) as http, audited.http(event_hooks=hooks) as admin:
        http.put(f"/v1/blobs/{digest}", content=DIGITS.read_bytes()).raise_for_status()
        http.put("/v1/models/mine", json={"model": digest}).raise_for_status()
        assert http.put("/v1/default-model", json={"name": "mine"}).status_code == 403
        admin.put("/v1/default-model", json={"name": "mine"}).raise_for_status()
        http.delete("/v1/models/mine").raise_for_status()
        job = http.post("/v1/jobs", json=command("sleep", "60")).raise_for_status().json()["id"]
        http.post(f"/v1/jobs/{job}/cancel").raise_for_status()
        wait_until_ended(http, job)
        http.delete(f"/v1/jobs/{job}").raise_for_status()
        admin.put("/v1/lease", json={"left_s": 3600}).raise_for_status()
        admin.put("/v1/lease", json={"left_s": None}).raise_for_status()
        browse(audited, http.post("/v1/session-codes").raise_for_status().json()["code"])
        admin.delete("/v1/tokens/runner").raise_for_status()
    found = entries(audited)[already:]
    assert [(each.token, each.session, each.action, each.target, each.status) for each in found] == [
        ("first", False, "token.create", "runner (read, run)", 201),
        ("runner", False, "blob.put", digest, 201),
        ("runner", False, "model.put", "mine", 201),
        ("runner", False, "default-model.set", None, 403),
        ("first", False, "default-model.set", "mine", 200),
        ("runner", False, "model.delete", "mine", 204),
        ("runner", False, "job.submit", f"{job} (command)", 202),
        ("runner", False, "job.cancel", job, 200),
        ("runner", False, "job.delete", job, 204),
        ("first", False, "lease.set", "ends in 3600 s", 200),
        ("first", False, "lease.set", "no end", 200),
        ("runner", True, "session.open", None, 201),
        ("runner", True, "session.end", None, 204),
        ("first", False, "token.revoke", "runner", 204),
    ]
    assert {each.address for each in found} == {"127.0.0.1"}
    assert len({each.request_id for each in found}) == len(found)
    assert [each.number for each in found] == list(range(found[0].number, found[0].number + len(found)))


def browse(agent: RunningAgent, code: str) -> None:
    """Open a session as a page does, and end it."""
    with agent.http() as browser:
        del browser.headers["Authorization"]
        browser.headers["Origin"] = agent.url
        browser.post("/v1/session", json={"code": code}, extensions=SNI).raise_for_status()
        browser.delete("/v1/session", extensions=SNI).raise_for_status()


def test_no_secret_and_nothing_a_terminal_obeys_is_noted(audited: RunningAgent) -> None:
    """Names as hostile as a path can hold, a program's command and variables, and tokens."""
    odd = ("%1b%5b2J", "%E2%80%AEgpj", "%0a%7b%22number%22%3a1%7d", "x" * 20_000, "%ff%fe", "%F0%9F%94%92")
    secret = "a variable that is nobody's business"
    with audited.http() as http:
        for name in odd:
            url = httpx.URL(audited.url).copy_with(raw_path=f"/v1/models/{name}".encode())
            assert http.delete(url, extensions=SNI).status_code in (404, 422)
        body = command("echo", secret, env={"SECRET": secret})
        job = http.post("/v1/jobs", json=body, extensions=SNI).raise_for_status().json()["id"]
        http.headers["X-Request-ID"] = "<b>odd</b>"
        assert http.delete("/v1/tokens/nobody", extensions=SNI).status_code == 404
        http.post(f"/v1/jobs/{job}/cancel", extensions=SNI).raise_for_status()
    made = make(audited, "secretive", "read")
    assert len(entries(audited)) > len(odd)
    text = (audited.data / FILE_NAME).read_text()
    assert not [
        each for each in (TOKEN, secret, made.token, hashlib.sha256(made.token.encode()).hexdigest()) if each in text
    ]
    assert all(character.isprintable() for line in text.splitlines() for character in line)
    assert max(map(len, text.splitlines())) < 2000
    assert (audited.data / FILE_NAME).stat().st_mode & 0o077 == 0


def test_pages_follow_each_other(audited: RunningAgent) -> None:
    """Newest first; `next` leads on until the end."""
    for n in range(3):
        make(audited, f"paged-{n}", "read")
    numbers, before = [], ""
    while True:
        page = AuditPage.model_validate_json(audited.get(f"/v1/audit?limit=2{before}").content)
        numbers += [entry.number for entry in page.entries]
        if page.next is None:
            break
        before = f"&before={page.next}"
    assert numbers == sorted(numbers, reverse=True)
    assert numbers == [entry.number for entry in entries(audited)[::-1]]
    assert audited.get("/v1/audit?limit=501").status_code == 422


def change(token: str | None = "someone", status: int = 200, **fields: object) -> Change:
    """A change that was asked for."""
    known = {"anonymous": token is None, "session": False, "address": "192.0.2.7", "action": "job.cancel"}
    return Change(**{"token": token, **known, "target": "x", "status": status, "request_id": "abcdefgh", **fields})  # type: ignore[arg-type]


def page_of(log: AuditLog, limit: int = 500) -> list[AuditEntry]:
    """What is in the log, newest first."""
    return asyncio.run(log.page(limit, None)).entries


def test_two_files_hold_the_newest_and_are_bounded(tmp_path: Path) -> None:
    """Numbers go on over files and restarts; the oldest lines are gone."""
    log = AuditLog(tmp_path, file_bytes=4096)
    for n in range(100):
        log.note(change(target=f"n{n}"))
    log.stop()
    sizes = [(tmp_path / name).stat().st_size for name in (FILE_NAME, OLDER_NAME)]
    assert all(0 < size <= 4096 for size in sizes)
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE_NAME, OLDER_NAME]
    again = AuditLog(tmp_path, file_bytes=4096)
    again.note(change(target="after"))
    found = page_of(again)
    again.stop()
    assert [entry.number for entry in found] == list(range(101, 101 - len(found), -1))
    assert (found[0].target, found[1].target) == ("after", "n99")
    assert 20 < len(found) < 100


def test_what_is_no_line_of_ours_costs_nothing_but_itself(tmp_path: Path) -> None:
    """A line that was cut off when the agent died, one that somebody wrote, and a file that was removed meanwhile."""
    log = AuditLog(tmp_path)
    log.note(change(target="one"))
    log.stop()
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(b'\xff\n{"number": "many"}\n' + b"[" * 5000 + b'\n{"number":2,"at":"2026-')
    log = AuditLog(tmp_path)
    log.note(change(target="two"))
    assert [entry.target for entry in page_of(log)] == ["two", "one"]
    (tmp_path / FILE_NAME).unlink()
    log.note(change(target="three"))
    assert [entry.target for entry in page_of(log)] == ["three"]
    log.stop()


def test_wrong_tokens_are_counted_and_summed_up(tmp_path: Path) -> None:
    """A line an address, and one for all beyond so many; what they sent is nowhere."""
    log = AuditLog(tmp_path)
    for n in range(ADDRESSES_MAX + 10):
        log.login_refused(f"192.0.2.{n}")
    for _ in range(5):
        log.login_refused("192.0.2.7")
        log.note(change(None, 403, action="session.open", address="192.0.2.7"))
    assert page_of(log) == []
    log.sum_up()
    found = {entry.address: entry.count for entry in page_of(log)}
    log.sum_up()
    assert len(page_of(log)) == len(found) == ADDRESSES_MAX + 1
    assert (found["192.0.2.7"], found["192.0.2.8"], found[OTHERS]) == (11, 1, 10)
    log.stop()


def test_refusals_push_nothing_out(tmp_path: Path) -> None:
    """Of one token so many a minute have lines, the rest are one; what others do is not touched by that."""
    log = AuditLog(tmp_path)
    for _ in range(1000):
        log.note(change("noisy", 403))
    log.note(change("other", 403))
    log.note(change("noisy", 200))
    log.sum_up()
    found = [(entry.token, entry.action, entry.status, entry.count) for entry in page_of(log)]
    log.stop()
    assert found == [
        ("noisy", "more.refused", None, 1000 - REFUSED_PER_MINUTE),
        ("noisy", "job.cancel", 200, 1),
        ("other", "job.cancel", 403, 1),
        *[("noisy", "job.cancel", 403, 1)] * REFUSED_PER_MINUTE,
    ]


def test_a_full_disk_costs_lines_and_no_answer(tmp_path: Path) -> None:
    """What was lost is counted and noted when there is room; no line is half written."""
    disk = tmp_path / "disk"
    with small_disk(disk, 1 << 20):
        log = AuditLog(disk)
        log.note(change(target="before"))
        assert len(page_of(log)) == 1
        fill(disk / "full")
        for _ in range(200):
            log.note(change(target="x" * 900))
        assert [entry.target for entry in page_of(log)][-1] == "before"
        lines = (disk / FILE_NAME).read_bytes()  # only now has the log's thread done all that it was given
        (disk / "full").unlink()
        log.sum_up()
        found = page_of(log)
        assert (found[0].action, found[0].count > 100) == ("audit.lost", True)
        assert lines.endswith(b"\n") or not lines
        assert all(json.loads(line) for line in (disk / FILE_NAME).read_bytes().splitlines())
        log.stop()


def test_an_agent_on_a_full_disk_revokes_and_answers(tmp_path: Path) -> None:
    """Nothing new is made, but what opens the agent is closed, and stays so over a restart."""
    disk = tmp_path / "disk"
    with small_disk(disk, RESERVE_BYTES + (24 << 20)), running_agent(disk, "--workers", "1", token=TOKEN) as agent:
        made = make(agent, "leaked", "admin")
        fill(disk / "full")
        with agent.http() as http:
            refused = http.post("/v1/tokens", json={"name": "new", "scopes": ["read"]}, extensions=SNI)
            assert (refused.status_code, refused.json()["code"]) == (507, ErrorCode.STORAGE_FULL)
            assert http.delete("/v1/tokens/leaked", extensions=SNI).status_code == 204
            assert http.put("/v1/lease", json={"left_s": 60}, extensions=SNI).status_code == 200
        assert with_token(agent, made.token).get("/v1/access").status_code == 401
        stored = json.loads((disk / "tokens.json").read_text())
        assert [token["name"] for token in stored["tokens"]] == ["first"]


def test_a_revocation_that_cannot_be_stored_holds_until_a_restart_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is dead at once; asked again when there is room, it is dead for good."""
    tokens = Tokens(tmp_path, "ab" * 32, Room(tmp_path))
    made = asyncio.run(tokens.create(TokenRequest(name="leaked", scopes=[Scope.READ])))

    def full(*_: object) -> None:
        raise AgentError(ErrorCode.STORAGE_FULL, "no space left")

    with monkeypatch.context() as patched:
        patched.setattr("server.access.token_file.write_atomically", full)
        with pytest.raises(AgentError, match="opens nothing now, but that could not be stored") as refused:
            asyncio.run(tokens.revoke("leaked"))
    assert refused.value.code is ErrorCode.STORAGE_FULL
    assert "before a restart" in (refused.value.hint or "")
    with pytest.raises(AgentError, match="was revoked"):
        tokens.caller(made.token)
    asyncio.run(tokens.revoke("leaked"))
    assert Tokens(tmp_path, "ab" * 32, Room(tmp_path)).caller(made.token) is None
