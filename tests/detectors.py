"""Detectors of each form, made for tests: they find red, green and blue spots, so what they say of a picture is known.

A place is a cell of 8, 16 or 32 pixels of the input. The score of a colour there is how much of the cell has it; the
box is the cell itself, and with a YOLOv5 head also the cell enlarged.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
from flatbuffers import flexbuffers
from numpy.typing import NDArray
from openvino import opset8 as ops

from server.tflite.flatbuffer import pack, schema, unpack
from server.tflite.graph import Graph
from server.tflite.writer import write

INPUT_SIDE = 64
STRIDES = (8, 16, 32)
COLOURS = ("red", "green", "blue")
LABELS = "".join(f"{colour}\n" for colour in COLOURS).encode()
LABELS_WITH_BACKGROUND = b"background\n" + LABELS
"""Labels of models whose class 0 is the background."""
INPUT_RANGE = (0.0, 1.0)
GROWTHS = ((1.0, 1.0), (1.5, 0.75), (2.0, 0.5))
"""How much larger than its cell each box of a YOLOv5 place is, and its objectness."""
IOU_THRESHOLD = 0.45
MIN_SCORE = 0.25
DETECTIONS_MAX = 20

Floats = NDArray[np.float32]
_WEIGHTS = np.array([[1, -0.5, -0.5], [-0.5, 1, -0.5], [-0.5, -0.5, 1]], np.float32)
"""Of each colour, by channel."""


@dataclass(frozen=True)
class Cell:
    """A place: its edges in pixels of the input."""

    left: int
    top: int
    side: int

    @property
    def centred(self) -> tuple[float, float, float, float]:
        """Centre x and y, width and height in pixels."""
        return self.left + self.side / 2, self.top + self.side / 2, self.side, self.side


CELLS = [
    Cell(left, top, stride)
    for stride in STRIDES
    for top in range(0, INPUT_SIDE, stride)
    for left in range(0, INPUT_SIDE, stride)
]


def colour_scores(pixels: NDArray[np.uint8]) -> list[list[float]]:
    """The scores of the three colours in each cell of a picture [64, 64, 3], by the plainest way."""
    scores = []
    for cell in CELLS:
        seen = pixels[cell.top : cell.top + cell.side, cell.left : cell.left + cell.side] / 255
        red, green, blue = seen.reshape(-1, 3).mean(axis=0)
        own = (red - (green + blue) / 2, green - (red + blue) / 2, blue - (red + green) / 2)
        scores.append([max(0.0, float(score)) for score in own])
    return scores


def spots(size: tuple[int, int], boxes: Sequence[tuple[tuple[int, int, int, int], str]]) -> NDArray[np.uint8]:
    """A white picture [height, width, 3] of a size, with spots of a colour."""
    pixels = np.full((size[1], size[0], 3), 255, np.uint8)
    for (left, top, right, bottom), colour in boxes:
        pixels[top:bottom, left:right] = 255 * np.eye(3, dtype=np.uint8)[COLOURS.index(colour)]
    return pixels


def yolo_v8(*, normalised: bool = True, transposed: bool = False) -> bytes:
    """TFLite: [1, 7, 84], or transposed."""
    graph, scores = _scores()
    boxes = graph.constant("boxes", _boxes(1 / INPUT_SIDE if normalised else 1)[np.newaxis])
    rows = graph.concatenation("rows", [boxes, scores], 2)
    graph.sink = rows if transposed else graph.transpose("head", rows, (0, 2, 1))
    return _written(graph)


def yolo_v5(*, normalised: bool = True) -> bytes:
    """TFLite: [1, 252, 8], three boxes a cell."""
    graph, scores = _scores()
    unit = 1 / INPUT_SIDE if normalised else 1
    anchors = []
    for index, (growth, objectness) in enumerate(GROWTHS):
        before = np.concatenate([_boxes(unit) * (1, 1, growth, growth), np.full((len(CELLS), 1), objectness)], axis=1)
        fixed = graph.constant(f"boxes{index}", before[np.newaxis].astype(np.float32))
        anchors.append(graph.concatenation(f"anchor{index}", [fixed, scores], 2))
    graph.sink = graph.concatenation("head", anchors, 1)
    return _written(graph)


def ssd() -> bytes:
    """TFLite: the operator TFLite_Detection_PostProcess with its four outputs."""
    graph, scores = _scores()
    background = graph.constant("background", np.zeros((1, len(CELLS), 1), np.float32))
    graph.sink = graph.concatenation("predictions", [background, scores], 2)
    offsets = graph.constant("offsets", np.zeros((1, len(CELLS), 4), np.float32))
    anchors = graph.constant("anchors", _boxes(1 / INPUT_SIDE)[:, [1, 0, 3, 2]])
    tree = unpack(_written(graph))
    main = tree.subgraphs[0]
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM, schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = "TFLite_Detection_PostProcess", 1
    tree.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(tree.operatorCodes) - 1
    operator.inputs = np.array([offsets, graph.sink, anchors], np.int32)
    operator.customOptions = np.frombuffer(_postprocess_options(), np.uint8)
    first = len(main.tensors)
    for suffix in ("", ":1", ":2", ":3"):
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.buffer = f"TFLite_Detection_PostProcess{suffix}", schema.TensorType.FLOAT32, 0
        tensor.shape = np.array([], np.int32)
        main.tensors.append(tensor)
    operator.outputs = main.outputs = np.arange(first, first + 4, dtype=np.int32)
    main.operators.append(operator)
    tree.signatureDefs = []
    return pack(tree)


def detection_output() -> tuple[bytes, bytes]:
    """OpenVINO IR, model.xml and model.bin: the operator DetectionOutput, [1, 1, 20, 7]; class 0 is the background."""
    image = ops.parameter([1, 3, INPUT_SIDE, INPUT_SIDE], np.float32, name="image")
    levels = []
    for stride in STRIDES:
        kernel = np.tile(_WEIGHTS[:, :, np.newaxis, np.newaxis] / stride**2, (1, 1, stride, stride))
        cells = ops.relu(ops.convolution(image, kernel.astype(np.float32), [stride, stride], [0, 0], [0, 0], [1, 1]))
        by_cell = ops.transpose(cells, np.array([0, 2, 3, 1], np.int64))
        levels.append(ops.reshape(by_cell, np.array([1, -1, len(COLOURS)], np.int64), special_zero=False))
    background = np.zeros((1, len(CELLS), 1), np.float32)
    scores = ops.concat([ops.constant(background), ops.concat(levels, 1)], 2)
    corners = [(c.left, c.top, c.left + c.side, c.top + c.side) for c in CELLS]
    priors = np.array(corners, np.float32).reshape(1, 1, -1) / np.float32(INPUT_SIDE)
    found = ops.detection_output(
        ops.constant(np.zeros((1, 4 * len(CELLS)), np.float32)),
        ops.reshape(scores, np.array([1, -1], np.int64), special_zero=False),
        ops.constant(priors),
        {
            "background_label_id": 0,
            "top_k": -1,
            "variance_encoded_in_target": True,
            "keep_top_k": np.array([DETECTIONS_MAX], np.int64),
            "code_type": "caffe.PriorBoxParameter.CENTER_SIZE",
            "share_location": True,
            "nms_threshold": IOU_THRESHOLD,
            "confidence_threshold": MIN_SCORE,
            "normalized": True,
        },
    )
    return _serialised(ov.Model([found], [image], "spots"))


def _serialised(model: ov.Model) -> tuple[bytes, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        ov.save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def _scores() -> tuple[Graph, int]:
    """A graph from the picture to the scores of the three colours in each cell: [1, 84, 3]."""
    graph = Graph()
    graph.source = graph.tensor("image", (1, INPUT_SIDE, INPUT_SIDE, 3))
    levels = []
    for stride in STRIDES:
        kernel = np.tile(_WEIGHTS[:, np.newaxis, np.newaxis] / stride**2, (1, stride, stride, 1))
        bias = np.zeros(3, np.float32)
        name = f"stride{stride}"
        cells = graph.convolution(name, graph.source, kernel.astype(np.float32), bias, stride=stride, act="relu")
        levels.append(graph.reshape(f"flat{stride}", cells, (1, (INPUT_SIDE // stride) ** 2, 3)))
    return graph, graph.concatenation("scores", levels, 1)


def _boxes(unit: float) -> Floats:
    """Centre and size of each cell [84, 4]."""
    return np.array([cell.centred for cell in CELLS], np.float32) * np.float32(unit)


def _written(graph: Graph) -> bytes:
    graph.sink_name = "detections"
    return write(graph, "a spot detector for tests")


def _postprocess_options() -> bytes:
    options = flexbuffers.Builder()
    with options.Map():
        for name, number in (
            ("max_detections", DETECTIONS_MAX),
            ("max_classes_per_detection", 1),
            ("detections_per_class", DETECTIONS_MAX),
            ("num_classes", len(COLOURS)),
        ):
            options.Int(name, number)
        options.Bool("use_regular_nms", True)
        options.Float("nms_score_threshold", MIN_SCORE)
        options.Float("nms_iou_threshold", IOU_THRESHOLD)
        for name in ("x_scale", "y_scale", "w_scale", "h_scale"):
            options.Float(name, 1.0)
    return bytes(options.Finish())
