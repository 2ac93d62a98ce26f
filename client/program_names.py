"""What our programs are called in what they say: `client`, or whatever name the user typed."""

import re

_BEFORE = ("^", r"(?<=[`(])", r"(?<=\| )", r"(?<=&& )", r"(?<=Example: )", r"(?<=Examples: )")
_COMMAND = re.compile(rf"(?:{'|'.join(_BEFORE)})(client|provision)(?= [a-z])", re.MULTILINE)
"""A command of ours, as texts quote commands: the program's name, where a subcommand follows."""

_names: dict[str, str] = {}


def call_all(name: str) -> None:
    """From now on, in this process, `client jobs` is called `NAME jobs`, and `provision up` `NAME provision up`."""
    _names.update(client=name, provision=f"{name} provision")


def called(program: str) -> str:
    """What the user calls a program: `client`, or the name of the one that stands for all."""
    return _names.get(program, program)


def as_typed(text: str) -> str:
    """A text of ours with the names that the user types: `client hosts ls` may become `edgerun hosts ls`."""
    return _COMMAND.sub(lambda found: called(found[1]), text) if _names else text
