"""What families of sensors are made of: files that are kept open, and groups of series that are read together."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from contract.telemetry import MetricKind, SeriesInfo

Reading = float | None
MILLI = 1e-3
MICRO = 1e-6
READ_BYTES = 1 << 12
"""Enough for every file of /sys, which is one page at most."""

READ_ERRORS = (OSError, ValueError, IndexError, KeyError, ZeroDivisionError)
"""What a file that vanishes or changes its form during the run makes a reader raise."""


def key_of(info: SeriesInfo) -> str:
    """A series' key as Prometheus writes it: `metric`, or `metric{label="value",...}`."""
    if not info.labels:
        return info.metric
    labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in info.labels.items())
    return f"{info.metric}{{{labels}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class SystemFile:
    """A file of the kernel that is kept open and read from its beginning each time.

    Several times cheaper than opening it anew. After an error it is opened again at the next read, so a sensor that
    comes back is seen.
    """

    def __init__(self, path: Path, size: int = READ_BYTES) -> None:
        self.path = path
        self._size = size
        self._descriptor: int | None = None

    def read(self) -> bytes:
        """Its content; raises OSError while it cannot be read."""
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(self._descriptor, self._size, 0)
        except OSError:
            self.close()
            raise

    def read_all(self) -> bytes:
        """Its content where that is a list the kernel hands out a page at a time; raises OSError."""
        content = part = self.read()
        while part:
            assert self._descriptor is not None
            part = os.pread(self._descriptor, self._size, len(content))
            content += part
        return content

    def number(self) -> float:
        """Its content as one number; raises OSError or ValueError."""
        return float(self.read())

    def close(self) -> None:
        """Close it; a later read opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@dataclass(frozen=True)
class Group:
    """Series that are read together. `read` gives one value a series, or raises one of READ_ERRORS."""

    infos: Sequence[SeriesInfo]
    read: Callable[[], Sequence[Reading]]
    reason: str | None = None
    """Why there is no such sensor; then every value is None."""


class Tree:
    """The folder under which /proc and /sys are, and the files of it that were opened."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root
        self._open: list[SystemFile] = []

    @property
    def is_this_machine(self) -> bool:
        """Whether it is the real one, so that libraries may be asked too."""
        return self.root == Path("/")

    def file(self, path: Path | str, size: int = READ_BYTES) -> SystemFile:
        """A kept-open file; closed with the tree."""
        opened = SystemFile(self.root / path, size)
        self._open.append(opened)
        return opened

    def text(self, path: Path | str) -> str | None:
        """What a file holds, stripped; None where it cannot be read. Opened and closed at once."""
        try:
            return (self.root / path).read_text(errors="replace").strip("\n\0 ")
        except OSError:
            return None

    def number(self, path: Path | str) -> float | None:
        """What a file holds as a number; None where it cannot be read or holds none."""
        try:
            return float(self.text(path) or "")
        except ValueError:
            return None

    def paths(self, pattern: str) -> list[Path]:
        """Files and folders that match, in the order people count them: cpu2 before cpu10."""
        return sorted(self.root.glob(pattern), key=lambda path: [_natural(part) for part in path.parts])

    def shown(self, path: Path) -> str:
        """A path as it is on the machine, for `SeriesInfo.source`."""
        return "/" + str(path.relative_to(self.root))

    def close(self) -> None:
        """Close every file."""
        for opened in self._open:
            opened.close()


def _natural(name: str) -> tuple[str, int]:
    stem = name.rstrip("0123456789")
    digits = name[len(stem) :]
    return stem, int(digits) if digits else -1


def counter(metric: str, unit: str, source: str, labels: Mapping[str, str] | None = None) -> SeriesInfo:
    """A series that only grows."""
    return SeriesInfo(metric=metric, unit=unit, source=source, kind=MetricKind.COUNTER, labels=dict(labels or {}))


def gauge(metric: str, unit: str, source: str, labels: Mapping[str, str] | None = None) -> SeriesInfo:
    """A series of momentary values."""
    return SeriesInfo(metric=metric, unit=unit, source=source, labels=dict(labels or {}))


def absent(reason: str, *infos: SeriesInfo) -> Group:
    """Series of sensors that are not there: their keys stay, their values are None."""
    return Group(infos, partial(_nothing, len(infos)), reason)


def _nothing(count: int) -> list[Reading]:
    return [None] * count


def single(tree: Tree, path: Path, info: SeriesInfo, scale: float = 1.0) -> Group:
    """A series that is the one number in a file, times a scale."""
    opened = tree.file(path)
    return Group([info], lambda: [opened.number() * scale])


def constant(info: SeriesInfo, value: float) -> Group:
    """A series that never changes, read once: a limit, a size."""
    return Group([info], lambda: [value])
