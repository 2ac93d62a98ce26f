"""Both label-file formats."""

import pytest

from image_model.labels import LabelError, parse_labels
from tests.conftest import SuppliedModel


def test_one_name_a_line() -> None:
    """The line number is the index."""
    assert parse_labels(b"cat\ndog\n") == {0: "cat", 1: "dog"}


def test_an_index_before_each_name() -> None:
    """Indices count, and may leave gaps; spaces, commas and colons separate."""
    assert parse_labels(b"0 background\n1  tench, Tinca tinca\n") == {0: "background", 1: "tench, Tinca tinca"}
    assert parse_labels(b"3: cat\n7: dog") == {3: "cat", 7: "dog"}


def test_names_that_begin_with_digits_stay_names() -> None:
    """Falling or repeated numbers are no indices, nor are lone ones."""
    assert parse_labels(b"8 ball\n3 of clubs\n") == {0: "8 ball", 1: "3 of clubs"}
    assert parse_labels(b"0\n1\n2\n") == {0: "0", 1: "1", 2: "2"}


def test_windows_files_are_read() -> None:
    """A byte order mark and carriage returns leave no trace."""
    assert parse_labels("\ufeffcat\r\ndög\r\n".encode()) == {0: "cat", 1: "dög"}


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xff\xfe\x00", b"a\0b"])
def test_what_is_no_text_is_refused(data: bytes) -> None:
    """Empty and binary files are not label files."""
    with pytest.raises(LabelError):
        parse_labels(data)


def test_the_supplied_labels(mobilenet: SuppliedModel) -> None:
    """1001 names by index, as the notebook's file writes them."""
    labels = parse_labels(mobilenet.labels_path.read_bytes())
    assert len(labels) == 1001
    assert (labels[0], labels[89], labels[91]) == ("background", "macaw", "lorikeet")
