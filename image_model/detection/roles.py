"""Which of the four outputs of TFLite_Detection_PostProcess is which.

The operator gives boxes, classes, scores and count. The converter of TensorFlow 2 sorts them otherwise: scores, boxes,
count, classes. Names are telling where the model's author gave them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_WORDS = {"boxes": ("box", "location"), "classes": ("class", "categor", "label"), "scores": ("score",)}
_NUMBERED = re.compile(r"(.*?)(?::(\d+))?")

_BY_POSITION = {3: ("boxes", "classes", "scores"), 2: ("scores", "boxes", "classes")}
"""By the index of the count: what the others are in their order."""


@dataclass(frozen=True)
class PostprocessRoles:
    """Indices of the outputs."""

    boxes: int
    classes: int
    scores: int
    count: int

    def __str__(self) -> str:
        order = sorted(vars(self), key=lambda role: int(vars(self)[role]))
        return ", ".join(order)


def postprocess_roles(shapes: Sequence[Sequence[int]], names: Sequence[str] = ()) -> PostprocessRoles | str:
    """Tell the four outputs by shape and name, or say in words why they are not those of TFLite_Detection_PostProcess.

    A size of -1 stands for any. Where names say nothing, the position of the count tells the order.
    """
    described = ", ".join(str(list(shape)) for shape in shapes)
    if len(shapes) != 4:
        return f"{len(shapes)} outputs, and TFLite_Detection_PostProcess has four"
    if any(len(shape) > 1 and shape[0] not in (1, -1) for shape in shapes):
        return f"outputs {described}: they are for several pictures at once"
    boxes = [index for index, shape in enumerate(shapes) if len(shape) == 3 and shape[2] in (4, -1)]
    counts = [index for index, shape in enumerate(shapes) if len(shape) < 2]
    if len(boxes) != 1 or len(counts) != 1:
        return f"outputs {described}, where TFLite_Detection_PostProcess has [1, n, 4], twice [1, n], and [1]"
    pair = [index for index in range(4) if index not in (boxes[0], counts[0])]
    sizes = {shapes[boxes[0]][1], *(shapes[index][-1] for index in pair)} - {-1}
    if any(len(shapes[index]) != 2 for index in pair) or len(sizes) > 1:
        return f"outputs {described}, where TFLite_Detection_PostProcess has as many classes and scores as boxes"
    named = _by_words(names) or _by_number(names, boxes[0], pair)
    by_position = _BY_POSITION.get(counts[0], ())
    others = [index for index in range(4) if index != counts[0]]
    found = named or dict(zip(by_position, others, strict=False))
    if found.get("boxes") != boxes[0] or {found["classes"], found["scores"]} != set(pair):
        return f"outputs {described}: which of them holds the classes and which the scores cannot be told"
    return PostprocessRoles(boxes[0], found["classes"], found["scores"], counts[0])


def _by_words(names: Sequence[str]) -> Mapping[str, int] | None:
    """Roles by names such as `detection_scores`, if they name one output each."""
    found: dict[str, int] = {}
    for role, words in _WORDS.items():
        named = [index for index, name in enumerate(names) if any(word in name.lower() for word in words)]
        if len(named) != 1:
            return None
        found[role] = named[0]
    return found


def _by_number(names: Sequence[str], boxes: int, pair: Sequence[int]) -> Mapping[str, int] | None:
    """Roles by names such as `StatefulPartitionedCall:1`: from the boxes on, classes come before scores."""
    if len(names) != 4:
        return None
    parts = [_NUMBERED.fullmatch(name) for name in names]
    if not all(parts) or len({part[1] for part in parts if part}) != 1:
        return None
    numbers = [int(part[2] or 0) for part in parts if part]
    nearer, farther = sorted(pair, key=lambda index: abs(numbers[index] - numbers[boxes]))
    return {"boxes": boxes, "classes": nearer, "scores": farther}
