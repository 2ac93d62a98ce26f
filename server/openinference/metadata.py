"""What the protocol says of a model, made from the model's description."""

from collections.abc import Sequence

from contract.models import ModelDescription, TensorInfo
from contract.openinference import ConfigTensor, ModelConfig, ModelMetadata, TensorMetadata
from contract.tensors import DATATYPES, MODEL_VERSION, batch_limit, tensor_names

PLATFORMS = {"tflite": "tensorflow_tflite", "openvino": "openvino_ir", "onnx": "onnx_onnxv1"}
"""`<project>_<format>`, as the protocol wants it; `onnx_onnxv1` is its own name."""
BACKENDS = {"tflite": "tensorflowlite", "openvino": "openvino", "onnx": "onnxruntime"}
"""Triton's backends for these formats."""
UNKNOWN_DATATYPE = "INVALID"
"""For tensors that the protocol has no datatype for; Triton's word."""
ANY_SIZE = -1


def model_metadata(description: ModelDescription, max_body_bytes: int) -> ModelMetadata:
    """Inputs and outputs with datatypes and shapes; -1 is a dimension for a batch."""
    batched = _batch_limit(description, max_body_bytes) > 1

    def described(tensors: Sequence[TensorInfo], prefix: str) -> list[TensorMetadata]:
        names = tensor_names((tensor.name for tensor in tensors), prefix)
        return [
            TensorMetadata(
                name=name,
                datatype=DATATYPES.get(tensor.dtype, UNKNOWN_DATATYPE),
                shape=[ANY_SIZE, *tensor.shape[1:]] if batched else tensor.shape,
            )
            for name, tensor in zip(names, tensors, strict=True)
        ]

    return ModelMetadata(
        name=description.name,
        versions=[MODEL_VERSION],
        platform=PLATFORMS[description.format],
        inputs=described(description.inputs, "input"),
        outputs=described(description.outputs, "output"),
    )


def model_config(description: ModelDescription, max_body_bytes: int) -> ModelConfig:
    """The configuration as Triton would have it for this model."""
    limit = _batch_limit(description, max_body_bytes)

    def described(tensors: Sequence[TensorInfo], prefix: str) -> list[ConfigTensor]:
        names = tensor_names((tensor.name for tensor in tensors), prefix)
        return [
            ConfigTensor(
                name=name,
                data_type=f"TYPE_{DATATYPES.get(tensor.dtype, UNKNOWN_DATATYPE)}",
                dims=tensor.shape[1:] if limit > 1 else tensor.shape,
            )
            for name, tensor in zip(names, tensors, strict=True)
        ]

    return ModelConfig(
        name=description.name,
        platform=PLATFORMS[description.format],
        backend=BACKENDS[description.format],
        max_batch_size=limit if limit > 1 else 0,
        input=described(description.inputs, "input"),
        output=described(description.outputs, "output"),
    )


def _batch_limit(description: ModelDescription, max_body_bytes: int) -> int:
    return batch_limit(description.inputs, description.outputs, max_body_bytes)
