"""Which scope each path needs: one table, read before anything else is done with a request.

A route that is not in it is refused. A new one is one line: the scopes of which any will do, and for what changes
something the words under which the audit log has it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from contract import paths
from contract.tokens import ALL_SCOPES, Scope

PATHS_KEPT = 64
"""Paths that are not looked up anew each time."""
_METHODS = 0
"""The key of a node's rules, which no part of a path equals."""


@dataclass(frozen=True)
class Rule:
    """What a request with this method and path needs."""

    scopes: frozenset[Scope]
    """Any of them will do."""
    action: str | None = None
    """Its name in the audit log; None for what changes nothing."""
    open: bool = False
    """Whether it is answered without a token too."""
    token_only: bool = False
    """Whether a browser's session will not do: what it could beget would outlive it."""


READ, INFER, RUN, ADMIN = (frozenset({scope}) for scope in Scope)
ANY = ALL_SCOPES

OPEN_PATHS = frozenset({paths.HEALTH_LIVE, paths.V2_LIVE})
"""Nobody is asked who they are, whatever the method."""


def _of_versions(method: str, template: str, rule: Rule) -> dict[tuple[str, str], Rule]:
    return {(method, each): rule for each in (template, paths.of_version(template))}


RULES: Mapping[tuple[str, str], Rule] = {
    ("GET", paths.HEALTH_LIVE): Rule(ANY, open=True),
    ("GET", paths.PAGE): Rule(ANY, open=True),
    ("GET", paths.STATIC): Rule(ANY, open=True),
    # what every client must know before it begins
    ("GET", paths.HEALTH_READY): Rule(ANY),
    ("GET", paths.ACCESS): Rule(ANY),
    ("GET", paths.OPENAPI): Rule(ANY),
    ("GET", paths.MODELS): Rule(ANY),
    ("GET", paths.MODEL): Rule(ANY),
    ("GET", paths.DEFAULT_MODEL): Rule(ANY),
    ("GET", paths.SYNTHETIC_MODELS): Rule(ANY),
    ("POST", paths.SESSION_CODES): Rule(ANY, token_only=True),
    ("POST", paths.SESSION): Rule(ANY, "session.open", open=True),
    ("DELETE", paths.SESSION): Rule(ANY, "session.end"),
    # information and measurements
    ("GET", paths.INFO): Rule(READ),
    ("GET", paths.RUNTIMES): Rule(READ),
    ("GET", paths.LEASE): Rule(READ | RUN),
    ("GET", paths.TELEMETRY): Rule(READ),
    ("GET", paths.TELEMETRY_STREAM): Rule(READ),
    ("GET", paths.METRICS): Rule(READ),
    # inference
    ("POST", paths.CLASSIFY): Rule(INFER),
    ("POST", paths.CLASSIFY_WITH): Rule(INFER),
    ("POST", paths.DETECT_WITH): Rule(INFER),
    # the Open Inference Protocol
    ("GET", paths.V2_LIVE): Rule(ANY, open=True),
    ("GET", paths.V2_READY): Rule(ANY),
    ("GET", paths.V2): Rule(ANY),
    ("GET", paths.V2_STATISTICS): Rule(READ | INFER),
    **_of_versions("GET", paths.V2_MODEL, Rule(READ | INFER)),
    **_of_versions("GET", paths.V2_MODEL_READY, Rule(READ | INFER)),
    **_of_versions("GET", paths.V2_MODEL_CONFIG, Rule(READ | INFER)),
    **_of_versions("GET", paths.V2_MODEL_STATISTICS, Rule(READ | INFER)),
    **_of_versions("POST", paths.V2_INFER, Rule(INFER)),
    ("POST", paths.V2_INDEX): Rule(READ | INFER),
    ("POST", paths.V2_LOAD): Rule(RUN, "model.load"),
    ("POST", paths.V2_UNLOAD): Rule(RUN, "model.unload"),
    # jobs: whoever submits one sees how far it is; what it found is for those who may read
    ("POST", paths.JOBS): Rule(RUN, "job.submit"),
    ("GET", paths.JOBS): Rule(READ | RUN),
    ("GET", paths.JOB): Rule(READ | RUN),
    ("DELETE", paths.JOB): Rule(RUN, "job.delete"),
    ("POST", paths.JOB_CANCEL): Rule(RUN, "job.cancel"),
    ("GET", paths.JOB_EVENTS): Rule(READ),
    ("GET", paths.JOB_LOGS): Rule(READ),
    ("GET", paths.JOB_TELEMETRY): Rule(READ),
    ("GET", paths.JOB_RESULT): Rule(READ),
    ("GET", paths.JOB_ARTIFACTS): Rule(READ),
    # models
    ("HEAD", paths.BLOB): Rule(RUN),
    ("PUT", paths.BLOB): Rule(RUN, "blob.put"),
    ("PUT", paths.MODEL): Rule(RUN, "model.put"),
    ("DELETE", paths.MODEL): Rule(RUN, "model.delete"),
    ("PUT", paths.SYNTHETIC_MODEL): Rule(RUN, "model.write"),
    # the agent itself
    ("PUT", paths.DEFAULT_MODEL): Rule(ADMIN, "default-model.set"),
    ("PUT", paths.LEASE): Rule(ADMIN, "lease.set"),
    ("GET", paths.TOKENS): Rule(ADMIN),
    ("POST", paths.TOKENS): Rule(ADMIN, "token.create", token_only=True),
    ("DELETE", paths.TOKEN): Rule(ADMIN, "token.revoke", token_only=True),
    ("GET", paths.AUDIT): Rule(ADMIN),
}

OPEN_METRICS: Mapping[tuple[str, str], Rule] = {("GET", paths.METRICS): Rule(ANY, open=True)}
"""The rule of an agent that was told to answer them to everybody."""


@dataclass(frozen=True)
class Found:
    """A rule, and what a path has in place of its template's first parameter."""

    rule: Rule
    parameter: str | None


class Rules:
    """The table, arranged so that looking a path up takes a microsecond."""

    def __init__(self, rules: Mapping[tuple[str, str], Rule]) -> None:
        """Raises ValueError where templates with different rules could mean one path: the router may take either."""
        self._root: dict[Any, Any] = {}
        self._exact = {route: Found(rule, None) for route, rule in rules.items() if "{" not in route[1]}
        for (method, template), rule in rules.items():
            for (other_method, other), other_rule in rules.items():
                if method == other_method and rule != other_rule and _may_be_one(template, other):
                    raise ValueError(f"{template} is ambiguous: a path of it may be {other} too")
            node = self._root
            for segment in template.split("/")[1:]:
                node = node.setdefault(None if segment.startswith("{") else segment, {})
            node.setdefault(_METHODS, {})[method] = rule

        self.find = lru_cache(maxsize=PATHS_KEPT)(self._find)
        """The rule for a method and a path, None where the table has none."""

    def _find(self, method: str, path: str) -> Found | None:
        return self._exact.get((method, path)) or _find(self._root, method, path.split("/"), 1, None)


def _find(node: dict[Any, Any], method: str, segments: list[str], index: int, parameter: str | None) -> Found | None:
    if index == len(segments):
        methods = node.get(_METHODS, {})
        rule = methods.get(method) or (methods.get("GET") if method == "HEAD" else None)
        return None if rule is None else Found(rule, parameter)
    segment = segments[index]
    if (literal := node.get(segment)) is not None:
        found = _find(literal, method, segments, index + 1, parameter)
        if found is not None:
            return found
    if segment and (named := node.get(None)) is not None:
        return _find(named, method, segments, index + 1, segment if parameter is None else parameter)
    return None


def _may_be_one(template: str, other: str) -> bool:
    pairs = list(zip(template.split("/"), other.split("/"), strict=False))
    same_length = template.count("/") == other.count("/")
    return same_length and all(one == two or "{" in one + two for one, two in pairs)
