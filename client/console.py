"""How the commands talk: data on standard output, everything else on standard error, one line for an error."""

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import Any

import typer.main
from pydantic import ValidationError
from rich.console import Console, RenderableType
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from client.analysis.matrix import UsageError, first_fault
from client.errors import Answered, EdgeError
from client.help_texts import polish
from client.hints import hint_of
from client.program_names import as_typed, called
from client.terminal import GuardedConsole, GuardedTable, guarded_streams, json_text
from contract.tables import csv_line
from contract.text import visible

SCHEMA_VERSION = 1
"""The version of every JSON document that the commands print."""

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_JOB_FAILED = 7
"""A job failed, was cancelled or interrupted."""
EXIT_NOT_OK = 8
"""With `--strict`: a measurement is not beyond doubt."""
EXIT_SOME_HOSTS_FAILED = 9
EXIT_INTERRUPTED = 130


class Output(StrEnum):
    """What standard output carries."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


WIDE = 4096
"""Columns of what is printed once: nothing is cut, a narrow terminal wraps lines itself."""


def data_console() -> Console:
    """The console that results are written to."""
    return GuardedConsole(width=WIDE)


def live_console() -> Console:
    """The console of views that are drawn over themselves, as wide as the terminal."""
    return GuardedConsole()


def note_console() -> Console:
    """The console of progress, notes and warnings."""
    return GuardedConsole(stderr=True)


def say(text: str) -> None:
    """Print a line of a result, at once."""
    print(visible(text), flush=True)


def note(text: str) -> None:
    """Tell the user something that is not the result."""
    first, *more = as_typed(text).split("\n")
    _note_lines(Text(first), more)


def complain(error: EdgeError, program: str) -> None:
    """Say in a line what went wrong, and in another what to do next."""
    first, *more = str(error).split("\n")
    _note_lines(Text.assemble((f"{called(program)}: ", "bold red"), first), more)
    if (hint := hint_of(error)) is not None:
        note_console().print(Text(f"  {as_typed(hint)}", "dim"), soft_wrap=True)


def _note_lines(first: Text, more: Sequence[str]) -> None:
    """Print a line, and those that follow it set off, so that quoted words cannot pass for a line of our own."""
    for line in (first, *(Text(f"  | {line}") for line in more)):
        note_console().print(line, soft_wrap=True)


def error_document(error: EdgeError) -> dict[str, Any]:
    """An error within a JSON document."""
    document: dict[str, Any] = {"message": str(error), "hint": hint_of(error), "exit_code": error.exit_code}
    if isinstance(error, Answered):
        document["problem"] = error.problem.model_dump(mode="json", exclude_none=True)
    return document


def emit(
    output: Output,
    *,
    document: Callable[[], Mapping[str, Any]],
    rows: Callable[[], Sequence[Mapping[str, Any]]],
    view: Callable[[], RenderableType],
) -> None:
    """Print a result in the chosen form; the others are not even computed."""
    if output is Output.JSON:
        print(json_text({"schema_version": SCHEMA_VERSION, **document()}, indent=2))
    elif output is Output.CSV:
        print(_csv(rows()), end="")
    else:
        data_console().print(view(), soft_wrap=True)


def plain_table(*columns: str, right: Sequence[str] = ()) -> Table:
    """A table without ornament, which is readable on a terminal and splits well in a pipe."""
    table = GuardedTable(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=True, overflow="ignore")
    return table


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines: list[Sequence[Any]] = [columns, *([row.get(column) for column in columns] for row in rows)]
    return "".join(map(csv_line, lines))


def text_column(template: str) -> TextColumn:
    """A column of a progress bar; its text is no markup."""
    return TextColumn(template, markup=False)


@contextmanager
def counting(what: str, total: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """A bar that counts finished pieces on a terminal; silence elsewhere."""
    if quiet or total < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    columns = (text_column("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=note_console(), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


@contextmanager
def transferring(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each file on a terminal, a line for each finished file elsewhere."""
    if quiet:
        yield lambda *_: None
        return
    if not sys.stderr.isatty():
        yield _announce_finished
        return
    columns = (text_column("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=note_console()) as progress:
        tasks: dict[str, Any] = {}

        def update(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total)
            progress.update(tasks[name], completed=done)

        yield update


def _announce_finished(name: str, done: int, total: int) -> None:
    if done == total:
        note(f"{name}: {total} bytes")


@contextmanager
def until_the_reader_leaves() -> Iterator[None]:
    """For output without end: `client ... | head` ends it, and that is no failure."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered goes nowhere


def run(app: typer.Typer, program: str, words: Sequence[str] | None = None) -> int:
    """Run a Typer app as a program: expected failures become a line and an exit code, never a traceback.

    `words` are those behind the program's name, where that is not the first word of the command line.
    """
    command = typer.main.get_command(app)
    polish(command)
    with guarded_streams():
        return _run(lambda: command(args=words, prog_name=program), program)


def _run_error(error: EdgeError, program: str) -> int:
    complain(error, program)
    return error.exit_code


def _run(app: Callable[[], Any], program: str) -> int:
    try:
        app()
    except EdgeError as error:
        return _run_error(error, program)
    except ValidationError as error:  # what was typed is nothing that agents take
        return _run_error(UsageError(first_fault(error)), program)
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal may be what was closed
            note_console().print("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away: `client ... | head`
        sys.stderr.close()
        return EXIT_OK
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXIT_FAILED if end.code else EXIT_OK
    except Exception:  # a fault of ours; its message may be somebody else's
        traceback.print_exc()
        return EXIT_FAILED
    return EXIT_OK
