"""What an agent answered, read without believing it: sizes, types, and JSON as RFC 8259 has it and no more."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import httpx
from pydantic import BaseModel

from client.errors import Malformed

M = TypeVar("M", bound=BaseModel)

HEAD_MAX_BYTES = 1024 * 1024
"""The most bytes before a body: headers, and the 1xx answers before the real one."""
DOCUMENT_MAX_BYTES = 4 * 1024 * 1024
LARGE_MAX_BYTES = 32 * 1024 * 1024
"""The most bytes of results, recordings and lists."""
TEXT_MAX_BYTES = 64 * 1024 * 1024
"""The most bytes of a document as Python keeps it: one character beyond U+FFFF makes every one four bytes long."""
VALUES_MAX = 4_000_000
THINGS_MAX = 1_000_000
"""Strings, lists and objects, which are larger than numbers."""
INTEGER_DIGITS_MAX = 19
JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """An answer; its content is empty where it was not read as a whole."""

    status: int
    headers: httpx.Headers
    content: bytes = b""

    @property
    def media_type(self) -> str:
        """The media type of the body, in lower case, without parameters."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()


def check_head(answer: Answer) -> None:
    """Raise Malformed for what no edgerun agent answers, whatever was asked."""
    to = answer.headers.get("location")
    if 300 <= answer.status < 400 and to is not None:
        raise Malformed(f"it is a redirect ({answer.status}) to {str(to)[:200]!a}, which is not followed")
    if not (200 <= answer.status < 300 or 400 <= answer.status < 600):
        raise Malformed(f"it has the status {answer.status}")
    coding = str(answer.headers.get("content-encoding", "identity")).strip().lower()
    if coding != "identity":
        raise Malformed(f"it is compressed ({coding[:40]!a}), which was not asked for")


def check_type(answer: Answer, media_type: str) -> None:
    """Raise Malformed for a body of another type."""
    if answer.media_type != media_type:
        found = ascii(answer.media_type[:60]) if answer.media_type else "of no type"
        raise Malformed(f"it is {found} instead of {media_type}")


def reply_as(model: type[M]) -> Callable[[Answer], M]:
    """How an answer becomes a wire type; raises Malformed, and pydantic's ValidationError."""
    return lambda answer: model.model_validate(document(answer))


def nothing(answer: Answer) -> None:
    """For calls that are answered with 204 alone: anything else did not do what was asked. Raises Malformed."""
    if answer.status != httpx.codes.NO_CONTENT:
        raise Malformed(f"it has the status {answer.status} instead of 204")


def document(answer: Answer) -> Any:
    """The JSON document of an answer; raises Malformed."""
    if answer.status == httpx.codes.NO_CONTENT:
        raise Malformed("it is empty (204)")
    check_type(answer, JSON)
    return parsed(answer.content)


def parsed(content: bytes) -> Any:
    """JSON without what parsers disagree on or choke on; raises Malformed.

    Refused are names that occur twice, numbers that are none or have no end, depth without end, characters that are
    none, and more values than memory is meant for.
    """
    things = content.count(b"[") + content.count(b"{") + content.count(b'"') // 2
    if things > THINGS_MAX or things + content.count(b",") > VALUES_MAX:
        raise Malformed("it has more values than any answer of an agent")
    try:
        text = content.decode()
        if not content.isascii() and len(text) * _width(text) > TEXT_MAX_BYTES:
            raise Malformed(f"it needs more than {TEXT_MAX_BYTES} bytes")
        found = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()  # raises for half a character
    except RecursionError:
        raise Malformed("its JSON is nested too deeply") from None
    except ValueError as error:
        raise Malformed(f"it is not JSON: {str(error)[:200]}") from error
    return found


def _width(text: str) -> int:
    highest = max(text)
    return 4 if highest > "\uffff" else 2 if highest > "\xff" else 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("its JSON has a name twice")
    return found


def _number(text: str) -> float:
    value = float(text)
    if value - value != 0:
        raise Malformed(f"its JSON has the number {text[:40]}")
    return value


def _integer(text: str) -> int:
    if len(text) > INTEGER_DIGITS_MAX:
        raise Malformed(f"its JSON has an integer of {len(text)} digits")
    return int(text)


def _constant(text: str) -> NoReturn:
    raise Malformed(f"its JSON has {text}, which is no number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_number, parse_int=_integer, parse_constant=_constant
)
