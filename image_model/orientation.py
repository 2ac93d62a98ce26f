"""EXIF orientation: where the edges of a box lie on a picture's file, and on the picture as it is shown.

Without NumPy, and for its arrays too.
"""

from typing import Any

Size = tuple[int, int]
"""Width and height in pixels."""

Edges = tuple[Any, Any, Any, Any]
"""Left, top, right and bottom: numbers, or arrays of them."""

_MIRRORED_ACROSS = (2, 3, 7, 8)
_MIRRORED_DOWN = (3, 4, 6, 7)
_SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations in which the file's rows run the other way than the upright picture's, or are its columns."""


def upright_size(file_size: Size, orientation: int) -> Size:
    """Width and height of the picture that a file of this size shows."""
    width, height = file_size
    return (height, width) if orientation in _SIDEWAYS else (width, height)


def upright_edges(edges: Edges, file_size: Size, orientation: int) -> Edges:
    """Edges in pixels of the file as edges in pixels of the picture as it is shown."""
    return _turned(_mirrored(edges, file_size, orientation), orientation)


def stored_edges(edges: Edges, file_size: Size, orientation: int) -> Edges:
    """Edges in pixels of the picture as it is shown as edges in pixels of the file."""
    return _mirrored(_turned(edges, orientation), file_size, orientation)


def _turned(edges: Edges, orientation: int) -> Edges:
    left, top, right, bottom = edges
    return (top, left, bottom, right) if orientation in _SIDEWAYS else edges


def _mirrored(edges: Edges, file_size: Size, orientation: int) -> Edges:
    left, top, right, bottom = edges
    width, height = file_size
    if orientation in _MIRRORED_ACROSS:
        left, right = width - right, width - left
    if orientation in _MIRRORED_DOWN:
        top, bottom = height - bottom, height - top
    return left, top, right, bottom
