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
from contract import openinference
from contract.classify import (
    BatchReply,
    ClassifyOptions,
    ClassifyReply,
    DecodeMode,
    ImageInfo,
    ImageOptions,
    ImageReply,
    ModelRef,
    Prediction,
    RuntimeUsed,
    StageTimes,
)
from contract.codes import ErrorCode
from contract.detect import (
    Box,
    DetectBatchReply,
    DetectImageReply,
    Detection,
    DetectOptions,
    DetectReply,
)
from contract.devices import DeviceEvent, DeviceStep, Rejection, RuntimeDevice, Selection
from contract.errors import Problem
from contract.info import (
    AgentBuild,
    AgentInfo,
    AllowedResources,
    DeviceInfo,
    Health,
    Limits,
    RuntimeInfo,
    RuntimeList,
    SecurityInfo,
)
from contract.jobs import (
    BenchmarkRequest,
    CommandRequest,
    Job,
    JobError,
    JobList,
    JobState,
    JobStatus,
    JobSummary,
    ProfileRequest,
    Progress,
)
from contract.lease import LeaseTime
from contract.models import (
    BlobReceipt,
    DamagedModel,
    DefaultModel,
    DetectionReading,
    ModelDescription,
    ModelList,
    ModelManifest,
    Preprocessing,
    RuntimeCheck,
    SyntheticModel,
    SyntheticModels,
    TensorInfo,
)
from contract.results import (
    ArtifactInfo,
    BatchMode,
    BenchmarkResult,
    CommandResult,
    Conditions,
    LatencySummary,
    ModelFacts,
    OperatorProfile,
    Probe,
    ProfileResult,
    Window,
)
from contract.session import Session, SessionCode, SessionRequest
from contract.specs import BenchmarkSpec, CommandSpec, Hint, ImageInput, Kernels, ProfileSpec, RandomInput
from contract.tasks import BoxCoordinates, DetectionForm, Task
from contract.telemetry import MetricKind, Phase, SamplerQuality, SeriesInfo, Telemetry, TelemetrySample
from contract.tokens import Access, AuditEntry, AuditPage, NewToken, Scope, TokenInfo, TokenList, TokenRequest
from contract.validity import CheckCode, Finding, Validity, Verdict

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
    image=ImageInfo(
        format="JPEG", width=8, height=9, decoded_width=4, decoded_height=4, decode="reduced", exif_orientation=6
    ),
    timing_ms=TIMES,
)
DETECTED = DetectReply(
    request_id=REPLY.request_id,
    model=REPLY.model,
    runtime=REPLY.runtime,
    detections=[Detection(index=3, label=None, score=0.5, box_px=Box(left=1.5, top=2, right=3, bottom=4))],
    image=REPLY.image,
    timing_ms=REPLY.timing_ms.model_copy(update={"suppression": 0.2}),
)
TENSOR = TensorInfo(name="image", shape=[1, 8, 8, 1], dtype="int8", scale=0.5, zero_point=-128)
PER_CHANNEL = Preprocessing(input_range=[(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
DAMAGED = DamagedModel(name="mine", reason="a file of it is missing")
DESCRIPTION = ModelDescription(
    name="digits",
    digest=DIGEST,
    format="tflite",
    size_bytes=7,
    embedded=False,
    inputs=[TENSOR],
    outputs=[TENSOR],
    task=Task.CLASSIFICATION,
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
    images_per_request=4,
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
IMAGES = ImageInput(digests=[DIGEST])
SPEC = BenchmarkSpec(model="digits", hint=Hint.LATENCY, duration_s=2.5, input=IMAGES)
PROGRAM = CommandSpec(argv=["sh", "-c", "true"], env={"A": "b"}, bundle=DIGEST)
CONDITIONS = Conditions(
    device_name="pi4",
    device_type=None,
    machine="aarch64",
    cpu_model=None,
    kernel="6.1",
    python="3.11.2",
    agent_version="0.1.0",
    agent_revision=None,
    cpus_allowed=4.0,
    memory_allowed_bytes=None,
    governor="ondemand",
    load_average_before=0.5,
    cpu_temperature_before_celsius=None,
    cpu_temperature_after_celsius=61.5,
)
VALIDITY = Validity(
    verdict=Verdict.SUSPECT,
    reasons=[Finding(code=CheckCode.NOISY, verdict=Verdict.SUSPECT, detail="it varies")],
    checked=[CheckCode.NOISY],
    not_checkable={CheckCode.DRIFT: "too short"},
)
LATENCY = LatencySummary(
    count=7,
    mean_ms=2.0,
    std_ms=0.5,
    min_ms=1.0,
    p50_ms=2.0,
    p90_ms=None,
    p95_ms=None,
    p99_ms=None,
    max_ms=3.0,
    median_interval_ms=(1.5, 2.5),
    unsupported={"p90": "needs 64 samples, there are 7"},
)
WINDOW = Window(start_s=0.0, end_s=1.0, iterations=7, fps=7.0, p50_ms=2.0, max_ms=3.0)
RUNTIME_DEVICE = RuntimeDevice(name="CPU", available=True, detail="the CPU")
REJECTION = Rejection(runtime="openvino", device="GPU", reason="libOpenCL.so.1 is missing")
DEVICE_EVENT = DeviceEvent(at_s=0.5, step=DeviceStep.HANDED_OVER, runtime="litert", device="GPU")
SELECTION = Selection(
    requested="AUTO",
    reason="litert on GPU",
    rejected=[REJECTION],
    events=[DEVICE_EVENT],
    iterations={"litert CPU": 1, "litert GPU": 6},
)
MEASURED = BenchmarkResult(
    complete=True,
    spec=SPEC,
    model="digits",
    model_digest=DIGEST,
    runtime="litert",
    runtime_version="2.3.0",
    device="CPU",
    selection=SELECTION,
    precision="f32",
    loaded_from_cache=False,
    delegate=None,
    threads=2,
    streams=1,
    batch=1,
    batch_mode=BatchMode.LOOP,
    load_ms=1.0,
    first_inference_ms=2.0,
    first_inference_latency_ms=3.0,
    warm_up_ms=[1.0],
    iterations=7,
    frames=7,
    duration_s=1.0,
    fps=7.0,
    latency=LATENCY,
    samples_ms=[2.0],
    windows=[WINDOW],
    predictions=REPLY.predictions,
    probe=Probe(before_ms=50.0),
    conditions=CONDITIONS,
    validity=VALIDITY,
)
RAN = CommandResult(
    complete=False,
    spec=PROGRAM,
    exit_code=None,
    signal="SIGTERM",
    duration_s=1.0,
    cpu_s=None,
    max_resident_bytes=None,
    stdout_bytes=1,
    stderr_bytes=0,
    artifacts=[ArtifactInfo(path="a/b", size_bytes=3)],
    probe=None,
    conditions=CONDITIONS,
    validity=VALIDITY,
)
OPERATOR = OperatorProfile(
    number=0,
    name="CONV_2D",
    delegated=False,
    operator=0,
    kind="CONV_2D",
    output="a",
    output_shape=[1, 2],
    output_dtype="int8",
    calls=7,
    mean_us=2.0,
    std_us=None,
    p50_us=2.0,
    p95_us=None,
    share=0.5,
    cumulative_share=0.75,
    macs=1,
    parameters=2,
    weight_bytes=3,
    activation_bytes=4,
    gflops=None,
)
PROFILED = ProfileResult(
    complete=True,
    spec=ProfileSpec(kernels=Kernels.BUILTIN),
    model="digits",
    model_digest=DIGEST,
    runtime="litert",
    runtime_version="2.3.0",
    method="litert-native",
    threads=1,
    load_ms=1.0,
    first_inference_ms=2.0,
    iterations=7,
    latency=LATENCY,
    plain_p50_ms=None,
    operators=[OPERATOR],
    explained=0.5,
    unattributed_us=2.0,
    macs=1,
    parameters=2,
    weight_bytes=3,
    peak_activation_bytes=4,
    peak_operator=0,
    windows=[WINDOW],
    samples_ms=[2.0],
    probe=None,
    conditions=CONDITIONS,
    validity=VALIDITY,
)
JOB = Job(
    id="0123",
    number=7,
    request=BenchmarkRequest(spec=SPEC, after_restart="requeue"),
    state=JobState.FAILED,
    created_at=NOW,
    progress=Progress(phase="timed", done=3, total=7),
    error=JobError(code="timeout", detail="d"),
)
SUMMARY = JobSummary(id="0123", number=7, kind="command", title="sh", state=JobState.QUEUED, position=1, created_at=NOW)
SERIES = SeriesInfo(metric="power_watts", labels={"rail": "VDD_IN"}, unit="watts", source="/sys/x")
TELEMETRY = Telemetry(
    interval_s=1.0,
    started_at=NOW,
    t_s=[0.0, 1.0],
    series={'power_watts{rail="VDD_IN"}': [1.0, None]},
    info={'power_watts{rail="VDD_IN"}': SERIES},
    unavailable={"gpu_temperature_celsius": "no such sensor"},
    phases=[Phase(name="timed", start_s=0.5)],
    quality=SamplerQuality(samples=2, missed=0, late_s_max=0.001, self_cpu_ratio=0.001),
)
SAMPLE = TelemetrySample(
    at=NOW,
    t_s=1.0,
    interval_s=1.0,
    values={"load_average_1m": None},
    info={"load_average_1m": SeriesInfo(metric="load", unit="1", kind=MetricKind.GAUGE, source="/proc/loadavg")},
    unavailable={},
)

TOKEN = TokenInfo(name="grafana", scopes=[Scope.READ], created_at=NOW, expires_at=NOW, expired=True, last_used_at=NOW)
CHANGE = AuditEntry(number=7, at=NOW, token=None, address="192.0.2.7", action="login.refused", count=3)

COUNTED = openinference.DurationStatistic(count=3, ns=4_000)
FIGURES = openinference.ModelStatistics(
    name="digits",
    version="1",
    last_inference=1_700_000_000_000,
    inference_count=8,
    execution_count=1,
    inference_stats=openinference.InferenceStatistics(
        success=COUNTED,
        fail=COUNTED,
        queue=COUNTED,
        compute_input=COUNTED,
        compute_infer=COUNTED,
        compute_output=COUNTED,
    ),
)
OF_TENSOR = openinference.TensorMetadata(name="image", datatype="UINT8", shape=[-1, 8, 8, 1])
CONFIGURED = openinference.ConfigTensor(name="image", data_type="TYPE_UINT8", dims=[8, 8, 1])
OPEN_INFERENCE: list[BaseModel] = [
    openinference.ProtocolError(error="no such model"),
    openinference.ServerLive(live=True),
    openinference.ServerReady(ready=False),
    openinference.ServerMetadata(name="edgerun", version="0.1.0", extensions=["statistics"]),
    openinference.ModelReady(name="digits", ready=True),
    *(OF_TENSOR, CONFIGURED, COUNTED, FIGURES, FIGURES.inference_stats),
    openinference.ModelMetadata(name="a", versions=["1"], platform="b", inputs=[OF_TENSOR], outputs=[OF_TENSOR]),
    openinference.ModelConfig(
        name="a", platform="b", backend="c", max_batch_size=64, input=[CONFIGURED], output=[CONFIGURED]
    ),
    openinference.IndexRequest(ready=True),
    openinference.IndexEntry(name="a", version="1", state="UNAVAILABLE", reason="unloaded"),
    openinference.RepositoryRequest(parameters={"unload_dependents": False}),
    openinference.StatisticsReply(model_stats=[FIGURES]),
]
EXAMPLES: list[BaseModel] = [
    *OPEN_INFERENCE,
    *(TOKEN, TokenList(tokens=[TOKEN]), NewToken(**TOKEN.model_dump(), token="a" * 43), CHANGE),
    TokenRequest(name="ci", scopes=[Scope.RUN, Scope.INFER], expires_in_s=3600.0),
    Access(token="ci", scopes=[Scope.RUN], expires_at=NOW, agent_version="0.1.0", features=["jobs"]),
    AuditPage(entries=[CHANGE], next=7),
    LeaseTime(left_s=3600.5),
    ModelFacts(macs=1000, parameters=20, weight_bytes=80, peak_activation_bytes=64, peak_operator=1, arena_bytes=128),
    SyntheticModels(models=[SyntheticModel(name="a", title="b", written=True)]),
    SyntheticModel(name="a", title="b", written=False),
    *(SPEC, PROGRAM, IMAGES, RandomInput(seed=3), CONDITIONS, VALIDITY, VALIDITY.reasons[0], LATENCY, WINDOW),
    *(RuntimeList(runtimes=[RUNTIME]), RUNTIME_DEVICE, REJECTION, DEVICE_EVENT, SELECTION),
    *(PROFILED, OPERATOR, PROFILED.spec, ProfileRequest(spec=PROFILED.spec)),
    *(MEASURED, RAN, RAN.artifacts[0], Probe(before_ms=1.0), JOB, JobError(code="killed", detail="d")),
    *(Progress(phase="load"), BenchmarkRequest(spec=SPEC), CommandRequest(spec=PROGRAM)),
    *(SUMMARY, JobStatus(**SUMMARY.model_dump(exclude={"kind", "name", "title"}))),
    JobList(jobs=[SUMMARY], next=7, counts={JobState.FAILED: 1}, evicted=0, stored_bytes=1, quota_bytes=2),
    *(SERIES, TELEMETRY, TELEMETRY.phases[0], TELEMETRY.quality, SAMPLE),
    PROBLEM,
    TIMES,
    *(REPLY, REPLY.model, REPLY.runtime, REPLY.predictions[1], REPLY.image),
    ClassifyOptions(top_k=3, runtime="tflite"),
    ImageOptions(runtime="litert", decode=DecodeMode.FASTEST),
    DetectOptions(min_score=0.5, iou_threshold=0.6, max_detections=7),
    *(DETECTED, DETECTED.detections[0], DETECTED.detections[0].box_px),
    DetectImageReply(name="a.jpg", result=DETECTED),
    DetectBatchReply(results=[DetectImageReply(name="a.jpg", problem=PROBLEM)]),
    DetectionReading(form=DetectionForm.YOLO_V5, coordinates=BoxCoordinates.PIXELS),
    ImageReply(name="a.jpg", result=REPLY),
    BatchReply(results=[ImageReply(name="a.jpg", problem=PROBLEM)]),
    *(TENSOR, PER_CHANNEL, DESCRIPTION, DESCRIPTION.runtimes["litert"]),
    DAMAGED,
    ModelList(models=[DESCRIPTION], damaged=[DAMAGED], default="digits", default_chosen=True),
    ModelManifest(model=DIGEST, labels=DIGEST, preprocessing=Preprocessing(input_range=(-1.0, 1.0))),
    DefaultModel(name="digits"),
    BlobReceipt(digest=DIGEST, size_bytes=7, created=True),
    *(SessionCode(code="abc", expires_in_s=300.0), SessionRequest(code="abc"), Session(expires_at=NOW)),
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
    public = {kind.__name__ for kind in wire_types() if not kind.__name__.startswith("_")}
    assert public == {type(example).__name__ for example in EXAMPLES}


def test_a_newer_agents_code_is_kept() -> None:
    """An error code that this client does not know is a plain string, not a failure."""
    document: dict[str, Any] = {**json.loads(PROBLEM.model_dump_json()), "code": "of_tomorrow"}
    assert Problem.model_validate(document).code == "of_tomorrow"


@pytest.mark.parametrize("name", ["", "Upper", "a" * 65, "../etc", ".hidden", "a b"])
def test_model_names_are_safe(name: str) -> None:
    """A name can be a file's name and part of a path without escaping."""
    with pytest.raises(ValueError, match="name"):
        DefaultModel(name=name)


def test_what_was_stored_when_images_were_called_pictures_is_read() -> None:
    """Saved runs, results and queued jobs of before."""
    digest = "sha256:" + "0" * 64
    stored = {"input": {"kind": "pictures", "digests": [digest]}}
    assert BenchmarkSpec.model_validate(stored).input == ImageInput(digests=[digest])
