"""How a request is refused, and how an error may repeat what it said."""

from typing import NoReturn

from contract.codes import ErrorCode
from server.tasks.base import OrderFailed

SHOWN_MAX = 64
"""Characters of a request's own text that an error repeats."""


def refuse(detail: str, code: ErrorCode = ErrorCode.INVALID_TENSOR) -> NoReturn:
    """Raise OrderFailed for a request that does not fit."""
    raise OrderFailed(code, detail)


def shown(value: object) -> str:
    """A request's own text or number as an error may repeat it: short, and with controls escaped."""
    if isinstance(value, list | dict):
        return kind(value)
    text = ascii(value[: SHOWN_MAX + 1] if isinstance(value, str) else value)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}..."


_KINDS = {dict: "an object", list: "an array", str: "a string", bool: "true or false", type(None): "missing or null"}


def kind(value: object) -> str:
    """What a JSON value is, in words."""
    return _KINDS.get(type(value), "a number")
