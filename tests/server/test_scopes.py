"""Every route and every scope, against the table in docs/tokens.md."""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from starlette.types import Message, Receive, Send
from starlette.types import Scope as AsgiScope

from contract.codes import ErrorCode
from contract.errors import Problem
from contract.paths import INFO
from contract.tokens import NewToken, Scope, included
from server.access.access import Access
from server.agent import Agent
from server.app import create_api
from server.http.auth import Authentication
from server.http.scopes import RULES, Rule, Rules
from server.http.sessions import Sessions
from server.storage.room import Room
from tests.agents import RunningAgent
from tests.server.test_odd_requests import answered
from tests.server.test_security import SNI

DOCUMENT = Path(__file__).parents[2] / "docs" / "tokens.md"
ROW = re.compile(r"^\| `([A-Z]+) (/\S*)` \|(.*)\|$", re.M)
SETS: tuple[frozenset[Scope], ...] = (
    *(frozenset({scope}) for scope in Scope),
    frozenset({Scope.READ, Scope.INFER}),
    frozenset({Scope.READ, Scope.RUN}),
)
PARAMETERS = {"name": "nothing-of-this-name", "version": "1", "id": "0" * 16, "digest": "sha256:" + "0" * 64}

Cells = Mapping[str, bool]


def table() -> Mapping[tuple[str, str], Cells]:
    """The table of the documentation: of each method and path, the columns that say yes."""
    columns = (*Scope, "open")
    return {
        (method, path): dict(zip(columns, ("yes" in cell for cell in cells.split("|")), strict=True))
        for method, path, cells in ROW.findall(DOCUMENT.read_text())
    }


def routes() -> set[tuple[str, str]]:
    """Methods and path templates of everything that the application answers."""
    found = {(method, route.path) for route in _flat(create_api(cast(Agent, None)).routes) for method in route.methods}
    return {(method, path) for method, path in found if method != "HEAD" or ("GET", path) not in found}


def _flat(found: Iterable[Any]) -> Iterator[Any]:
    """Routes, and those of routers among them; a kind that is not known here has no `methods`, which fails."""
    for route in found:
        inner = getattr(route, "original_router", None)
        if inner is None:
            yield route
        else:
            yield from _flat(inner.routes)


@pytest.fixture(scope="module")
def tokens(secured_agent: RunningAgent) -> Mapping[frozenset[Scope], str]:
    """A token for each set of scopes."""
    made = {}
    for number, scopes in enumerate(SETS):
        body = {"name": f"set-{number}", "scopes": sorted(scopes)}
        with secured_agent.http() as http:
            answer = http.post("/v1/tokens", json=body, extensions=SNI).raise_for_status()
        made[scopes] = NewToken.model_validate_json(answer.content).token
    return made


def test_every_route_is_in_the_table_and_the_table_has_nothing_else() -> None:
    """Who adds a route reads its name here: it takes a line in server/http/scopes.py and one in docs/tokens.md."""
    documented = table()
    assert routes() - set(RULES) == set()
    assert set(RULES) - routes() == set()
    assert set(documented) == set(RULES)
    for route, rule in RULES.items():
        cells: dict[str, bool] = {scope: bool(rule.scopes & included({scope})) for scope in Scope}
        assert documented[route] == cells | {"open": rule.open}, route


def asked(http: httpx.Client, method: str, template: str, authorization: str) -> tuple[int, str]:
    """Status and error code of a request that changes nothing whoever sends it."""
    path = template.format(**PARAMETERS)
    headers = {"Authorization": authorization, "Content-Type": "application/json"}
    with http.stream(method, path, headers=headers, extensions=SNI) as answer:
        if "problem" not in answer.headers.get("content-type", "") or method == "HEAD":
            return answer.status_code, ""
        return answer.status_code, Problem.model_validate_json(answer.read()).code


@pytest.mark.parametrize("scopes", SETS, ids=lambda scopes: "+".join(sorted(scopes)))
def test_a_token_opens_what_its_scopes_open_and_nothing_else(
    secured_agent: RunningAgent, tokens: Mapping[frozenset[Scope], str], scopes: frozenset[Scope]
) -> None:
    """Every route of the agent with a token of these scopes."""
    wrong = {}
    with secured_agent.http() as http:
        for (method, path), cells in table().items():
            status, code = asked(http, method, path, f"Bearer {tokens[scopes]}")
            # The Open Inference Protocol has errors without codes.
            refused = status == 403 and (code == ErrorCode.SCOPE_MISSING or method == "HEAD" or path.startswith("/v2"))
            if refused == any(cells[scope] for scope in scopes) or status in (401, 500):
                wrong[method, path] = status, code
    assert wrong == {}


def test_without_a_token_only_the_open_paths_are_answered(secured_agent: RunningAgent) -> None:
    """Liveness, the page's shell, and the place where a code is exchanged."""
    wrong = {}
    with secured_agent.http() as http:
        del http.headers["Authorization"]
        for (method, path), cells in table().items():
            template = path.format(**PARAMETERS)
            with http.stream(method, template, headers={"Origin": secured_agent.url}, extensions=SNI) as answer:
                if (answer.status_code != 401) != cells["open"]:
                    wrong[method, path] = answer.status_code
    assert wrong == {}


def test_a_refusal_says_who_lacks_what_and_what_to_do(
    secured_agent: RunningAgent, tokens: Mapping[frozenset[Scope], str]
) -> None:
    """The scope that is needed, the token's name and its scopes, and the command that makes one that may."""
    with secured_agent.http() as http:
        headers = {"Authorization": f"Bearer {tokens[frozenset({Scope.READ, Scope.INFER})]}"}
        answer = http.post("/v1/jobs", headers=headers, extensions=SNI)
    found = Problem.model_validate_json(answer.content)
    assert answer.status_code == 403
    assert found.detail == "POST /v1/jobs needs the scope run; the token 'set-4' has read, infer"
    assert "client tokens create NAME --scope run" in (found.hint or "")


def test_a_body_that_may_not_be_sent_is_not_read(
    secured_agent: RunningAgent, tokens: Mapping[frozenset[Scope], str]
) -> None:
    """The refusal comes while gigabytes are still announced."""
    head = f"PUT /v1/blobs/sha256:{'0' * 64} HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n"
    head += f"Authorization: Bearer {tokens[frozenset({Scope.READ})]}\r\n\r\n"
    assert answered(secured_agent, head.encode()) == 403


def test_odd_spellings_of_a_path_open_nothing_more(
    secured_agent: RunningAgent, tokens: Mapping[frozenset[Scope], str]
) -> None:
    """The rules and the router read a path alike: what one does not know, the other does not answer."""
    spellings = ["/v1/tokens/", "//v1/tokens", "/v1//tokens", "/v1/./tokens", "/v1/x/../tokens", "/V1/tokens"]
    spellings += ("/v1/tokens%0a", "/v1%2ftokens%00", "/v1/tokens;x", "/v1/audit%2f", "/v1/tokens%2fx%0a")
    with secured_agent.http() as http:
        for path in spellings:
            raw = httpx.URL(secured_agent.url).copy_with(raw_path=path.encode())
            for method in ("GET", "POST", "DELETE"):
                headers = {"Authorization": f"Bearer {tokens[frozenset({Scope.READ})]}"}
                status = http.request(method, raw, headers=headers, extensions=SNI).status_code
                assert status in (403, 404, 405), (method, path, status)


def test_without_tokens_everything_is_allowed_and_none_are_made(agent: RunningAgent) -> None:
    """An agent on loopback asks for none, and says why it has none."""
    access = agent.get("/v1/access").json()
    assert (access["token"], access["scopes"]) == (None, ["read", "infer", "run", "admin"])
    with agent.http() as http:
        for method, path in (("GET", "/v1/tokens"), ("POST", "/v1/tokens"), ("DELETE", "/v1/tokens/x")):
            answer = http.request(method, path, json={"name": "x", "scopes": ["read"]})
            assert answer.status_code == 409
            assert answer.json()["code"] == ErrorCode.TOKENS_NOT_USED


def test_a_route_that_the_table_forgot_is_refused_to_admins_too(tmp_path: Path) -> None:
    """Deny by default; a path that is no route at all is left to the application, which answers 404."""
    access = Access(tmp_path, None, Room(tmp_path))  # everything is allowed here
    reached: list[str] = []

    async def app(scope: AsgiScope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    statuses: list[int] = []

    async def note(message: Message) -> None:
        statuses.append(message.get("status", 0))

    rules = Rules({route: rule for route, rule in RULES.items() if route != ("GET", INFO)})
    sessions = Sessions(tmp_path, access.tokens, tls=False)
    guarded = Authentication(app, access, sessions, "probe", lambda scope: scope["path"] == INFO, rules)
    for path in (INFO, "/v1/runtimes", "/nothing"):
        scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"host", b"localhost")], "request_id": "x"}
        asyncio.run(guarded(scope, nothing, note))
    assert reached == ["/v1/runtimes", "/nothing"]
    assert statuses[0] == 403
    access.audit.stop()


def test_templates_that_could_mean_the_same_path_are_no_rules() -> None:
    """The router takes the first that fits, the table the exact one: so there must be one."""
    every, some = Rule(frozenset(Scope)), Rule(frozenset({Scope.READ}))
    with pytest.raises(ValueError, match="ambiguous"):
        Rules({("GET", "/v1/models/{name}"): every, ("GET", "/v1/models/special"): some})
    for other in ("/v1/models/special", "/v1/models/special/classify"):
        rules = Rules({("GET", "/v1/models/{name}"): every, ("GET", other): every})
        assert [rules.find("GET", path) is not None for path in ("/v1/models/special", "/v1/models/b", other)] == [
            True
        ] * 3
