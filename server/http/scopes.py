"""Which scope each path needs: one table, read before anything else is done with a request.

A route that is not in it is refused. A new one is one line: the scopes of which any will do, and for what changes
something the words under which the audit log has it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contract import paths
from contract.tokens import ALL_SCOPES, Scope

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

OPEN_PATHS = frozenset({paths.HEALTH_LIVE})
"""Nobody is asked who they are, whatever the method."""

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
    # inference
    ("POST", paths.CLASSIFY): Rule(INFER),
    ("POST", paths.CLASSIFY_WITH): Rule(INFER),
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


@dataclass(frozen=True)
class Found:
    """A rule, and what a path has in place of its template's first parameter."""

    rule: Rule
    parameter: str | None


class Rules:
    """The table, arranged so that looking a path up takes a microsecond."""

    def __init__(self, rules: Mapping[tuple[str, str], Rule] = RULES) -> None:
        """Raises ValueError where a path could be meant by two templates: the router might take the other one."""
        self._root: dict[Any, Any] = {}
        self._exact = {route: Found(rule, None) for route, rule in rules.items() if "{" not in route[1]}
        for (method, template), rule in rules.items():
            node = self._root
            for segment in template.split("/")[1:]:
                inner = node.setdefault(None if segment.startswith("{") else segment, {})
                if None in node and len(node) > 1 + (_METHODS in node):
                    raise ValueError(f"{template} is ambiguous")
                node = inner
            node.setdefault(_METHODS, {})[method] = rule

    def find(self, method: str, path: str) -> Found | None:
        """The rule for a request, None where the table has none."""
        if (exact := self._exact.get((method, path))) is not None:
            return exact
        node, parameter = self._root, None
        for segment in path.split("/")[1:]:
            inner = node.get(segment)
            if inner is None:
                inner = node.get(None) if segment else None
                parameter = segment if parameter is None else parameter
            if inner is None:
                return None
            node = inner
        methods = node.get(_METHODS, {})
        rule = methods.get(method) or (methods.get("GET") if method == "HEAD" else None)
        return None if rule is None else Found(rule, parameter)
