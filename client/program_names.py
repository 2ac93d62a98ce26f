"""What our programs are called in what they say: `client`, or whatever name the user typed."""

import re

_COMMAND = re.compile(r"(?<![\w/.'\"-])(client|provision)(?= [a-z])")
"""A command of ours within a text: the program's name, where a subcommand follows."""

_names: dict[str, str] = {}


def call_all(name: str) -> None:
    """From now on, in this process, `client jobs` is called `NAME jobs`, and `provision up` `NAME provision up`."""
    _names.update(client=name, provision=f"{name} provision")


def as_typed(text: str) -> str:
    """A text of ours with the names that the user types: `client hosts ls` may become `edgerun hosts ls`."""
    return _COMMAND.sub(lambda found: _names.get(found[1], found[1]), text) if _names else text
