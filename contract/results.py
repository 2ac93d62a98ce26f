"""Results of jobs: what was measured, under which conditions, and whether it can be trusted."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

from contract.classify import Prediction
from contract.devices import Selection
from contract.models import Digest, ModelName
from contract.specs import BenchmarkSpec, CommandSpec, ProfileSpec
from contract.validity import Validity

RESULT_SCHEMA_VERSION = 1


class LatencySummary(BaseModel):
    """Statistics of latencies in milliseconds. A percentile the sample cannot support is None and says why."""

    count: int
    mean_ms: float
    std_ms: float | None
    """Sample standard deviation; None for one sample."""
    min_ms: float
    p50_ms: float
    p90_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float
    median_interval_ms: tuple[float, float] | None
    """95 % confidence interval of the median, from order statistics; None below six samples."""
    unsupported: dict[str, str] = {}
    """How many samples each missing percentile needs."""


class Window(BaseModel):
    """A stretch of the timed phase."""

    start_s: float
    """Since the timed phase began."""
    end_s: float
    iterations: int
    fps: float
    p50_ms: float
    max_ms: float


class Probe(BaseModel):
    """A fixed piece of work, timed before and after the measurement, without any sensor."""

    before_ms: float
    after_ms: float | None = None


class Conditions(BaseModel):
    """Under which circumstances something was measured. Missing is None."""

    device_name: str
    device_type: str | None
    machine: str
    cpu_model: str | None
    kernel: str
    python: str
    agent_version: str
    agent_revision: str | None
    """The revision as `git describe` gives it, where the agent runs from a checkout."""
    cpus_allowed: float
    memory_allowed_bytes: int | None
    governor: str | None
    load_average_before: float | None
    cpu_temperature_before_celsius: float | None
    cpu_temperature_after_celsius: float | None


class BatchMode(StrEnum):
    """How a batch was run."""

    NATIVE = "native"
    """The graph takes it as it is."""
    PATCHED = "patched"
    """The graph pinned its batch in the constant of a RESHAPE, which was changed."""
    LOOP = "loop"
    """The graph takes one frame only: a batch is so many inferences one after the other."""


class BenchmarkResult(BaseModel):
    """What a benchmark found. Latencies are those of one batch; frames per second count every frame."""

    kind: Literal["benchmark"] = "benchmark"
    schema_version: int = RESULT_SCHEMA_VERSION
    complete: bool
    """False when it was cut off: then everything holds for what was measured until then."""
    spec: BenchmarkSpec
    model: ModelName
    model_digest: Digest
    runtime: str
    runtime_version: str
    device: str
    """What ran the timed inferences; several by comma, in the order of their use."""
    selection: Selection | None = None
    """None from agents that knew the CPU only."""
    precision: str | None = None
    """The precision of most weighted operators, as the runtime ran them; None where it does not tell."""
    loaded_from_cache: bool | None = None
    """None for runtimes that keep no compiled models, and where no cache was asked for."""
    delegate: str | None
    threads: int
    streams: int
    batch: int
    batch_mode: BatchMode
    batch_detail: str | None = None
    load_ms: float
    """Milliseconds from the bytes of the model to an interpreter that is ready."""
    first_inference_ms: float
    first_inference_latency_ms: float
    """Load plus first inference: what a user waits for the first answer of a cold program."""
    warm_up_ms: list[float]
    iterations: int
    frames: int
    """iterations x batch."""
    duration_s: float
    """The length of the timed phase."""
    fps: float | None
    """frames / duration_s; None when nothing was timed."""
    latency: LatencySummary | None
    samples_ms: list[float]
    """Every timed inference; where there were more than half a million, every k-th (`iterations` counts all)."""
    windows: list[Window]
    predictions: list[Prediction] = []
    """The classes of the first frame, where the model is a classifier: what was measured really worked."""
    probe: Probe | None
    conditions: Conditions
    validity: Validity


class OperatorProfile(BaseModel):
    """One operator as it was executed. A delegate may merge, split or rename those of the file."""

    number: int
    """Its number in the order of execution."""
    name: str
    """The name that the runtime gives it."""
    delegated: bool
    kernel: str | None = None
    """What computes it, where the runtime tells."""
    operator: int | None
    """The operator of the file it stands for; None where a delegate made it up."""
    kind: str | None
    """TFLite's name of that operator."""
    output: str | None
    output_shape: list[int] | None
    output_dtype: str | None
    calls: int
    mean_us: float
    std_us: float | None
    p50_us: float
    p95_us: float | None
    """None where the sample does not support it."""
    share: float
    """Its share of the time of the whole graph, 0 to 1."""
    cumulative_share: float
    """The share of it and all that take longer."""
    macs: int | None
    parameters: int | None
    weight_bytes: int | None
    activation_bytes: int | None
    """The bytes of its outputs."""
    live_bytes: int | None = None
    """Activations that must be in memory while it runs, by the file."""
    gflops: float | None
    """Reached: two operations a multiply-accumulate, over the mean time; None where that is too short to tell."""


class ModelFacts(BaseModel):
    """What a model takes, by its file and by the process that loaded it."""

    macs: int | None = None
    parameters: int | None = None
    weight_bytes: int | None = None
    peak_activation_bytes: int | None = None
    """Largest sum of activations that live at once, by the file: what an arena needs at least."""
    peak_operator: int | None = None
    """Where that is. These five are None for files that are not TFLite."""
    arena_bytes: int | None = None
    """The arena that an interpreter with built-in kernels plans; what a delegate needs is not known."""
    resident_before_load_bytes: int | None = None
    peak_resident_bytes: int | None = None
    """Largest resident memory of the process until the model was loaded and had run once, interpreter and all."""


class ProfileResult(ModelFacts):
    """Where the time of an inference goes."""

    kind: Literal["profile"] = "profile"
    schema_version: int = RESULT_SCHEMA_VERSION
    complete: bool
    spec: ProfileSpec
    model: ModelName
    model_digest: Digest
    runtime: str
    runtime_version: str
    method: str
    """How the operators were timed: `litert-native`, `single-operator`, `openvino-perf-count`, `onnxruntime-trace`."""
    method_detail: str | None = None
    """Why it was not the native profiler, or what else there is to say."""
    device: str = "CPU"
    precision: str | None = None
    """The precision of most weighted operators, where the runtime tells."""
    threads: int
    load_ms: float
    first_inference_ms: float
    iterations: int
    latency: LatencySummary | None
    """The latency of the whole graph, with the profiler on."""
    plain_p50_ms: float | None
    """The latency of the whole graph, with the profiler off: what profiling itself costs is the difference."""
    operators: list[OperatorProfile]
    explained: float | None
    """Sum of the operators over the whole graph, both with the profiler on; the rest is unattributed."""
    unattributed_us: float | None
    windows: list[Window]
    samples_ms: list[float]
    probe: Probe | None
    conditions: Conditions
    validity: Validity


class ArtifactInfo(BaseModel):
    """A file that a command left in `$OUTPUT`."""

    path: str
    """The path below `$OUTPUT`, escaped as `contract.filenames` says."""
    size_bytes: int


class CommandResult(BaseModel):
    """How a program ended."""

    kind: Literal["command"] = "command"
    schema_version: int = RESULT_SCHEMA_VERSION
    complete: bool
    spec: CommandSpec
    exit_code: int | None
    """None when it was ended by a signal, or never."""
    signal: str | None = None
    duration_s: float
    cpu_s: float | None
    max_resident_bytes: int | None
    left_running: int = 0
    """Processes that the program left running when it ended; they were ended too."""
    stdout_bytes: int
    stderr_bytes: int
    artifacts: list[ArtifactInfo]
    artifacts_left_out: list[str] = []
    """What the program left and the agent did not keep, and why."""
    probe: Probe | None
    conditions: Conditions
    validity: Validity


AnyResult = BenchmarkResult | ProfileResult | CommandResult
JobResult = Annotated[AnyResult, Field(discriminator="kind")]
job_result: TypeAdapter[AnyResult] = TypeAdapter(JobResult)
