"""Which pictures a command means: files, patterns, folders, or standard input."""

import glob
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from client.errors import EdgeError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
STANDARD_INPUT = "-"


class NoImages(EdgeError):
    """What was named holds no picture."""

    exit_code = 2


@dataclass(frozen=True)
class ImageSource:
    """One picture: the name it is shown under, and its file (None for standard input)."""

    name: str
    path: Path | None

    def read(self) -> bytes:
        """The bytes; raises EdgeError when the file cannot be read."""
        if self.path is None:
            return self._standard_input
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise EdgeError(f"{self.name}: {error.strerror or error}") from error

    @cached_property
    def _standard_input(self) -> bytes:
        """It can be read once only, and is needed for every host."""
        return sys.stdin.buffer.read()


def find_images(arguments: Iterable[str], *, recursive: bool = False) -> list[ImageSource]:
    """Expand what was named, in order, sorted within folders and patterns; a file named twice counts once.

    A folder stands for the JPEG, PNG and WebP files in it, and below it when `recursive`. Files named themselves
    are taken whatever they are called. Raises NoImages, for what cannot be read too.
    """
    found: dict[str, ImageSource] = {}
    for argument in arguments:
        try:
            for source in _expand(argument, recursive=recursive):
                found.setdefault(source.name, source)
        except OSError as error:
            raise NoImages(f"{argument}: {error.strerror or error}") from error
    return list(found.values())


def _expand(argument: str, *, recursive: bool) -> list[ImageSource]:
    if argument == STANDARD_INPUT:
        return [ImageSource("stdin", None)]
    path = Path(argument)
    if path.is_dir():
        return _in_folder(path, recursive=recursive)
    if path.exists():
        return [ImageSource(argument, path)]
    if glob.has_magic(argument):
        found = glob.glob(argument, recursive=True)  # noqa: PTH207  (Path.glob takes no absolute pattern)
        matches = sorted(filter(Path.is_file, map(Path, found)))
        if not matches:
            raise NoImages(f"no file matches {argument!r}")
        return [ImageSource(str(match), match) for match in matches]
    raise NoImages(f"no file {argument!r}", hint="name files, folders, quoted patterns, or - for standard input")


def _in_folder(folder: Path, *, recursive: bool) -> list[ImageSource]:
    entries = folder.rglob("*") if recursive else folder.iterdir()
    paths = sorted(path for path in entries if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        hint = None if recursive else "--recursive looks into the folders below"
        raise NoImages(f"{folder} holds no {', '.join(sorted(SUFFIXES))} file", hint=hint)
    return [ImageSource(str(path), path) for path in paths]
