"""A graph as a TFLite file.

Operator versions stay at 1 to 4, so that tflite-runtime 2.14 loads the file too. The same graph gives the same bytes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from server.tflite.flatbuffer import TYPES, pack, schema
from server.tflite.graph import Graph, GraphTensor, Operator

SIGNATURE = "serving_default"
ACTIVATIONS = {
    "": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}
_TYPE_NUMBERS = {name: number for number, name in TYPES.items()}

_QUANTISED_VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "ADD": 2,
    "MEAN": 2,
    "SOFTMAX": 2,
    "QUANTIZE": 2,
    "DEQUANTIZE": 2,
    "LOGISTIC": 2,
    "CONCATENATION": 2,
    "TRANSPOSE": 2,
}
"""First versions that know int8, per channel where that matters; float graphs are content with 1."""


def write(graph: Graph, description: str) -> bytes:
    """Pack a graph with the signature `serving_default` (`image` in, the graph's `sink_name` out)."""
    tree = schema.ModelT()
    tree.version, tree.description = 3, description
    tree.buffers = [schema.BufferT()]  # buffer 0 is the empty one by convention
    tree.operatorCodes = []
    main = schema.SubGraphT()
    main.name = "main"
    main.tensors = [_tensor(tree, tensor) for tensor in graph.tensors]
    codes: dict[tuple[str, int], int] = {}
    main.operators = [_operator(tree, codes, graph, operator) for operator in graph.operators]
    main.inputs, main.outputs = _indices([graph.source]), _indices([graph.sink])
    tree.subgraphs = [main]
    tree.signatureDefs = [_signature(graph)]
    return pack(tree)


def _tensor(tree: Any, tensor: GraphTensor) -> Any:
    packed = schema.TensorT()
    packed.name, packed.shape, packed.buffer = tensor.name, np.array(tensor.shape, np.int32), 0
    packed.type = _TYPE_NUMBERS[tensor.dtype.name]
    if tensor.data is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(tensor.data).tobytes(), np.uint8)
        packed.buffer = len(tree.buffers)
        tree.buffers.append(buffer)
    if tensor.quantisation is not None:
        parameters = schema.QuantizationParametersT()
        parameters.scale = np.atleast_1d(tensor.quantisation.scale).astype(np.float32)
        parameters.zeroPoint = np.full(len(parameters.scale), tensor.quantisation.zero_point, np.int64)
        parameters.quantizedDimension = tensor.quantisation.axis
        packed.quantization = parameters
    return packed


def _operator(tree: Any, codes: dict[tuple[str, int], int], graph: Graph, operator: Operator) -> Any:
    version = _version(graph, operator)
    key = operator.kind, version
    if key not in codes:
        codes[key] = len(tree.operatorCodes)
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, operator.kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)  # a byte, for readers from before 2.4
        code.version = version
        tree.operatorCodes.append(code)
    packed = schema.OperatorT()
    packed.opcodeIndex = codes[key]
    packed.inputs, packed.outputs = _indices(operator.inputs), _indices([operator.output])
    if operator.kind in _OPTIONS:
        name, make = _OPTIONS[operator.kind]
        packed.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        packed.builtinOptions = make(getattr(schema, f"{name}T")(), **operator.options)
    return packed


def _version(graph: Graph, operator: Operator) -> int:
    types = [graph.tensors[index].dtype for index in (*operator.inputs, operator.output)]
    return _QUANTISED_VERSIONS.get(operator.kind, 1) if np.int8 in types or np.uint8 in types else 1


def _convolution(options: Any, *, stride: int, activation: str) -> Any:
    options.padding = schema.Padding.SAME
    options.strideW = options.strideH = stride
    options.dilationWFactor = options.dilationHFactor = 1
    options.fusedActivationFunction = ACTIVATIONS[activation]
    return options


def _depthwise(options: Any, *, stride: int, activation: str) -> Any:
    options.depthMultiplier = 1
    return _convolution(options, stride=stride, activation=activation)


def _activated(options: Any, *, activation: str = "") -> Any:
    options.fusedActivationFunction = ACTIVATIONS[activation]
    return options


def _reshape(options: Any, *, shape: Sequence[int]) -> Any:
    options.newShape = np.array(shape, np.int32)
    return options


def _softmax(options: Any) -> Any:
    options.beta = 1.0
    return options


def _concatenation(options: Any, *, axis: int) -> Any:
    options.axis = axis
    return _activated(options)


def _plain(options: Any) -> Any:
    return options


_OPTIONS: dict[str, tuple[str, Callable[..., Any]]] = {
    "CONV_2D": ("Conv2DOptions", _convolution),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", _depthwise),
    "ADD": ("AddOptions", _activated),
    "RESHAPE": ("ReshapeOptions", _reshape),
    "MEAN": ("ReducerOptions", _plain),
    "FULLY_CONNECTED": ("FullyConnectedOptions", _activated),
    "SOFTMAX": ("SoftmaxOptions", _softmax),
    "QUANTIZE": ("QuantizeOptions", _plain),
    "DEQUANTIZE": ("DequantizeOptions", _plain),
    "CONCATENATION": ("ConcatenationOptions", _concatenation),
    "TRANSPOSE": ("TransposeOptions", _plain),
}
"""Name of an operator's options in the schema, and what fills them in; LOGISTIC has none."""


def _signature(graph: Graph) -> Any:
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
    maps = []
    for name, index in (("image", graph.source), (graph.sink_name, graph.sink)):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        maps.append([entry])
    signature.inputs, signature.outputs = maps
    return signature


def _indices(values: list[int]) -> Any:
    return np.array(values, np.int32)
