"""The digest that names a model; for worker processes too, which do without pydantic and its memory."""

from collections.abc import Mapping
from hashlib import sha256


def identity(model: str, parts: Mapping[str, str]) -> str:
    """The digest that stands for all files of a model: the main file's own where there is no other.

    Else the SHA-256 of a line `DIGEST` for the main file and a line `NAME DIGEST` for each part, by name.
    """
    if not parts:
        return model
    lines = [model, *(f"{name} {parts[name]}" for name in sorted(parts))]
    return f"sha256:{sha256(chr(10).join(lines).encode()).hexdigest()}"
