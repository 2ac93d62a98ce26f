"""`./edgerun.toml`: the hosts that a folder chooses. It counts once the user agreed to what it says.

A folder may come from anybody, so a choice in it is remembered by the file's path and digest, in the user's own
configuration.
"""

import hashlib
import json
import os
import tomllib
from pathlib import Path

from client.errors import HostError

PROJECT_FILE = Path("edgerun.toml")
AGREED_NAME = "agreed.json"
SIZE_MAX_BYTES = 64 * 1024


class NotAgreed(HostError):
    """The folder chooses hosts, and the user was not asked yet."""

    def __init__(self, path: Path, hosts: list[str]) -> None:
        self.question = f"{path} chooses {', '.join(map(repr, hosts))}. Talk to it from this folder from now on?"
        super().__init__(
            f"{path} chooses {', '.join(map(repr, hosts))}, and you have not agreed to that",
            hint="`client hosts use --here` agrees to it; --host and EDGERUN_HOST go before it",
        )


def hosts_of_project(folder: Path) -> list[str]:
    """What ./edgerun.toml chooses, nothing where there is none; raises NotAgreed, HostError.

    `folder` is the one of the user's configuration.
    """
    if not PROJECT_FILE.exists():
        return []
    content = _content()
    hosts = _hosts(content)
    if hosts and _agreed(folder).get(_key()) != _digest(content):
        raise NotAgreed(PROJECT_FILE.absolute(), hosts)
    return hosts


def agree(folder: Path) -> list[str]:
    """Remember that the user agrees to ./edgerun.toml as it is now; gives its hosts. Raises HostError."""
    content = _content()
    hosts = _hosts(content)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = folder / f".{AGREED_NAME}.{os.getpid()}.part"
    part.write_text(json.dumps({**_agreed(folder), _key(): _digest(content)}, indent=1))
    part.replace(folder / AGREED_NAME)
    return hosts


def _key() -> str:
    return str(PROJECT_FILE.resolve())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _agreed(folder: Path) -> dict[str, str]:
    """Digests by path; a file that cannot be read is one in which nothing was agreed to."""
    try:
        agreed = json.loads((folder / AGREED_NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return agreed if isinstance(agreed, dict) else {}


def _content() -> bytes:
    try:
        with PROJECT_FILE.open("rb") as file:
            return file.read(SIZE_MAX_BYTES)
    except OSError as error:
        raise HostError(f"./{PROJECT_FILE}: {error.strerror or error}") from error


def _hosts(content: bytes) -> list[str]:
    try:
        chosen = tomllib.loads(content.decode()).get("host", [])
    except ValueError as error:
        raise HostError(f"./{PROJECT_FILE} is not valid TOML: {error}") from error
    hosts = [chosen] if isinstance(chosen, str) else chosen
    if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
        raise HostError(f"./{PROJECT_FILE}: host is a name, or a list of names")
    return hosts
