"""What schemathesis runs around each request: real material goes in, its cost is bounded, and what must last lasts.

Loaded by schemathesis in the process that fuzzes; the environment says where agent and materials are.
"""

import atexit
import hashlib
import json
import os
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import strategies
from pydantic import ValidationError
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import IgnoredAuth

from client import EdgeClient, HostsFile
from client.errors import EdgeError
from client.sdk.hosts import HOST_VARIABLE
from contract import paths
from contract.codes import ErrorCode
from contract.jobs import AnyRequest, job_request
from contract.paths import TLS_SERVER_NAME
from scripts.fuzz_api import materials as prepared
from server.errors import FAULTS

MATERIALS_VARIABLE = "EDGERUN_FUZZ_MATERIALS"
MATERIALS = prepared.Materials.model_validate_json(Path(os.environ[MATERIALS_VARIABLE]).read_text())
HOST = HostsFile().named(os.environ[HOST_VARIABLE])
CLIENT = EdgeClient(HOST)
ADDRESS_VARIABLE = "EDGERUN_FUZZ_ADDRESS"
"""Where the agent is, whose certificate has one fixed name."""
JOBS_RUN = 8
"""So many submitted jobs are waited for; the others are cancelled at once."""
JOB_MOST = {
    "iterations": 5, "warm_up_iterations": 2, "duration_s": 0.2, "window_s": 1.0, "cooldown_s": 0.0, "batch": 4,
    "streams": 2, "threads": 2,
}  # fmt: skip
JOB_TIMEOUT_S = 20.0
INTERVAL_MOST_S = 0.2
TOO_MANY_ATTEMPTS = f"got `{FAULTS[ErrorCode.TOO_MANY_ATTEMPTS].status:d} "
"""What schemathesis says of the answer to a wrong token."""

AnyCase = Case[Any]
JSON = "application/json"
AUTHORIZATION = {"Authorization": f"Bearer {HOST.secret()}"}
"""schemathesis adds the token to the cases that it makes itself."""

_resolve = socket.getaddrinfo


def _getaddrinfo(host: Any, *arguments: Any, **settings: Any) -> Any:
    return _resolve(os.environ[ADDRESS_VARIABLE] if host == TLS_SERVER_NAME else host, *arguments, **settings)


socket.getaddrinfo = _getaddrinfo

IMAGES = strategies.sampled_from([prepared.IMAGE.read_bytes(), prepared.SCENE.read_bytes()])
for media_type in ("image/jpeg", "image/png", "image/webp"):  # the agent looks at bytes, not at their name
    schemathesis.openapi.media_type(media_type, IMAGES | strategies.binary(max_size=300))


@schemathesis.hook
def before_add_examples(context: HookContext, examples: list[AnyCase]) -> None:
    """Add requests that succeed, where that needs more than the description can say."""
    operation = context.operation
    assert operation is not None
    for parameters, *content in _EXAMPLES.get((operation.method.upper(), operation.path), ()):
        brought = dict(zip(("body", "media_type"), content, strict=True)) if content else {}
        examples.append(operation.Case(path_parameters=parameters, headers=AUTHORIZATION, **brought))


BLOB = b"a file that nobody needs"
_PNG, _JPEG = (prepared.IMAGE.read_bytes(), "image/png"), (prepared.SCENE.read_bytes(), "image/jpeg")
_EXAMPLES: dict[tuple[str, str], list[tuple[Any, ...]]] = {
    ("POST", paths.CLASSIFY): [({}, *_PNG)],
    ("POST", paths.CLASSIFY_WITH): [({"name": prepared.MODEL}, *_PNG)],
    ("POST", paths.DETECT_WITH): [({"name": prepared.DETECTOR}, *_JPEG)],
    ("POST", paths.V2_INFER): [({"name": prepared.MODEL}, prepared.TENSORS, JSON)],
    ("POST", paths.of_version(paths.V2_INFER)): [({"name": prepared.MODEL, "version": "1"}, prepared.TENSORS, JSON)],
    ("PUT", paths.BLOB): [({"digest": f"sha256:{hashlib.sha256(BLOB).hexdigest()}"}, BLOB, "application/octet-stream")],
    ("PUT", paths.MODEL): [({"name": "new"}, MATERIALS.manifest.model_dump(mode="json", exclude_none=True), JSON)],
    ("POST", paths.JOBS): [
        ({}, request.model_dump(mode="json", exclude_none=True), JSON) for request in prepared.requests(commands=True)
    ],
    ("PUT", paths.DEFAULT_MODEL): [({}, {"name": prepared.MODEL}, JSON)],
    ("PUT", paths.LEASE): [({}, {"left_s": 3600.0}, JSON)],
    ("DELETE", paths.MODEL): [({"name": prepared.DOOMED},)],
    ("DELETE", paths.TOKEN): [({"name": prepared.DOOMED},)],
    ("DELETE", paths.JOB): [({"id": MATERIALS.doomed_job},)],
}
"""By method and path: parameters of the path, and body with its type for what takes one."""


@schemathesis.hook
def before_call(context: HookContext, case: AnyCase, kwargs: dict[str, Any]) -> None:
    """Make a request cheaper, real, or harmless."""
    if (change := _BEFORE.get((case.method.upper(), case.path))) is not None:
        change(case)


def _bounded_job(case: AnyCase) -> None:
    """Shorten what would be run; what is refused stays as it is."""
    try:
        request: AnyRequest = job_request.validate_json(json.dumps(case.body))
    except (ValidationError, TypeError, ValueError):
        return
    body: dict[str, Any] = {**case.body, "timeout_s": min(request.timeout_s, JOB_TIMEOUT_S)}  # type: ignore[dict-item]
    spec = request.spec.model_dump(mode="json", exclude_none=True)
    if spec.get("argv"):
        spec["argv"] = ["true", *spec["argv"][1:]]
    spec |= {name: min(spec[name], most) for name, most in JOB_MOST.items() if name in spec}
    if body["kind"] == "benchmark" and "duration_s" not in spec:
        spec["iterations"] = min(spec.get("iterations", 5), 5)
    case.body = {**body, "spec": spec}


def _real_blob(case: AnyCase) -> None:
    """Have every second file come under its own digest."""
    if isinstance(case.body, bytes) and len(case.body) % 2:
        case.path_parameters["digest"] = f"sha256:{hashlib.sha256(case.body).hexdigest()}"


def _fitting_tensors(case: AnyCase) -> None:
    """Have some inputs be those of the model, which chance never finds."""
    body: Any = case.body
    if isinstance(body, dict) and isinstance(body.get("inputs"), list) and len(body["inputs"]) == 1:
        given = body["inputs"][0]
        if isinstance(given, dict) and len(str(given.get("name"))) % 2:
            case.body = {**body, "inputs": [{**given, **prepared.TENSORS["inputs"][0]}]}


def _fresh_code(case: AnyCase) -> None:
    if isinstance(case.body, dict) and case.body.get("code") and len(str(case.body["code"])) % 2:
        case.body = {**case.body, "code": CLIENT.new_session_code().code}


def _short_interval(case: AnyCase) -> None:
    """See events within the time that is waited for them."""
    with suppress(KeyError, TypeError, ValueError):
        case.query["interval_s"] = min(float(case.query["interval_s"]), INTERVAL_MOST_S)


def _spared(parameter: str, *names: str) -> Callable[[AnyCase], None]:
    """Removing what others need removes something else."""

    def change(case: AnyCase) -> None:
        if case.path_parameters.get(parameter) in names:
            case.path_parameters[parameter] = "somebody-elses"

    return change


_BEFORE: dict[tuple[str, str], Callable[[AnyCase], None]] = {
    ("POST", paths.JOBS): _bounded_job,
    ("PUT", paths.BLOB): _real_blob,
    ("POST", paths.V2_INFER): _fitting_tensors,
    ("POST", paths.of_version(paths.V2_INFER)): _fitting_tensors,
    ("POST", paths.SESSION): _fresh_code,
    ("GET", paths.TELEMETRY_STREAM): _short_interval,
    ("DELETE", paths.TOKEN): _spared("name", *MATERIALS.tokens, CLIENT.access().token or ""),
    ("DELETE", paths.MODEL): _spared("name", *MATERIALS.models),
    ("DELETE", paths.JOB): _spared("id", *MATERIALS.jobs),
}


@schemathesis.hook
def after_call(context: HookContext, case: AnyCase, response: Response) -> None:
    """Count an answer, and undo what would have every later request refused."""
    _answers[response.status_code] += 1
    _succeeded[case.operation.label] = _succeeded.get(case.operation.label, False) or response.status_code < 300
    change = _AFTER.get((case.method.upper(), case.path))
    if change is not None and response.status_code < 300:
        try:
            change(case, response)
        except EdgeError as error:
            print(f"after {case.method} {case.path}: {error}")


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: AnyCase, response: Response) -> bool:
    """Leave out two suspicions of the check of tokens.

    More than a few wrong tokens within a minute are refused with 429. And a token that an example brings is taken for
    a made-up one, where it is the right one.
    """
    ours = case.headers.get("Authorization") == AUTHORIZATION["Authorization"]
    return not (isinstance(failure, IgnoredAuth) and (ours or TOO_MANY_ATTEMPTS in failure.message))


_answers: Counter[int] = Counter()
_succeeded: dict[str, bool] = {}
"""Operations that were asked for anything, and whether any of it was done."""


@atexit.register
def _say_answers() -> None:
    if _answers:
        print("Answers: " + ", ".join(f"{count} with {status}" for status, count in sorted(_answers.items())))
    if never := sorted(label for label, succeeded in _succeeded.items() if not succeeded):
        print(f"Refused always: {', '.join(never)}")


_submitted: set[str] = set()


def _ended_job(case: AnyCase, response: Response) -> None:
    job = response.json()["id"]
    if len(_submitted) < JOBS_RUN:
        for _ in CLIENT.job_events(job):
            pass
    elif job not in _submitted:
        CLIENT.cancel_job(job)
    _submitted.add(job)


def _no_lease(case: AnyCase, response: Response) -> None:
    CLIENT.set_lease(None)


def _loaded(case: AnyCase, response: Response) -> None:
    prepared.ask(HOST, "POST", paths.V2_LOAD.format(name=case.path_parameters["name"]))


_AFTER: dict[tuple[str, str], Callable[[AnyCase, Response], None]] = {
    ("POST", paths.JOBS): _ended_job,
    ("PUT", paths.LEASE): _no_lease,
    ("POST", paths.V2_UNLOAD): _loaded,
}
