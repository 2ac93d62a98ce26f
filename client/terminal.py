"""What may reach a terminal: nothing that it obeys, except what this program itself tells it.

Agents, models, programs and sites choose much of what is printed, and a terminal obeys escape sequences in it: they
overwrite lines, turn text around and write to the clipboard. Pipes and files get the bytes as they are.
"""

import codecs
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from contract.text import visible

_BEYOND_ASCII = re.compile(r"[^\n -~]")


class GuardedConsole(Console):
    """A console that takes text as text: no markup, each a line, control characters visible."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        stream = _unguarded(sys.stderr if stderr else sys.stdout)
        super().__init__(file=stream, stderr=stderr, width=width, markup=False, highlight=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Everything that is drawn comes through here, the cells of tables too."""
        if isinstance(renderable, str):
            renderable = Text(renderable)
        if isinstance(renderable, Text):
            renderable = visible_text(renderable, keep="\t")  # which Rich turns into spaces
        return super().render(renderable, options)


class GuardedTable(Table):
    """A table whose cells are measured as they are shown."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Take a row of cells of one line each."""
        super().add_row(*map(_cell, cells), **options)


def _cell(cell: RenderableType | None) -> RenderableType | None:
    if isinstance(cell, str):
        return visible(cell)
    return visible_text(cell) if isinstance(cell, Text) else cell


def visible_text(text: Text, keep: str = "") -> Text:
    """The same with `visible` characters, and its styles where they were."""
    if text.plain.isprintable():
        return text
    shown, end = text.blank_copy(), 0
    for same, run in groupby(text.plain, lambda char: visible(char, keep) == char):
        start, end = end, end + len(list(run))
        part = text[start:end]
        if not same:
            part.plain = visible(part.plain, keep)
        shown.append_text(part)
    return shown


def json_text(document: object, indent: int | None = None) -> str:
    """A document as JSON in which nothing but printable text is left unescaped."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    return _BEYOND_ASCII.sub(lambda char: char[0] if char[0].isprintable() else json.dumps(char[0])[1:-1], text)


class GuardedStream:
    """A terminal for everything that is printed without a console, such as tracebacks and the output of programs."""

    def __init__(self, unguarded: TextIO) -> None:
        self.unguarded = unguarded
        self.buffer = GuardedBytes(unguarded)

    def write(self, text: str) -> int:
        """Print text; lines stay lines."""
        self.unguarded.write(visible(text, keep="\n\t"))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unguarded, name)


class GuardedBytes:
    """The bytes of a program on their way to a terminal, in pieces that may end within a character."""

    def __init__(self, unguarded: TextIO) -> None:
        self._unguarded = unguarded
        decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)

    def write(self, data: bytes, *, final: bool = False) -> int:
        """Print bytes; a carriage return ends a line, so that none is overwritten."""
        self._unguarded.write(visible(self._decoder.decode(data, final), keep="\n\t"))
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unguarded, name)


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Guard those standard streams that are terminals."""
    before = sys.stdout, sys.stderr
    guards = [GuardedStream(stream) if stream.isatty() else stream for stream in before]
    sys.stdout, sys.stderr = (cast(TextIO, guard) for guard in guards)
    try:
        yield
    finally:
        for guard in guards:
            if isinstance(guard, GuardedStream) and not guard.closed:
                guard.buffer.write(b"", final=True)
        sys.stdout, sys.stderr = before


def _unguarded(stream: Any) -> TextIO:
    """The terminal behind a guard, and behind what Rich puts before it while something is drawn live."""
    while isinstance(stream, GuardedStream) or hasattr(stream, "rich_proxied_file"):
        stream = stream.unguarded if isinstance(stream, GuardedStream) else stream.rich_proxied_file
    return cast(TextIO, stream)
