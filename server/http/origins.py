"""Hosts and origins as requests name them. Whatever is sent, parsing it gives a value or None and never raises."""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address

from starlette.types import Scope

TEXT_MAX_CHARACTERS = 300
"""A host name has 253 at most."""
DEFAULT_PORTS = {"http": 80, "https": 443}
_AUTHORITY = re.compile(r"(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::([0-9]{1,5}))?")
_PORT_MAX = 65535


@dataclass(frozen=True)
class Authority:
    """A host, in lower case and without brackets, and the port that was named with it."""

    host: str
    port: int | None


@dataclass(frozen=True)
class Origin:
    """Where a web page comes from."""

    scheme: str
    host: str
    port: int


def one_header(scope: Scope, name: bytes) -> str | None:
    """The text of a header that may be sent once; empty when it is repeated or not ASCII, None when it is absent."""
    values = [value for key, value in scope["headers"] if key == name]
    if not values:
        return None
    return values[0].decode() if len(values) == 1 and values[0].isascii() else ""


def host_of(scope: Scope) -> Authority | None:
    """The host that a request asks for; None unless exactly one well-formed one is named."""
    return parse_authority(one_header(scope, b"host") or "")


def parse_authority(text: str) -> Authority | None:
    """`name`, `name:port`, `[address]:port`; None for anything else."""
    return _authority(text) if len(text) <= TEXT_MAX_CHARACTERS else None


def parse_origin(text: str) -> Origin | None:
    """The value of an Origin header; None for `null` and for anything that is no origin of the web."""
    scheme, separator, rest = text.partition("://")
    found = parse_authority(rest) if separator else None
    default = DEFAULT_PORTS.get(scheme.lower())
    if found is None or default is None:
        return None
    return Origin(scheme.lower(), found.host, default if found.port is None else found.port)


@lru_cache(maxsize=64)
def _authority(text: str) -> Authority | None:
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    address, name, digits = match.groups()
    port = int(digits) if digits else None
    if port is not None and port > _PORT_MAX:
        return None
    try:
        return Authority(str(IPv6Address(address)) if address else name.lower(), port)
    except AddressValueError:
        return None
