"""Durations as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.durations import format_duration, parse_duration
from tests.home import Home


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("60s", 60), ("10m", 600), ("2h", 7200), ("1.5 h", 5400), ("90", 90), ("3min", 180), (".5s", 0.5)],
)
def test_units(text: str, seconds: float) -> None:
    """Milliseconds to days; a bare number is seconds."""
    assert parse_duration(text) == pytest.approx(seconds)


@given(st.text(max_size=8))
def test_whatever_is_typed_is_a_number_or_an_error(text: str) -> None:
    """Nothing but ValueError comes out, and never a negative or endless duration."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        assert "500ms, 60s, 10m or 2h" in str(error)
    else:
        assert 0 <= seconds < 1e14


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "0.25 s"), (12, "12 s"), (59.7, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (273600, "3 d 4 h")],
)
def test_shown_with_two_figures(seconds: float, text: str) -> None:
    """What is shown is short and rounds upwards into the next unit."""
    assert format_duration(seconds) == text


def test_a_bad_duration_is_a_usage_error(home: Home) -> None:
    """The option says what it takes."""
    done = home.client("bench", "--duration", "soon", "--host", "127.0.0.1:1")
    assert done.returncode == 2
    assert "write 500ms, 60s, 10m or 2h" in done.stderr
