"""Text that is stored or shown: what it may hold, and how what a terminal would obey is made visible."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

NAME_MAX = 200
LINE_MAX = 1000
ARGUMENT_BYTES_MAX = 131_071
"""Linux passes no longer word to a program."""

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories that show nothing or move what is shown: controls, formats, surrogates, separators of lines."""
_REFUSED = _HIDDEN - {"Cf"}
"""Format characters are part of how Persian, Hebrew and emoji are written, except those that turn text around."""
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def visible(text: str, keep: str = "") -> str:
    r"""Text with whatever a terminal would obey, and whatever shows nothing, written as escapes: `\x1b`, `\u202e`.

    `keep` names characters that stay, such as line feeds.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char in keep or unicodedata.category(char) not in _HIDDEN else _escape(char) for char in text
    )


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def one_line(text: str) -> str:
    """The text itself; raises ValueError where it holds what no line of text holds."""
    if text.isprintable():
        return text
    for position, char in enumerate(text):
        if unicodedata.category(char) in _REFUSED or char in _TURNING:
            raise ValueError(f"no control characters may be in it, and U+{ord(char):04X} is at position {position}")
    return text


def argument(text: str) -> str:
    """The text itself; raises ValueError where no program can be given it."""
    if "\0" in text:
        raise ValueError(f"no NUL may be in it, and there is one at position {text.index(chr(0))}")
    if len(text.encode()) > ARGUMENT_BYTES_MAX:
        raise ValueError(f"at most {ARGUMENT_BYTES_MAX} bytes go into one word of a command")
    return text


Name = Annotated[str, Field(max_length=NAME_MAX), AfterValidator(one_line)]
Line = Annotated[str, Field(max_length=LINE_MAX), AfterValidator(one_line)]
Argument = Annotated[str, Field(max_length=ARGUMENT_BYTES_MAX), AfterValidator(argument)]
"""A word of a command or the value of a variable: whatever a program can be given, line feeds too."""
VariableName = Annotated[str, Field(min_length=1, max_length=NAME_MAX, pattern="^[^=]*$"), AfterValidator(one_line)]
