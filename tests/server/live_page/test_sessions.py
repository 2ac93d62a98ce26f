"""A browser gets in with a one-time code and stays with a cookie; nobody else does, and no other site uses it."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from contract.codes import ErrorCode
from contract.session import SessionCode
from contract.tokens import Scope as TokenScope
from contract.tokens import TokenRequest
from server.access.callers import Caller
from server.access.tokens import Tokens
from server.errors import AgentError
from server.http.sessions import FILE_NAME, Sessions
from server.storage.room import Room
from tests.agents import TOKEN, RunningAgent, running_agent
from tests.images import digit
from tests.server.jobs.running import benchmark, wait_until_ended
from tests.server.test_classify import problem
from tests.server.test_odd_requests import answered
from tests.server.test_security import SNI

NO_TOKEN = {"Authorization": ""}
DATA = ["/v1/info", "/v1/jobs", "/v1/models", "/v1/telemetry", "/v1/telemetry/stream", "/openapi.json"]
TOKEN_SHA256 = "ab" * 32


@pytest.fixture
def browser(secured_agent: RunningAgent) -> Iterator[httpx.Client]:
    """A client without the token that keeps cookies and says where its requests come from, like a page."""
    with secured_agent.http() as http:
        del http.headers["Authorization"]
        http.headers["Origin"] = secured_agent.url
        yield http


def new_code(agent: RunningAgent) -> str:
    """A code, asked for with the token."""
    return SessionCode.model_validate_json(agent.post("/v1/session-codes", b"").raise_for_status().content).code


def opened(browser: httpx.Client, agent: RunningAgent) -> httpx.Response:
    """The answer to a code that is good."""
    return browser.post("/v1/session", json={"code": new_code(agent)}, extensions=SNI).raise_for_status()


def test_the_page_holds_no_data_and_everything_else_wants_a_session(browser: httpx.Client) -> None:
    """The shell is open, as a browser cannot send a token; what it shows is not."""
    for path in ("/", "/static/main.js", "/static/page.css"):
        response = browser.get(path, extensions=SNI)
        assert response.status_code == 200
        policy = response.headers["content-security-policy"]
        for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"):
            assert rule in policy
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert not any(name.startswith("access-control") for name in response.headers)
    for path in DATA:
        assert problem(browser.get(path, extensions=SNI)).code == ErrorCode.UNAUTHORIZED
    for path in ("/static/nothing.js", "/static/..%2f..%2fsettings.py", "/static/echarts-licenses"):
        assert browser.get(path, extensions=SNI).status_code == 404


def test_the_page_is_sent_small_and_once(agent: RunningAgent) -> None:
    """Compressed for who takes that, and not again while it is the same."""
    with agent.http() as http:
        small = http.get("/static/echarts.js", headers={"Accept-Encoding": "gzip"})
        plain = http.get("/static/echarts.js", headers={"Accept-Encoding": "identity"})
        assert small.content == plain.content
        assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 2
        assert http.get("/static/echarts.js", headers={"If-None-Match": plain.headers["etag"]}).status_code == 304


def test_the_list_of_jobs_is_sent_when_it_changed(agent: RunningAgent) -> None:
    """With its tag it is answered with 304 until a job comes, goes or ends."""
    with agent.http() as http:
        tag = http.get("/v1/jobs").headers["etag"]
        assert tag.startswith("W/")
        assert http.get("/v1/jobs", headers={"If-None-Match": tag}).status_code == 304
        job = http.post("/v1/jobs", json=benchmark(iterations=1)).json()
        changed = http.get("/v1/jobs", headers={"If-None-Match": tag})
        assert changed.json()["jobs"][0]["id"] == job["id"]
        wait_until_ended(http, job["id"])
        assert http.get("/v1/jobs", headers={"If-None-Match": changed.headers["etag"]}).status_code == 200
        http.delete(f"/v1/jobs/{job['id']}").raise_for_status()


def test_the_cookie_opens_what_the_token_opens(browser: httpx.Client, secured_agent: RunningAgent) -> None:
    """Data, classification on its own short way, and the end of the session; the cookie is out of scripts' reach."""
    cookie = opened(browser, secured_agent).headers["set-cookie"]
    for attribute in ("HttpOnly", "Secure", "SameSite=Strict", "Path=/", "Max-Age="):
        assert attribute in cookie
    assert cookie.startswith("__Host-edgerun-")
    assert browser.get("/v1/info", extensions=SNI).status_code == 200
    assert browser.post("/v1/classify", content=digit(3), extensions=SNI).json()["predictions"][0]["label"] == "3"
    kept = dict(browser.cookies)
    assert browser.delete("/v1/session", extensions=SNI).status_code == 204
    browser.cookies.update(kept)
    assert problem(browser.get("/v1/info", extensions=SNI)).code == ErrorCode.UNAUTHORIZED


OTHER_COOKIES = [
    b'settings={"theme":"dark","size":[1,2]}',
    b"name=J\xc3\xb6rg",
    b"latin=\xe9\xff",
    b"title=two words",
    b"list=a,b,c",
    b'open="never closed',
    b'quoted="a b"',
    b'escaped="\\073 \\""',
    b"no-value",
    b"=no-name",
    b"empty=",
    b"equals=a=b==",
    b"",
    b"a[0]=1",
    b"path/name=x",
    b"user@host=1",
    b"$Version=1",
    b"expires=Wed, 21 Oct 2026 07:28:00 GMT",
    b"tab=\ta",
    b"__Host-edgerun-00000000=another agent's",
    b"long=" + b"x" * 4000,
]
"""What other applications on other ports of this host may have left in the browser."""


@pytest.mark.parametrize("other", OTHER_COOKIES, ids=lambda other: other[:12].decode("latin-1"))
def test_cookies_of_other_applications_do_not_end_a_session(
    browser: httpx.Client, secured_agent: RunningAgent, other: bytes
) -> None:
    """Before it, behind it, without the space, and in a header of their own."""
    own = opened(browser, secured_agent).headers["set-cookie"].partition(";")[0].encode()
    name = own.partition(b"=")[0]
    doubled = name + b"=an older one; " + own
    headers = [b"; ".join(each) for each in ([other, own], [own, other], [other, own, other], [other, doubled])]
    headers += [other + b";" + own, other + b"\r\nCookie: " + own]
    for cookies in headers:
        head = b"GET /v1/info HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: " + cookies + b"\r\nConnection: close\r\n\r\n"
        assert answered(secured_agent, head) == 200, cookies
    wrong = b"GET /v1/info HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: " + b"x" + own + b"\r\nConnection: close\r\n\r\n"
    assert answered(secured_agent, wrong) == 401


def test_a_code_is_good_once(browser: httpx.Client, secured_agent: RunningAgent) -> None:
    """Whoever finds it in a history or a log finds nothing."""
    code = new_code(secured_agent)
    answers = [browser.post("/v1/session", json={"code": code}, extensions=SNI) for _ in range(2)]
    assert answers[0].status_code == 201
    assert problem(answers[1]).code == ErrorCode.SESSION_CODE_REFUSED
    assert "client open" in (problem(answers[1]).hint or "")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "https://127.0.0.1:1"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_other_pages_cannot_use_the_cookie(
    browser: httpx.Client, secured_agent: RunningAgent, headers: dict[str, str]
) -> None:
    """Not even one on another port of this host, which browsers count as the same site."""
    opened(browser, secured_agent)
    for method, path in (("GET", "/v1/info"), ("POST", "/v1/classify"), ("POST", "/v1/session")):
        response = browser.request(method, path, headers=headers, extensions=SNI)
        assert problem(response).code == ErrorCode.FORBIDDEN_ORIGIN


def test_what_changes_something_must_name_its_origin(browser: httpx.Client, secured_agent: RunningAgent) -> None:
    """Every browser does, with requests that are not GET."""
    opened(browser, secured_agent)
    del browser.headers["Origin"]
    assert browser.get("/v1/info", extensions=SNI).status_code == 200
    response = browser.post("/v1/jobs/x/cancel", extensions=SNI)
    assert problem(response).code == ErrorCode.FORBIDDEN_ORIGIN


def test_only_the_token_gives_codes(browser: httpx.Client, secured_agent: RunningAgent) -> None:
    """Without it there are none, with a session neither: it would never end."""
    assert problem(browser.post("/v1/session-codes", extensions=SNI)).code == ErrorCode.UNAUTHORIZED
    opened(browser, secured_agent)
    assert problem(browser.post("/v1/session-codes", extensions=SNI)).code == ErrorCode.UNAUTHORIZED


def test_sessions_outlive_a_restart_and_guesses_are_slowed(tmp_path: Path) -> None:
    """The page comes back by itself; the eleventh wrong code in a minute gets 429, a good one is answered."""
    with running_agent(tmp_path / "data", "--workers", "1", token=TOKEN) as agent, agent.http() as http:
        del http.headers["Authorization"]
        http.headers["Origin"] = agent.url
        codes = [http.post("/v1/session", json={"code": f"{n}"}, extensions=SNI).status_code for n in range(12)]
        assert codes == [403] * 10 + [429] * 2
        opened(http, agent)
        cookies = dict(http.cookies)
        stored = (tmp_path / "data" / FILE_NAME).read_text()
        assert not any(value in stored for value in cookies.values())
        assert (tmp_path / "data" / FILE_NAME).stat().st_mode & 0o077 == 0
    with running_agent(tmp_path / "data", "--workers", "1", token=TOKEN) as agent, agent.http() as http:
        assert http.get("/v1/info", headers=NO_TOKEN, extensions=SNI).status_code == 401
        del http.headers["Authorization"]
        http.cookies.update(cookies)
        assert http.get("/v1/info", extensions=SNI).status_code == 200


def test_an_agent_without_a_token_needs_no_code(agent: RunningAgent) -> None:
    """The page and its data are there for this machine, and for no other site's name."""
    assert agent.get("/").status_code == 200
    with agent.http() as http:
        assert problem(http.get("/", headers={"Host": "evil.example"})).code == ErrorCode.FORBIDDEN_ORIGIN


def sessions_of(folder: Path, first_sha256: str | None = TOKEN_SHA256, **settings: float) -> Sessions:
    """The sessions of an agent that was started with a token."""
    return Sessions(folder, Tokens(folder, first_sha256, Room(folder)), tls=True, **settings)


def opened_in(sessions: Sessions, caller: Caller) -> str:
    """The cookie of a session that was opened with a token."""
    return sessions.open(sessions.new_code(caller).code, "somewhere")[1]


def first_of(sessions: Sessions) -> Caller:
    """Who brings the token that the agent was started with."""
    token = sessions.tokens.by_sha256(TOKEN_SHA256)
    assert token is not None
    return Caller(token)


def test_codes_and_sessions_end(tmp_path: Path) -> None:
    """A code after its minutes, a session after its hours, all sessions with the token they were opened under."""
    old = sessions_of(tmp_path, code_lifetime_s=0)
    with pytest.raises(AgentError):
        opened_in(old, first_of(old))

    sessions = sessions_of(tmp_path)
    cookie = opened_in(sessions, first_of(sessions))
    assert sessions.caller(cookie)
    assert sessions_of(tmp_path).caller(cookie)
    kept = (tmp_path / FILE_NAME).read_text()
    for other in ("cd" * 32, None):
        (tmp_path / FILE_NAME).write_text(kept)
        assert not sessions_of(tmp_path, other).caller(cookie)
        assert not sessions_of(tmp_path).caller(cookie)  # the old token is back, they are not
    (tmp_path / FILE_NAME).write_text(kept)

    document = json.loads((tmp_path / FILE_NAME).read_text())
    for expires_s in (0.0, 1e12):  # past, and further away than any session ever is: the clock was set back
        document["sessions"] = {key: [TOKEN_SHA256, expires_s] for key in document["sessions"]}
        (tmp_path / FILE_NAME).write_text(json.dumps(document))
        assert not sessions_of(tmp_path).caller(cookie)
    for damaged in (
        "damaged",
        "[]",
        "[" * 100_000,
        '{"id": "a; b"}',
        json.dumps({**document, "id": "x\r\ny"}),
        json.dumps({**document, "sessions": {"a": 1.0, "b": [1], "c": None}}),
        "\ud800",
    ):
        (tmp_path / FILE_NAME).write_bytes(damaged.encode(errors="surrogatepass"))
        assert not sessions_of(tmp_path).caller(cookie)


def test_only_so_many_codes_and_sessions_are_remembered(tmp_path: Path) -> None:
    """The oldest make room."""
    sessions = sessions_of(tmp_path)
    first = first_of(sessions)
    codes = [sessions.new_code(first).code for _ in range(17)]
    with pytest.raises(AgentError):
        sessions.open(codes[0], "somewhere")
    cookies = [opened_in(sessions, first) for _ in range(65)]
    held = [sessions.caller(cookie) is not None for cookie in (cookies[0], cookies[1], cookies[-1])]
    assert held == [False, True, True]


def test_a_session_is_no_more_than_the_token_it_was_opened_with(tmp_path: Path) -> None:
    """It has its scopes, and ends with it: at once, over a restart, and its codes with it."""
    sessions = sessions_of(tmp_path)
    made = asyncio.run(sessions.tokens.create(TokenRequest(name="viewer", scopes=[TokenScope.READ])))
    viewer = sessions.tokens.caller(made.token)
    assert viewer is not None
    cookie = opened_in(sessions, viewer)
    code = sessions.new_code(viewer).code
    found = sessions.caller(cookie)
    assert found is not None
    assert (found.name, found.session, found.scopes) == ("viewer", True, frozenset({TokenScope.READ}))
    asyncio.run(sessions.tokens.revoke("viewer"))
    assert sessions.caller(cookie) is None
    with pytest.raises(AgentError):
        sessions.open(code, "somewhere")
    assert sessions_of(tmp_path).caller(cookie) is None
    again = asyncio.run(sessions.tokens.create(TokenRequest(name="viewer", scopes=[TokenScope.ADMIN])))
    assert sessions.caller(cookie) is None
    assert again.token != made.token
