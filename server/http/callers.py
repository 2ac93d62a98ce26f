"""Who sent a request and what it changes: what authentication, routes and the audit log tell each other of it."""

from collections.abc import MutableMapping
from typing import Any, cast

from server.access.callers import Caller

_CALLER = "edgerun.caller"
_CHANGED = "edgerun.changed"


def keep_caller(scope: MutableMapping[str, Any], caller: Caller) -> None:
    """Remember who sent a request."""
    scope[_CALLER] = caller


def caller_in(scope: MutableMapping[str, Any]) -> Caller | None:
    """Who sent a request, None for somebody unknown."""
    return cast(Caller | None, scope.get(_CALLER))


def keep_changed(scope: MutableMapping[str, Any], name: str) -> None:
    """Remember what a request changes, where its path does not say."""
    scope[_CHANGED] = name


def changed_in(scope: MutableMapping[str, Any]) -> str | None:
    """What a request changes, as its route told."""
    return cast(str | None, scope.get(_CHANGED))
