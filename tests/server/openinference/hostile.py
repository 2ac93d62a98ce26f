"""Requests that no client sends by mistake: a valid one, broken in a way that a seeded generator chooses."""

import copy
import gzip
import json
import random
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from contract.paths import INFERENCE_HEADER_LENGTH
from tests.server.openinference.bodies import binary, described

NUMBERS: list[Any] = [
    *(0, -1, 1, 2, 3, 4, 2**31, 2**32, 2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 10**4000),
    *(0.5, -0.0, 1e308, 1e-320, 5e300),
]
ODD: list[Any] = [
    *(None, True, False, "", "x", "FP32", "INT64", "BYTES", "BF16", "\ud800", "\x00", "a" * 5000, "\u202e", [], {}),
    *([[]], [[[]]], {"": {}}, [None], [1, [2]], [[1, 2], [3]], {"data": 1}, *NUMBERS),
]
NAMES = ["a", "b", "c", "sum", "", "A", "a\x00", "__class__", "a" * 300]
PARAMETERS = ["binary_data_size", "binary_data", "classification", "shared_memory_region", "binary_data_output", "x"]


BOMBS = {pack: pack(bytes(20 << 20)) for pack in (gzip.compress, zlib.compress)}
"""Twice what a body may have, in a few kilobytes."""


@dataclass
class Hostile:
    """One request: the JSON as a document or as text, what follows it, and its headers."""

    document: Any
    content: bytes = b""
    text: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    """What the header says of the JSON's length; None for the truth where binary data follow."""

    def body(self) -> bytes:
        """As it is sent."""
        text = self.text if self.text is not None else json.dumps(self.document).encode()
        if self.content and INFERENCE_HEADER_LENGTH not in self.headers:
            self.headers[INFERENCE_HEADER_LENGTH] = str(len(text) if self.length is None else self.length)
        return text + self.content or b" "


def hostile(seed: int) -> Hostile:
    """The request of a seed."""
    chance = random.Random(seed)
    found = _valid(chance)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        chance.choice(BREAKING)(found, chance)
    if chance.random() < RARELY:
        chance.choice(RARE)(found, chance)
    return found


def _valid(chance: random.Random) -> Hostile:
    """Two tensors for the model `arithmetic`, as JSON or as binary data."""
    rows = chance.choice((1, 1, 2, 64))
    a, b = (np.arange(rows * 3, dtype=np.float32).reshape(rows, 3) + each for each in (0, 1))
    if chance.random() < 0.5:
        return Hostile({"id": "7", "inputs": [described("a", a), described("b", b)], "outputs": [{"name": "sum"}]})
    return Hostile(
        {"inputs": [binary("a", a), binary("b", b)], "outputs": [{"name": "sum"}]}, a.tobytes() + b.tobytes()
    )


def _an_input(found: Hostile, chance: random.Random) -> dict[str, Any]:
    inputs = found.document.get("inputs") if isinstance(found.document, dict) else None
    entries = [entry for entry in inputs if isinstance(entry, dict)] if isinstance(inputs, list) else []
    return chance.choice(entries) if entries else {}


def _odd_field(found: Hostile, chance: random.Random) -> None:
    _an_input(found, chance)[chance.choice(("name", "datatype", "shape", "data", "parameters"))] = chance.choice(ODD)


def _missing_field(found: Hostile, chance: random.Random) -> None:
    _an_input(found, chance).pop(chance.choice(("name", "datatype", "shape", "data", "parameters")), None)


def _odd_shape(found: Hostile, chance: random.Random) -> None:
    rank = chance.choice((0, 1, 2, 2, 2, 3, 40, 5000))
    _an_input(found, chance)["shape"] = [chance.choice((*NUMBERS, 3, 3)) for _ in range(rank)]


def _odd_element(found: Hostile, chance: random.Random) -> None:
    data = _an_input(found, chance).get("data")
    while isinstance(data, list) and data:
        position = chance.randrange(len(data))
        if not isinstance(data[position], list) or chance.random() < 0.2:
            data[position] = chance.choice(ODD)
            return
        data = data[position]


def _odd_parameter(found: Hostile, chance: random.Random) -> None:
    entry = chance.choice((_an_input(found, chance), found.document if isinstance(found.document, dict) else {}))
    entry["parameters"] = {chance.choice(PARAMETERS): chance.choice(ODD)}


def _odd_outputs(found: Hostile, chance: random.Random) -> None:
    if isinstance(found.document, dict):
        entry = {"name": chance.choice(NAMES), "parameters": {chance.choice(PARAMETERS): chance.choice(ODD)}}
        found.document["outputs"] = chance.choice(([entry], [entry, entry], chance.choice(ODD), [chance.choice(ODD)]))


def _other_names(found: Hostile, chance: random.Random) -> None:
    _an_input(found, chance)["name"] = chance.choice(NAMES)


def _twice(found: Hostile, chance: random.Random) -> None:
    if isinstance(found.document, dict) and isinstance(found.document.get("inputs"), list):
        found.document["inputs"] += copy.deepcopy(found.document["inputs"]) * chance.choice((1, 50))


def _odd_document(found: Hostile, chance: random.Random) -> None:
    if isinstance(found.document, dict) and chance.random() < 0.5:
        found.document[chance.choice(("id", "inputs", "outputs", "parameters"))] = chance.choice(ODD)
    else:
        found.document = chance.choice(ODD)


def _cut(found: Hostile, chance: random.Random) -> None:
    found.content = found.content[: chance.randrange(len(found.content) + 1)]


def _longer(found: Hostile, chance: random.Random) -> None:
    found.content += chance.randbytes(chance.choice((1, 3, 4, 1000)))


def _noise(found: Hostile, chance: random.Random) -> None:
    text = bytearray(json.dumps(found.document).encode())
    for _ in range(chance.choice((1, 2, 10))):
        text[chance.randrange(len(text))] = chance.randrange(256)
    found.text = bytes(text)


def _special_values(found: Hostile, chance: random.Random) -> None:
    special = np.array(chance.choices((np.nan, np.inf, -np.inf), k=3), np.float32).tobytes()
    found.content = special * (len(found.content) // len(special))


def _nested(found: Hostile, chance: random.Random) -> None:
    depth = chance.choice((100, 5000, 100_000))
    found.text = chance.choice((b"[" * depth, b'{"a":' * depth, b'{"inputs":' + b"[" * depth + b"]" * depth + b"}"))


def _no_json(found: Hostile, chance: random.Random) -> None:
    found.text = chance.choice(
        (
            b"NaN",
            b'{"inputs": [NaN]}',
            b"9" * 5000,
            b'"',
            b"\xff\xfe{}",
            b"{" * 9,
            b"[" + b"{}," * 200_000 + b"0]",
            b"\0",
        )
    )


def _wrong_length(found: Hostile, chance: random.Random) -> None:
    found.headers[INFERENCE_HEADER_LENGTH] = str(
        chance.choice((0, 1, 7, 10**6, 10**11, 10**30, -1, "x", "", "1e3", "0x10"))
    )


def _compressed(found: Hostile, chance: random.Random) -> None:
    content = found.body()
    coding = chance.choice(("gzip", "deflate", "br", "gzip, gzip", "GZIP"))
    pack = gzip.compress if "g" in coding else zlib.compress
    packed = pack(content)
    packed = chance.choice((content, packed[:-5], packed + b"x", BOMBS[pack], b"\x1f\x8b"))
    found.text, found.content = packed, b""
    found.headers["Content-Encoding"] = coding


BREAKING = [
    *(_odd_field, _odd_field, _missing_field, _odd_shape, _odd_shape, _odd_element, _odd_element, _odd_parameter),
    *(_odd_outputs, _other_names, _twice, _odd_document, _cut, _longer, _noise, _special_values, _no_json),
    *(_wrong_length,),
]
"""Ways to break a request; those that take long to make are rare."""
RARE, RARELY = [_nested, _compressed], 0.03
