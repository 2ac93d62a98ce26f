"""Every wire type survives the wire."""

import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

import contract
from contract.classify import (
    BatchReply,
    ClassifyOptions,
    ClassifyReply,
    ModelRef,
    PictureInfo,
    PictureReply,
    Prediction,
    RuntimeUsed,
    StageTimes,
)
from contract.codes import ErrorCode
from contract.errors import Problem
from contract.info import (
    AgentBuild,
    AgentInfo,
    AllowedResources,
    DeviceInfo,
    Health,
    Limits,
    RuntimeInfo,
    SecurityInfo,
)
from contract.models import (
    BlobReceipt,
    DefaultModel,
    ModelDescription,
    ModelList,
    ModelManifest,
    Preprocessing,
    RuntimeCheck,
    TensorInfo,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DIGEST = "sha256:" + "0123456789abcdef" * 4

PROBLEM = Problem(
    type="urn:edgerun:problem:not_an_image", title="t", status=415, detail="d", code=ErrorCode.NOT_AN_IMAGE
)
TIMES = StageTimes(queue=0.1, load=20.0, decode=4.5, preprocess=2.2, inference=3.3, postprocess=0.1, total=30.5)
REPLY = ClassifyReply(
    request_id="abcdefgh",
    model=ModelRef(name="digits", digest=DIGEST),
    runtime=RuntimeUsed(name="litert", version="2.3.0", device="CPU", delegate=None, threads=2),
    predictions=[Prediction(index=3, label="3", score=0.99), Prediction(index=4, label=None, score=0.01)],
    scores="softmax",
    picture=PictureInfo(
        format="JPEG", width=8, height=9, decoded_width=4, decoded_height=4, decode="reduced", exif_orientation=6
    ),
    timing_ms=TIMES,
)
TENSOR = TensorInfo(name="image", shape=[1, 8, 8, 1], dtype="int8", scale=0.5, zero_point=-128)
PER_CHANNEL = Preprocessing(input_range=[(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
DESCRIPTION = ModelDescription(
    name="digits",
    digest=DIGEST,
    format="tflite",
    size_bytes=7,
    embedded=False,
    inputs=[TENSOR],
    outputs=[TENSOR],
    classifier=True,
    class_count=10,
    label_count=10,
    preprocessing=PER_CHANNEL,
    output_kind="logits",
    runtimes={"litert": RuntimeCheck(ok=True, load_ms=1.0, first_inference_ms=2.0)},
    uploaded_at=NOW,
)
LIMITS = Limits(
    image_bytes=1,
    image_pixels=2,
    model_bytes=3,
    pictures_per_request=4,
    queue_length=5,
    request_timeout_s=6.0,
    worker_memory_bytes=7,
    connections=8,
)
BUILD = AgentBuild(
    version="0.1.0", python="3.11.2", api_versions=["v1"], features=["classify"], started_at=NOW, uptime_s=1.5
)
DEVICE = DeviceInfo(name="pi4", type=None, machine="aarch64", cpu_model=None, cpu_count=4, memory_bytes=None)
ALLOWED = AllowedResources(cpus=1.5, cpus_source="cgroup", memory_bytes=None, memory_source="unknown")
SECURITY = SecurityInfo(token_required=True, tls=True, certificate_sha256="ab")
RUNTIME = RuntimeInfo(name="litert", installed=True, version="2.3.0", default=True, delegates=["XNNPACK"], workers=2)

EXAMPLES: list[BaseModel] = [
    PROBLEM,
    TIMES,
    *(REPLY, REPLY.model, REPLY.runtime, REPLY.predictions[1], REPLY.picture),
    ClassifyOptions(top_k=3, runtime="tflite"),
    PictureReply(name="a.jpg", result=REPLY),
    BatchReply(results=[PictureReply(name="a.jpg", problem=PROBLEM)]),
    *(TENSOR, PER_CHANNEL, DESCRIPTION, DESCRIPTION.runtimes["litert"]),
    ModelList(models=[DESCRIPTION], default="digits", default_chosen=True),
    ModelManifest(model=DIGEST, labels=DIGEST, preprocessing=Preprocessing(input_range=(-1.0, 1.0))),
    DefaultModel(name="digits"),
    BlobReceipt(digest=DIGEST, size_bytes=7, created=True),
    *(LIMITS, BUILD, DEVICE, ALLOWED, SECURITY, RUNTIME, Health(status="live")),
    AgentInfo(
        agent=BUILD,
        device=DEVICE,
        allowed=ALLOWED,
        runtimes=[RUNTIME],
        workers=2,
        threads=None,
        default_model="digits",
        limits=LIMITS,
        security=SECURITY,
    ),
]


def wire_types() -> Iterator[type[BaseModel]]:
    for module in pkgutil.iter_modules(contract.__path__):
        for _, member in inspect.getmembers(importlib.import_module(f"contract.{module.name}"), inspect.isclass):
            if issubclass(member, BaseModel) and member.__module__.startswith("contract."):
                yield member


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_a_wire_type_survives_the_wire(example: BaseModel) -> None:
    """What was written as JSON is read back equal."""
    assert type(example).model_validate_json(example.model_dump_json()) == example


def test_every_wire_type_has_an_example() -> None:
    """A type added without a round trip is noticed here."""
    assert {kind.__name__ for kind in wire_types()} == {type(example).__name__ for example in EXAMPLES}


def test_a_newer_agents_code_is_kept() -> None:
    """An error code that this client does not know is a plain string, not a failure."""
    document: dict[str, Any] = {**json.loads(PROBLEM.model_dump_json()), "code": "of_tomorrow"}
    assert Problem.model_validate(document).code == "of_tomorrow"


@pytest.mark.parametrize("name", ["", "Upper", "a" * 65, "../etc", ".hidden", "a b"])
def test_model_names_are_safe(name: str) -> None:
    """A name can be a file's name and part of a path without escaping."""
    with pytest.raises(ValueError, match="name"):
        DefaultModel(name=name)
