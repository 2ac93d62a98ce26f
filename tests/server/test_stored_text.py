"""Whatever text is sent to be stored: it is taken or refused, and what is listed later is whole."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

from contract import text
from contract.classify import ClassifyOptions
from contract.codes import ErrorCode
from server.routes import blobs, classify, health, info, jobs, models, page, session, synthetic, telemetry
from tests.agents import RunningAgent, running_agent
from tests.images import digit
from tests.server.test_classify import problem
from tests.server.test_models import DIGITS, put_blob, put_model

ROUTERS = (blobs, classify, health, info, jobs, models, page, session, synthetic, telemetry)
NOT_STORED = {"if-none-match", "cookie"}
"""Headers that are compared and forgotten."""
CHECKS = (text.one_line, text.argument)

ODD = (
    *("\0", "\t", "\n", "\r", "\x1b", "\x7f", "\x85", "\x9b", "\ud800", "\udfff", "\u200b", "\u200e", "\u2028"),
    *("\u202e", "\u2066", "\u2069", "\ufeff", "\ufffe", "\U000e0041", "\U0010ffff", "=", "'", '"', "%00"),
)
HOSTILE = ("\x1b]52;c;eA==\x07", "\x1b[2J", "\u202egnp.exe", "\ud83d", "\0", "x" * 300, "x" * 200_000)


def odd_texts(seed: int, count: int) -> Iterator[str]:
    """The same odd strings for the same seed: known attacks, then mixtures."""
    yield from HOSTILE
    chance = random.Random(seed)
    for _ in range(count):
        yield "".join(chance.choice((*ODD, *"abcä漢")) for _ in range(chance.randrange(1, 12)))


def _bare_strings(annotation: Any, where: str, checked: bool = False) -> Iterator[str]:
    """Places within a type where any text would be taken."""
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        yield from _bare_strings(inner, where, checked or any(map(_is_check, metadata)))
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield from _bare_strings(_annotation(field), f"{where}.{name}")
    elif annotation is str:
        if not checked:
            yield where
    else:
        for part in get_args(annotation):
            yield from _bare_strings(part, where, checked)


def _annotation(field: FieldInfo) -> Any:
    """The type of a field with what pydantic took off it."""
    return Annotated.__class_getitem__((field.annotation, None, *field.metadata))  # type: ignore[attr-defined]


def _is_check(metadata: Any) -> bool:
    """Whether a part of an annotation says which characters there may be."""
    if isinstance(metadata, AfterValidator):
        return metadata.func in CHECKS
    return bool(getattr(metadata, "pattern", None)) or any(map(_is_check, getattr(metadata, "metadata", ())))


def _routes() -> Iterator[APIRoute]:
    yield from (route for module in ROUTERS for route in module.router.routes if isinstance(route, APIRoute))


def test_no_request_takes_text_without_bounds() -> None:
    """Every text of a body, a query or a header has a type of `contract.text`, a pattern, or is not stored."""
    found, bodies = list(_bare_strings(ClassifyOptions, "ClassifyOptions")), 0
    for route in _routes():
        taken = [*route.dependant.query_params, *route.dependant.header_params, *route.dependant.cookie_params]
        bodies += route.body_field is not None
        for each in (*taken, *([route.body_field] if route.body_field else [])):
            if each.alias.lower() not in NOT_STORED:
                found += _bare_strings(_annotation(each.field_info), f"{route.operation_id} {each.alias}")
    assert found == []
    assert bodies >= 4


def test_the_walk_finds_what_it_is_for() -> None:
    """A field of any text is found, however deep it lies."""

    class Inner(BaseModel):
        words: dict[text.Line, list[str | None]]
        line: text.Line | None

    class Outer(BaseModel):
        inner: list[Inner] | None

    assert list(_bare_strings(Outer, "Outer")) == ["Outer.inner.words"]


@pytest.fixture(scope="module")
def storing_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAgent]:
    """An agent that may keep whatever gets through."""
    folder = tmp_path_factory.mktemp("storing")
    with running_agent(folder, "--workers", "1", "--allow-commands", "on") as running:
        yield running


def _json(document: object) -> dict[str, Any]:
    """A body with halves of characters, which httpx itself would not write."""
    return {"content": json.dumps(document).encode(), "headers": {"content-type": "application/json"}}


Request = tuple[str, str, dict[str, Any]]


def _models(odd: str, blob: str, number: int) -> Iterator[Request]:
    """Each place beside jobs that stores text, with an odd one in it."""
    yield "PUT", f"/v1/models/odd{number % 3}", _json({"model": blob, "source": odd})
    yield "PUT", f"/v1/models/odd{number % 3}", _json({"model": blob, "licence": odd})
    yield "PUT", "/v1/models/odd0", _json({"model": blob, "parts": {odd: blob}})
    yield "PUT", "/v1/models/odd0", _json({"model": blob, odd: 1})
    yield "PUT", "/v1/models/odd0", _json({"model": odd})
    yield "PUT", "/v1/default-model", _json({"name": odd})
    yield "POST", "/v1/session", _json({"code": odd})
    for query in ("runtime", "decode", "top_k"):
        text = odd[:100].encode("utf-8", "replace")
        yield "POST", "/v1/classify", {"params": {query: text}, "content": digit(3)}


def _jobs(odd: str) -> Iterator[Request]:
    """Each text of a job, odd; no job is told an odd program."""
    yield "POST", "/v1/jobs", _json({"kind": "command", "name": odd, "spec": {"argv": ["true"]}})
    yield "POST", "/v1/jobs", _json({"kind": "command", "spec": {"argv": ["true", odd]}})
    yield "POST", "/v1/jobs", _json({"kind": "command", "spec": {"argv": ["true"], "env": {"A": odd}}})
    yield "POST", "/v1/jobs", _json({"kind": "command", "spec": {"argv": ["true"], "env": {odd: "b"}}})
    yield "POST", "/v1/jobs", _json({"kind": "command", "spec": {"argv": ["true"], "bundle": odd}})
    for field in ("model", "runtime", "device"):
        for kind in ("benchmark", "profile"):
            yield "POST", "/v1/jobs", _json({"kind": kind, "spec": {field: odd, "iterations": 1}})
    yield "POST", "/v1/jobs", _json({"kind": odd, odd: odd})
    forbidden = bytes([*range(32), 127])  # in headers, by HTTP itself
    key = odd[:150].encode("utf-8", "surrogatepass").translate(None, forbidden).strip()
    body = json.dumps({"kind": "command", "spec": {"argv": ["true"]}}).encode()
    headers = [(b"content-type", b"application/json"), (b"idempotency-key", key)]
    yield "POST", "/v1/jobs?x=%ED%A0%80%00", {"content": body, "headers": headers}


def _send(http: httpx.Client, request: Request) -> None:
    method, path, arguments = request
    answer = http.request(method, path, **arguments)
    assert answer.status_code < 500, (method, path, arguments["content"][:300], answer.text)
    answer.json()


@pytest.mark.parametrize("seed", range(2))
def test_odd_text_of_models_is_taken_or_refused(agent: RunningAgent, seed: int) -> None:
    """No route that stores text fails on it, and the list is whole."""
    with agent.http() as http:
        blob = put_blob(http, DIGITS)
        for number, odd in enumerate(odd_texts(seed, 4)):
            for request in _models(odd, blob, number):
                _send(http, request)
        listed = http.get("/v1/models")
        assert listed.status_code == 200
        for model in listed.json()["models"]:
            if model["name"].startswith("odd"):
                assert http.delete(f"/v1/models/{model['name']}").status_code == 204


@pytest.mark.parametrize("seed", range(2))
def test_odd_text_of_jobs_is_taken_or_refused(storing_agent: RunningAgent, seed: int) -> None:
    """No job fails on it before it runs, and the list is whole."""
    with storing_agent.http() as http:
        for odd in odd_texts(seed, 4):
            for request in _jobs(odd):
                _send(http, request)
        page = http.get("/v1/jobs?limit=500")
        assert page.status_code == 200
        for job in page.json()["jobs"]:
            assert http.post(f"/v1/jobs/{job['id']}/cancel").status_code == 200
        assert http.get("/health/ready").status_code == 200


def test_half_characters_are_refused_by_the_field_they_are_in(agent: RunningAgent) -> None:
    """The answer can be read, and says where to look; also where the name of the field is what is wrong."""
    with agent.http() as http:
        blob = put_blob(http, DIGITS)
        found = problem(http.put("/v1/models/half", **_json({"model": blob, "source": "\ud800"})))
        assert (found.code, found.detail.partition(":")[0]) == (ErrorCode.INVALID_REQUEST, "body.source")
        found = problem(http.put("/v1/models/half", **_json({"model": blob, "\udc00": 1})))
        assert (found.code, found.detail.partition(":")[0]) == (ErrorCode.INVALID_REQUEST, "body")
        found = problem(http.put("/v1/models/half", **_json({"model": blob, "\x1b": 1})))
        assert found.detail == r"body.\x1b: Extra inputs are not permitted"
        many = {"model": blob, **{f"{'x' * 1000}{number}": 1 for number in range(1000)}}
        found = problem(http.put("/v1/models/half", **_json(many)))
        assert len(found.model_dump_json()) < 20_000


@pytest.mark.parametrize("ends", ["[NaN, 1]", "[0, Infinity]", "[0, 0]", "[[0, 1], [NaN, 1]]", "[0, 1e999]"])
def test_an_input_range_that_is_none_is_refused(agent: RunningAgent, ends: str) -> None:
    """JSON has no NaN, but Python's readers take it."""
    with agent.http() as http:
        body = f'{{"model": "{put_blob(http, DIGITS)}", "preprocessing": {{"input_range": {ends}}}}}'
        answer = http.put("/v1/models/ranged", content=body, headers={"content-type": "application/json"})
        assert problem(answer).code == ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize(
    "labels",
    [b"9" * 6000 + b" macaw\n", b"0 a\n" + b"1" * 6000 + b": b\n", b"a" * 5000],
    ids=["6000 digits", "6000 digits below", "5000 letters"],
)
def test_labels_beyond_the_bounds_are_refused(agent: RunningAgent, labels: bytes) -> None:
    """An index of 6,000 digits is an answer, not a fault of the agent."""
    with agent.http() as http:
        found = problem(put_model(http, "labelled", DIGITS, labels=put_blob(http, labels)))
        assert (found.status, found.code) == (422, ErrorCode.BAD_LABELS)


def test_models_kept_by_an_agent_that_took_more_do_not_hide_the_others(tmp_path: Path) -> None:
    """A description that is refused today is left out, with a line in the log; labels alone are left out alone."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent, agent.http() as http:
        labels = put_blob(http, b"".join(b"%d label\n" % number for number in range(10)))
        for name in ("first", "second", "third"):
            put_model(http, name, DIGITS, labels=labels).raise_for_status()
    for name in ("first", "second"):
        path = tmp_path / "data" / "models" / f"{name}.json"
        document = json.loads(path.read_bytes())
        document["manifest"]["source"] = document["description"]["source"] = "\ud800" if name == "first" else "a\x1b[2J"
        path.write_text(json.dumps(document))
    (tmp_path / "data" / "blobs" / labels.removeprefix("sha256:")).write_bytes(b"1" * 6000 + b" label\n")
    with running_agent(tmp_path / "data", "--workers", "1") as agent, agent.http() as http:
        listed = http.get("/v1/models")
        assert [model["name"] for model in listed.json()["models"]] == ["digits", "digits-detector", "third"]
        assert http.post("/v1/models/third/classify", content=digit(4)).json()["predictions"][0]["label"] is None
        assert "model first" in agent.log()
        assert "model second" in agent.log()
