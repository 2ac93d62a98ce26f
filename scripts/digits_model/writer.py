"""Quantise the trained network and write it as TFLite, with the schema module that LiteRT ships.

Quantisation follows the TFLite 8-bit specification: activations per tensor and asymmetric, weights symmetric
(per output channel in convolutions), bias int32 with scale input x weights. Operator versions stay low enough
for tflite-runtime 2.14.
"""

from dataclasses import dataclass

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from scripts.digits_model.network import Array, Network

FILE_IDENTIFIER = b"TFL3"
PADDING_SAME = 0
RELU = schema.ActivationFunctionType.RELU
NO_ACTIVATION = schema.ActivationFunctionType.NONE


@dataclass(frozen=True)
class Quantisation:
    """real = scale x (stored - zero_point); several scales run along `axis`."""

    scale: NDArray[np.float32]
    zero_point: int = 0
    axis: int = 0


class GraphWriter:
    """Collects tensors and operators of one graph and packs them into a flatbuffer."""

    def __init__(self) -> None:
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.buffers = [schema.BufferT()]  # buffer 0 is the empty one by convention
        self._model.operatorCodes = []
        self._graph = schema.SubGraphT()
        self._graph.name = "main"
        self._graph.tensors, self._graph.operators = [], []

    def tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        quantisation: Quantisation | None,
        data: NDArray[np.generic] | None = None,
    ) -> int:
        """Add an int8 activation, or a constant of the data's own type, and return its index."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, np.array(shape, np.int32), 0
        tensor.type = schema.TensorType.INT8 if data is None or data.dtype == np.int8 else schema.TensorType.INT32
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            tensor.buffer = len(self._model.buffers)
            self._model.buffers.append(buffer)
        if quantisation is not None:
            parameters = schema.QuantizationParametersT()
            parameters.scale = np.atleast_1d(quantisation.scale).astype(np.float32)
            parameters.zeroPoint = np.full(len(parameters.scale), quantisation.zero_point, np.int64)
            parameters.quantizedDimension = quantisation.axis
            tensor.quantization = parameters
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def operator(
        self, kind: int, version: int, inputs: list[int], output: int, options: object, options_type: int
    ) -> None:
        """Append one built-in operator."""
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = kind
        code.version = version
        self._model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self._model.operatorCodes) - 1
        operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
        operator.builtinOptions, operator.builtinOptionsType = options, options_type
        self._graph.operators.append(operator)

    def finish(self, source: int, sink: int, description: str) -> bytes:
        """Name the graph's input and output and pack the file."""
        self._graph.inputs, self._graph.outputs = np.array([source], np.int32), np.array([sink], np.int32)
        self._model.subgraphs = [self._graph]
        self._model.description = description
        self._model.signatureDefs = [_signature(source, sink)]
        builder = flatbuffers.Builder(1 << 15)
        builder.Finish(self._model.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())


def _signature(source: int, sink: int) -> object:
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    maps = []
    for name, index in (("image", source), ("probabilities", sink)):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        maps.append([entry])
    signature.inputs, signature.outputs = maps
    return signature


def _activation(values: Array) -> Quantisation:
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    scale = (high - low) / 255
    return Quantisation(np.float32(scale).reshape(1), round(-128 - low / scale))


def _weights(values: Array, *, per_channel: bool) -> tuple[NDArray[np.int8], Quantisation]:
    axes = tuple(range(1, values.ndim)) if per_channel else None
    scale = np.atleast_1d(np.abs(values).max(axis=axes) / 127).astype(np.float32)
    shaped = scale.reshape(-1, *(1,) * (values.ndim - 1))
    return np.clip(np.round(values / shaped), -127, 127).astype(np.int8), Quantisation(scale)


def quantised_model(network: Network, calibration: Array) -> bytes:
    """The network as an int8 TFLite file; activation ranges are those seen on the calibration pictures."""
    values = network.activations(calibration)
    ranges = [Quantisation(np.array([1 / 255], np.float32), -128), *(_activation(v) for v in values[1:])]
    writer = GraphWriter()
    x = source = writer.tensor("image", (1, *values[0].shape[1:]), ranges[0])
    for i, conv in enumerate(network.convs):
        y = writer.tensor(f"conv{i}", (1, *values[i + 1].shape[1:]), ranges[i + 1])
        options = schema.Conv2DOptionsT()
        options.padding, options.fusedActivationFunction = PADDING_SAME, RELU
        options.strideW = options.strideH = conv.stride
        options.dilationWFactor = options.dilationHFactor = 1
        constants = _constants(writer, f"conv{i}", conv.weights.value, conv.bias.value, ranges[i], per_channel=True)
        writer.operator(
            schema.BuiltinOperator.CONV_2D, 3, [x, *constants], y, options, schema.BuiltinOptions.Conv2DOptions
        )
        x = y
    x = _logits(writer, x, network, ranges[3], ranges[5])
    sink = writer.tensor("probabilities", (1, 10), Quantisation(np.array([1 / 256], np.float32), -128))
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    writer.operator(schema.BuiltinOperator.SOFTMAX, 2, [x], sink, softmax, schema.BuiltinOptions.SoftmaxOptions)
    return writer.finish(source, sink, "edgerun digits: 8x8 grey pictures of handwritten digits, int8")


def _constants(
    writer: GraphWriter, name: str, weights: Array, bias: Array, source: Quantisation, *, per_channel: bool
) -> list[int]:
    stored, quantisation = _weights(weights, per_channel=per_channel)
    bias_scale = (quantisation.scale * source.scale).astype(np.float32)
    stored_bias = np.round(bias / bias_scale).astype(np.int32)
    return [
        writer.tensor(f"{name}/weights", stored.shape, quantisation, stored),
        writer.tensor(f"{name}/bias", stored_bias.shape, Quantisation(bias_scale), stored_bias),
    ]


def _logits(writer: GraphWriter, x: int, network: Network, source: Quantisation, sink: Quantisation) -> int:
    constants = _constants(writer, "logits", network.weights.value, network.bias.value, source, per_channel=False)
    y = writer.tensor("logits", (1, 10), sink)
    options = schema.FullyConnectedOptionsT()  # flattens [1, 4, 4, 32] by itself
    options.fusedActivationFunction = NO_ACTIVATION
    kind = schema.BuiltinOperator.FULLY_CONNECTED
    writer.operator(kind, 4, [x, *constants], y, options, schema.BuiltinOptions.FullyConnectedOptions)
    return y
