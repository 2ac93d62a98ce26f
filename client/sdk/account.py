"""Where to log in by SSH, and what proves who is who."""

import re
from dataclasses import dataclass, fields

from client.errors import EdgeError

PORT_MAX = 65535
_PLACE = re.compile(
    r"(?:(?P<user>[^\s/@][^\s/]*)@)?"
    r"(?:\[(?P<number>[0-9A-Fa-f:.]+(?:%\w+)?)\]|(?P<name>\w[\w.-]*))"
    r"(?::(?P<port>[0-9]{1,5}))?",
    re.ASCII,
)


@dataclass(frozen=True)
class Account:
    """A login on another machine. What is left out is as ssh itself would choose it, by ~/.ssh/config."""

    place: str
    """`user@host:port`; the host may be an alias of ~/.ssh/config."""
    key: str | None = None
    """Path of the private key."""
    known_hosts: str | None = None
    """Path of the file of trusted host keys."""

    @classmethod
    def read(cls, document: object) -> "Account":
        """The account that a file describes; raises ValueError for what describes none."""
        names = [spec.name for spec in fields(cls)]
        given = (
            {name: value for name, value in document.items() if value is not None} if isinstance(document, dict) else {}
        )
        if "place" not in given or not set(given) <= set(names) or not all(isinstance(v, str) for v in given.values()):
            raise ValueError(f"an SSH login is a table of texts, {', '.join(names)}, of which the first is needed")
        if not _PLACE.fullmatch(given["place"]):
            raise ValueError(f"{given['place']!r} is no place to log in")
        return cls(**given)

    @property
    def document(self) -> dict[str, str]:
        """The account as a file has it."""
        given = {spec.name: getattr(self, spec.name) for spec in fields(self)}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def parts(self) -> tuple[str | None, str, int | None]:
        """User, host and port; raises EdgeError."""
        found = _PLACE.fullmatch(self.place)
        port = int(found["port"]) if found and found["port"] else None
        if found is None or port == 0 or (port or 0) > PORT_MAX:
            raise EdgeError(f"{self.place!r} is no place to log in", hint="write --on ssh://USER@HOST[:PORT]")
        return found["user"], found["number"] or found["name"], port
