"""How `--help` reads: as wide as the terminal, with whole summaries, an example a line, and values named, not typed."""

import re
import shutil
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from client.durations import format_duration
from client.program_names import as_typed

WIDTH_MAX = 120
"""Columns; longer lines are hard to read."""
_EXAMPLES = re.compile(r"^Examples?: (.*?)(?:(?<=[^.]) *\. (?=Exit codes)|$)", re.DOTALL | re.MULTILINE)
_VALUES = {int: "N", float: "NUMBER", Path: "PATH"}


def polish(command: Any) -> None:
    """Make the help of a Typer command, and of those below it, read as said above."""
    command.context_settings["max_content_width"] = min(shutil.get_terminal_size().columns, WIDTH_MAX)
    _polish(command)


def _polish(command: Any) -> None:
    if command.help:
        text = as_typed(command.help.strip())
        command.short_help = as_typed(command.short_help or " ".join(text.partition("\n\n")[0].split()))
        command.help = _with_examples(text)
    if command.epilog:
        command.epilog = _with_examples(as_typed(command.epilog.strip()))
    for parameter in command.params:
        if getattr(parameter, "help", None):
            parameter.help = as_typed(parameter.help)
        if parameter.param_type_name == "argument":
            _polish_argument(parameter)
        elif parameter.metavar is None and not parameter.is_flag:
            parameter.metavar = _value_name(parameter)
        _say_default(parameter)
    for below in getattr(command, "commands", {}).values():
        _polish(below)


def _with_examples(text: str) -> str:
    """The text with its examples, which ` | ` separates, on lines of their own, which are not wrapped."""
    return "\n\n".join(map(_paragraph, text.split("\n\n")))


def _paragraph(text: str) -> str:
    found = _EXAMPLES.match(text)
    if found is None:
        return text
    examples = [" ".join(each.split()) for each in re.split(r" \|\s+(?=(?:client|provision|edgerun) )", found[1])]
    rest = text[found.end() :].strip()
    lines = ["\b", "Examples:" if len(examples) > 1 else "Example:", *(f"  {each}" for each in examples)]
    return "\n".join(lines) + (f"\n\n{rest}" if rest else "")


def _polish_argument(argument: Any) -> None:
    """Its name, without Python's type, and written in the usage as manuals do: `FILE`, `[FILE]`, `FILE...`."""
    name = argument.metavar or argument.name.upper()
    usage = f"{name}..." if argument.nargs == -1 and not name.endswith(("...", "...]")) else name
    argument.metavar = name
    argument.display_type_rich = lambda ctx: None
    argument.get_usage_pieces = lambda ctx: [usage if argument.required or usage.startswith("[") else f"[{usage}]"]


def _say_default(parameter: Any) -> None:
    """Durations as they are typed; Typer has them as seconds, and puts a default that is a text into parentheses."""
    default, shown = parameter.default, parameter.show_default
    text = shown if isinstance(shown, str) else None
    if text is None and shown and parameter.metavar == "DURATION" and isinstance(default, int | float):
        text = format_duration(default).replace(" ", "")
    if text is not None:
        parameter.help, parameter.show_default = f"{parameter.help}  [default: {text}]", False


def _value_name(parameter: Any) -> str:
    """What stands for the value of an option: `--host HOST`, `--iterations N`, `--output table|json|csv`."""
    annotation = parameter.type_descriptor.annotation
    inner = next((each for each in (*get_args(annotation), annotation) if isinstance(each, type)), str)
    if issubclass(inner, Enum):
        return "|".join(str(each.value) for each in inner)
    named: str = max(parameter.opts, key=len).lstrip("-").rpartition("-")[2].upper()
    return next((name for kind, name in _VALUES.items() if issubclass(inner, kind)), named)
