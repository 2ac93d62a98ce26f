"""HTTP requests by method, route and status. What clients invent counts as one route and one method more."""

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from server.metrics.durations import Durations

OTHER = "other"
FIRST_ERROR = 400
ROUTES_KEPT = 64
"""Paths whose route is not looked for anew each time."""


class RequestLog:
    """Counts of all answers the application gave. Its methods belong to the event loop's thread."""

    def __init__(self) -> None:
        self._methods: dict[str, frozenset[str]] = {}
        """What each route takes, by its template."""
        self._patterns: list[str] = []
        self._templates: list[str] = []
        """Routes with parameters, in the order of the groups of `_any`."""
        self._any = re.compile("(?!)")
        self._route = lru_cache(maxsize=ROUTES_KEPT)(self._find_route)
        self.answers: Counter[tuple[str, str, int]] = Counter()
        """By method, route and status."""
        self.durations: dict[tuple[str, str], Durations] = {}
        """Until an answer begins, by method and route: of answers that are no errors, which are quick."""

    def add_route(self, template: str, methods: Iterable[str]) -> None:
        """A path that the application serves, with the names of its parameters in braces."""
        if template not in self._methods and "{" in template:
            self._templates.append(template)
            self._patterns.append(f"({_pattern(template)})")
            self._any = re.compile("|".join(self._patterns), re.DOTALL)
        self._route.cache_clear()
        self._methods[template] = self._methods.get(template, frozenset()) | frozenset(methods)

    def observe(self, method: str, path: str, status: int, duration_ns: int) -> None:
        """Count an answer, with the time from the request's headers until it began."""
        route = self._route(path)
        if method not in self._methods.get(route, ()):
            method = OTHER
        self.answers[method, route, status] += 1
        if status < FIRST_ERROR:
            durations = self.durations.get((method, route))
            if durations is None:
                durations = self.durations[method, route] = Durations()
            durations.observe(duration_ns)

    def _find_route(self, path: str) -> str:
        if path in self._methods and "{" not in path:
            return path
        found = self._any.fullmatch(path)
        return self._templates[found.lastindex - 1] if found and found.lastindex else OTHER


def _pattern(template: str) -> str:
    """A template as Starlette reads it: a parameter is a part of the path, unless it is declared as the rest of it."""
    parts = re.split(r"{(\w+)(?::(\w+))?}", template)
    text = re.escape(parts[0])
    for kind, literal in zip(parts[2::3], parts[3::3], strict=True):
        text += (".*" if kind == "path" else "[^/]+") + re.escape(literal)
    return text
