"""Names of files as programs made them, written so that they can be sent, stored and printed anywhere, and read back.

A byte that is no part of UTF-8, a control character, a character that cannot be seen, a backslash and `%` itself become
`%` and two hexadecimal digits a byte. Everything else stays as it is, so a usual name is its own escaped form.
"""

import os
import re

_ESCAPED = re.compile("[\x00-\x1f%\\\\\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Lone surrogates stand for bytes that are not UTF-8, as `os.fsdecode` has them."""
_ESCAPE = re.compile("%([0-9A-F]{2})")


def escape_name(name: str) -> str:
    """A name as the operating system gives it, made into one that every reader can take."""
    return _ESCAPED.sub(_encoded, name)


def unescape_name(name: str) -> str:
    """The name that `escape_name` was given."""
    content = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if int(found[1], 16) < 0x80 else _byte(found[1]), name)
    return os.fsdecode(os.fsencode(content))


def _encoded(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogateescape"))


def _byte(digits: str) -> str:
    return chr(0xDC00 + int(digits, 16))
