"""What stored text may hold, and how what is printed is made harmless."""

import json
import unicodedata

import pytest
from pydantic import BaseModel, ValidationError

from contract.classify import Prediction
from contract.models import Preprocessing
from contract.specs import COMMAND_BYTES_MAX, CommandSpec
from contract.tables import csv_line
from contract.text import ARGUMENT_BYTES_MAX, LINE_MAX, Argument, Line, VariableName, visible


class _Stored(BaseModel):
    line: Line = ""
    argument: Argument = ""
    variable: VariableName = "A"


@pytest.mark.parametrize("char", ["\0", "\t", "\n", "\r", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u202e", "\u2066"])
def test_a_stored_line_holds_no_control_characters(char: str) -> None:
    """The refusal names the character and where it is."""
    with pytest.raises(ValidationError, match=f"U\\+{ord(char):04X} is at position 2"):
        _Stored(line=f"ab{char}c")


@pytest.mark.parametrize("text", ["", "plain", "ελληνικά", "می‌خواهم", "👩‍💻", "[red]=1+1", "x" * LINE_MAX])
def test_what_people_write_is_stored(text: str) -> None:
    """Format characters that scripts and emoji are made of stay."""
    assert _Stored(line=text).line == text


@pytest.mark.parametrize("field", ["line", "argument", "variable"])
def test_half_characters_are_stored_nowhere(field: str) -> None:
    """A lone surrogate cannot be written as UTF-8, so it must not come in."""
    with pytest.raises(ValidationError) as caught:
        _Stored.model_validate(json.loads(f'{{"{field}": "a\\ud800"}}'))
    assert caught.value.errors()[0]["loc"] == (field,)


def test_a_word_of_a_command_is_whatever_a_program_can_be_given() -> None:
    """Line feeds and escapes, but no NUL and nothing that Linux does not pass on."""
    assert _Stored(argument="a\n\x1b[1mb\t").argument == "a\n\x1b[1mb\t"
    for refused in ("a\0b", "x" * (ARGUMENT_BYTES_MAX + 1), "ä" * (ARGUMENT_BYTES_MAX // 2 + 1)):
        with pytest.raises(ValidationError):
            _Stored(argument=refused)
    for refused in ("", "A=B", "A\nB", "A\0"):
        with pytest.raises(ValidationError):
            _Stored(variable=refused)


def test_a_command_is_bounded_as_a_whole() -> None:
    """Many long words are as much as one that is too long."""
    word = "x" * 100_000
    CommandSpec(argv=["true", *[word] * (COMMAND_BYTES_MAX // 100_000)])
    with pytest.raises(ValidationError, match="at most"):
        CommandSpec(argv=["true", *[word] * (COMMAND_BYTES_MAX // 100_000)], env={"A": word})


@pytest.mark.parametrize("ends", [(0, 0), (float("nan"), 1), (0, float("inf")), (-1e300, 1), (0, "1e999")])
def test_an_input_range_is_two_different_numbers(ends: tuple[float, float]) -> None:
    """No pixel becomes a number out of nothing; dark ink may be the larger one."""
    assert Preprocessing(input_range=(1, 0)).input_range == (1, 0)
    for wrong in (ends, [(0, 1), ends]):
        with pytest.raises(ValidationError):
            Preprocessing.model_validate({"input_range": wrong})


@pytest.mark.parametrize("index", [-1, 10**9, 10**4000], ids=["negative", "large", "4001 digits"])
def test_the_index_of_a_class_is_bounded(index: int) -> None:
    """Whatever an agent says."""
    with pytest.raises(ValidationError):
        Prediction(index=index, label=None, score=1)


def test_visible_text_obeys_and_hides_nothing() -> None:
    """Every code point of the hiding categories is written as an escape, all others as they are."""
    every = [chr(code) for code in range(0x110000)]
    hiding = {char for char in every if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert {"\x1b", "\x9b", "\x7f", "\u200e", "\u200f", "\u061c", "\u202e", "\u2066", "\ufeff", "\ud800"} <= hiding
    shown = visible("".join(every))
    assert not hiding.intersection(shown)
    assert len(visible("".join(char for char in every if char not in hiding))) == len(every) - len(hiding)
    assert visible("\x1b]52;c;x\x07\u202e\ud800\U000e0041") == r"\x1b]52;c;x\x07\u202e\ud800\U000e0041"
    assert visible("a\nb\tc\r", keep="\n\t") == "a\nb\tc\\r"


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        (" @SUM(A1)", "' @SUM(A1)"),
        ("+cmd|'/C calc'!A0", "'+cmd|'/C calc'!A0"),
        ("-1+2", "'-1+2"),
        ("＝1", "'＝1"),  # noqa: RUF001
        ("-1.5", "-1.5"),
        ("+3e8", "+3e8"),
        (-1.5, "-1.5"),
        (None, '""'),
        ("\t=1", r"\t=1"),
        ("\r=1", r"\r=1"),
        ("a\nb", r"a\nb"),
        ("\x1b[1m", r"\x1b[1m"),
        ("macaw, blue", '"macaw, blue"'),
    ],
)
def test_a_cell_is_no_formula(value: object, cell: str) -> None:
    """Numbers stay numbers, also negative ones; a row is a line."""
    assert csv_line([value]) == f"{cell}\n"
