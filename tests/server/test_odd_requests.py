"""Whatever is sent, the agent answers with what its description names, and never with a mistake of its own."""

import logging
import random
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from contract.codes import ErrorCode
from server.http.origins import parse_authority, parse_origin
from server.http.scopes import OPEN_PATHS
from server.logs import REPEATS_PER_PERIOD, RepeatLimit
from tests.agents import TOKEN, RunningAgent, running_agent, wait_for
from tests.server.odd_requests import HOSTS, ORIGINS, odd_request
from tests.server.test_classify import problem
from tests.server.test_connections import connected
from tests.server.test_security import SNI

REQUESTS = 500
BEFORE_THE_APPLICATION = {400, 408, 431, 501, 505}
"""Answers to what is no request of HTTP."""
LOG_MAX_BYTES = 100_000


@pytest.fixture(scope="module", params=[None, TOKEN], ids=["tokenless", "token"])
def attacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAgent]:
    """An agent of its own, with and without a token."""
    with running_agent(tmp_path_factory.mktemp("attacked"), "--workers", "1", token=request.param) as agent:
        yield agent


def answered(agent: RunningAgent, request: bytes) -> int | None:
    """The status of the answer, None where the connection was closed without one."""
    data = b""
    try:
        with connected(agent) as connection:
            connection.sendall(request)
            while b"\r\n\r\n" not in data:
                chunk = connection.recv(65536)
                if not chunk:
                    break
                data = (data + chunk).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    except ConnectionError:
        pass
    found = re.match(rb"HTTP/1.1 (\d{3}) ", data)
    return int(found[1]) if found else None


@pytest.mark.parametrize("seed", range(3))
def test_odd_requests_get_no_mistakes_and_only_documented_answers(attacked: RunningAgent, seed: int) -> None:
    """Seeded odd targets, hosts, origins, cookies, queries and bodies, from strangers and from who has the token."""
    dice = random.Random(seed)
    described = attacked.get("/openapi.json").json()["paths"]
    before = len(attacked.log())
    wrong: list[str] = []
    for _ in range(REQUESTS):
        owner = f"Bearer {TOKEN}".encode() if dice.random() < 0.5 else None
        method, path, request = odd_request(dice, owner)
        status = answered(attacked, request)
        responses = _responses(described, method, path)
        undocumented = responses is not None and str(status) not in responses and status not in BEFORE_THE_APPLICATION
        if status is not None and (status >= 500 or undocumented):
            wrong.append(f"{status}: {request[:600]!r}")
    assert not wrong
    written = attacked.log()[before:]
    assert "Traceback" not in written
    assert len(written) < LOG_MAX_BYTES
    assert attacked.get("/health/ready").status_code == 200


def _responses(
    described: dict[str, dict[str, dict[str, dict[str, object]]]], method: str, path: str
) -> dict[str, object] | None:
    """What the description says that a method of a path answers; None where there is no such operation."""
    for template, operations in described.items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), unquote(path)) and method.lower() in operations:
            return operations[method.lower()]["responses"]
    return None


@pytest.mark.parametrize("host", [b"[", b"[::1", b"localhost:99999", b"\xff", b"a@b"])
def test_a_host_that_is_none_is_refused(agent: RunningAgent, host: bytes) -> None:
    """Also where nothing is at the path: the answer names the path without asking what the host was."""
    for path in (b"/v1/info", b"/nothing", b"/v1/info/"):
        assert answered(agent, b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (path, host)) == 403


@pytest.mark.parametrize("origin", [b"http://[", b"http://]", b"http://localhost:99999", b"\xff", b"http://[::1]:x"])
def test_an_origin_that_is_none_opens_no_session(secured_agent: RunningAgent, origin: bytes) -> None:
    """The one path that takes bodies from strangers parses what they say of themselves."""
    head = b"POST /v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: %s\r\nContent-Length: 12\r\n" % origin
    assert answered(secured_agent, head + b'Connection: close\r\n\r\n{"code":"x"}') == 403
    assert "Traceback" not in secured_agent.log()


@pytest.mark.parametrize("host", [b"[", b"evil.example", b"a@b"])
def test_with_the_token_no_host_makes_a_mistake(secured_agent: RunningAgent, host: bytes) -> None:
    """The owner's requests are answered whatever they call the agent, at paths that are there and that are not."""
    head = b"Host: %s\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n" % (host, TOKEN.encode())
    for path, status in ((b"/v1/info", 200), (b"/nothing", 404), (b"/v1/info/", 404), (b"/v1/classify", 405)):
        assert answered(secured_agent, b"GET %s HTTP/1.1\r\n" % path + head) == status


@pytest.mark.parametrize("text", [value.decode("latin-1") for value in (*HOSTS, *ORIGINS)])
def test_parsing_gives_a_value_or_none(text: str) -> None:
    """It never raises."""
    for found in (parse_authority(text), parse_origin(text)):
        assert found is None or found.host


def test_hosts_and_origins_are_read_as_browsers_write_them() -> None:
    """Case, default ports, and the many ways to write an address are one."""
    assert parse_origin("HTTP://LocalHost") == parse_origin("http://localhost:80")
    assert parse_origin("https://[0:0:0:0:0:0:0:1]:8443") == parse_origin("https://[::1]:8443")
    assert parse_origin("null") is None
    found = parse_authority("[::1]:8080")
    assert found is not None
    assert (found.host, found.port) == ("::1", 8080)


def test_allow_names_every_method_of_a_path(agent: RunningAgent) -> None:
    """Also on the short way of classification, and for methods that no path takes."""
    wanted = {
        "/v1/jobs": {"GET", "POST"},
        "/v1/jobs/x": {"GET", "DELETE"},
        "/v1/models/x": {"GET", "PUT", "DELETE"},
        "/v1/blobs/sha256:x": {"HEAD", "PUT"},
        "/v1/classify": {"POST"},
        "/v1/models/x/classify": {"POST"},
        "/v1/default-model": {"GET", "PUT"},
        "/v1/session": {"POST", "DELETE"},
        "/": {"GET"},
    }
    with agent.http() as http:
        for path, methods in wanted.items():
            for method in {"PATCH", "OPTIONS", "HEAD", "DELETE"} - methods:
                response = http.request(method, path)
                assert response.status_code == 405, path
                assert set(response.headers["allow"].split(", ")) == methods, (method, path)


def test_every_reference_of_the_description_leads_somewhere(agent: RunningAgent) -> None:
    """A generator of clients can resolve all of it, and every path says how it answers who may not ask."""
    document = agent.get("/openapi.json").json()
    references = _references(document)
    assert references
    for reference in references:
        found = document
        assert reference.startswith("#/")
        for step in reference[2:].split("/"):
            found = found[step]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert path in OPEN_PATHS or {"401", "403", "429", "500", "503"} <= set(operation["responses"])


def _references(document: object) -> set[str]:
    if isinstance(document, list):
        return set().union(*map(_references, document))
    if not isinstance(document, dict):
        return set()
    own = {document["$ref"]} if isinstance(document.get("$ref"), str) else set()
    return own.union(*map(_references, document.values()))


def test_a_slash_too_many_is_told_and_leads_nowhere(agent: RunningAgent) -> None:
    """No redirect: it would name whatever host the request names."""
    with agent.http(follow_redirects=False) as http:
        response = http.get("/v1/jobs/", headers={"Host": "localhost:1"})
    assert problem(response).code == ErrorCode.NOT_FOUND
    assert "/v1/jobs" in (problem(response).hint or "")
    assert "location" not in response.headers


def test_a_stream_of_wrong_tokens_leaves_a_few_lines_with_the_address(tmp_path: Path) -> None:
    """Who was wrong, and not what was sent."""
    with running_agent(tmp_path / "data", "--workers", "1", token=TOKEN) as agent, agent.http() as http:
        for number in range(60):
            http.get("/v1/info", headers={"Authorization": f"Bearer guess-{number}"}, extensions=SNI)
        lines = [line for line in agent.log().splitlines() if "wrong tokens" in line]
        assert "guess" not in agent.log()
    assert 1 <= len(lines) <= 2
    assert all("127.0.0.1" in line for line in lines)


def test_what_is_no_http_leaves_a_bounded_log(tmp_path: Path) -> None:
    """Nobody fills a disk by sending rubbish."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent:
        before = len(agent.log())
        for _ in range(300):
            with socket.create_connection(agent.address) as connection:
                connection.sendall(b"rubbish\r\n\r\n")
                connection.recv(1000)
        assert len(agent.log()) - before < 20_000


def test_repeated_errors_are_counted_and_the_count_is_told() -> None:
    """So many tracebacks of a kind in a period; another kind is still written, and what was kept back is told."""
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Kept()
    limit = RepeatLimit(handler)
    handler.addFilter(limit)
    log = logging.Logger("a test's own")
    log.addHandler(handler)
    for number in range(50):
        try:
            raise ValueError(number)
        except ValueError:
            log.exception("request %d failed", number)
        log.info("not limited")
    try:
        raise KeyError("another kind")
    except KeyError:
        log.exception("another")
    assert sum("failed" in line for line in lines) == REPEATS_PER_PERIOD
    assert "another" in lines
    assert lines.count("not limited") == 50
    limit.report()
    assert lines[-1].startswith(f"{50 - REPEATS_PER_PERIOD} more lines")
    assert "ValueError" in lines[-1]


def test_the_count_is_told_when_the_period_ends() -> None:
    """Without anybody logging anything any more."""
    told: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    handler = Kept()
    handler.addFilter(RepeatLimit(handler, period_s=3))
    log = logging.Logger("a test's own")
    log.addHandler(handler)
    for _ in range(REPEATS_PER_PERIOD + 1):
        log.warning("again")
    wait_for(lambda: "more lines" in told[-1])
