"""Jobs: what is asked, and what state it is in; contract.results has what comes back."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from contract.devices import DEVICE_PATTERN, Precision
from contract.models import DIGEST_PATTERN
from contract.telemetry import DEFAULT_INTERVAL_S, INTERVAL_MAX_S, INTERVAL_MIN_S
from contract.text import Argument, Name, VariableName
from contract.validity import Verdict

DEFAULT_ITERATIONS = 1000
BATCH_MAX = 256
ITERATIONS_MAX = 1_000_000
PROFILE_ITERATIONS_MAX = 100_000
TIMEOUT_MAX_S = 7 * 24 * 3600.0
PRIORITY_LIMIT = 100
PAGE_MAX = 500
TITLE_MAX_CHARS = 120
NUMBER_MAX = (1 << 63) - 1
"""The largest number that an agent's list of jobs takes."""
COMMAND_BYTES_MAX = 512 * 1024
"""Words and variables of a command together."""

STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
"""What is asked for: nothing unknown, no number that is none."""
Seed = Annotated[int, Field(ge=0, le=NUMBER_MAX)]
JOB_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"

JobId = Annotated[str, Field(pattern=JOB_ID_PATTERN)]
"""Agents make it; whoever reads it may use it in a path and a URL."""
Digest = Annotated[str, Field(pattern=DIGEST_PATTERN)]


class JobState(StrEnum):
    """Where a job is on its way."""

    QUEUED = "queued"
    """Stored, waits for its turn."""
    RUNNING = "running"
    """Its process works."""
    SUCCEEDED = "succeeded"
    """It ended well and its result is complete."""
    FAILED = "failed"
    """It ended with an error, a non-zero exit code, or at its timeout."""
    CANCELLED = "cancelled"
    """Somebody ended it."""
    INTERRUPTED = "interrupted"
    """The agent stopped or died while it ran; what it had measured is kept."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class Hint(StrEnum):
    """What a benchmark shall be good at; threads and streams follow from it unless they are given."""

    LATENCY = "latency"
    """One inference at a time on all allowed cores."""
    THROUGHPUT = "throughput"
    """One inference a core, each on one thread."""


class RandomInput(BaseModel):
    """Uniform noise, the same for the same seed."""

    model_config = STRICT

    kind: Literal["random"] = "random"
    seed: Seed = 0


class PictureInput(BaseModel):
    """Pictures that were uploaded as blobs, used in turn. Decoding them is not part of the measurement."""

    model_config = STRICT

    kind: Literal["pictures"] = "pictures"
    digests: list[Digest] = Field(min_length=1, max_length=1000)


class BenchmarkSpec(BaseModel):
    """What to measure. `None` leaves the choice to the agent; the result says what was chosen."""

    model_config = STRICT

    model: Name | None = None
    runtime: Name | None = None
    device: str = Field(default="AUTO", pattern=DEVICE_PATTERN, max_length=200)
    """AUTO prefers accelerators and starts on the processor while one compiles; `AUTO:GPU,CPU` considers these only,
    `HETERO:GPU,CPU` splits the graph; any other name is that device and nothing else."""
    precision: Precision | None = None
    """The precision of the arithmetic; None for that of the file. The result says what really ran."""
    model_cache: bool = False
    """Load the compiled model from the runtime's cache, which is filled first where need be."""
    hint: Hint | None = None
    threads: int | None = Field(default=None, ge=1, le=256)
    """CPU threads used by one inference."""
    streams: int | None = Field(default=None, ge=1, le=64)
    """Inferences at the same time, each on an interpreter of its own."""
    batch: int = Field(default=1, ge=1, le=BATCH_MAX)
    iterations: int | None = Field(default=None, ge=1, le=ITERATIONS_MAX)
    """Timed inferences of one batch each; 1000 when neither this nor `duration_s` is given."""
    duration_s: float | None = Field(default=None, gt=0, le=24 * 3600)
    warm_up_iterations: int = Field(default=10, ge=0, le=100_000)
    window_s: float = Field(default=1.0, ge=0.1, le=600)
    cooldown_s: float = Field(default=0.0, ge=0, le=3600)
    """Longest wait before the start until the processor is 10 degrees below its first trip point."""
    input: RandomInput | PictureInput = Field(default=RandomInput(), discriminator="kind")

    @model_validator(mode="after")
    def _one_length(self) -> "BenchmarkSpec":
        if self.iterations is not None and self.duration_s is not None:
            raise ValueError("give iterations or duration_s, not both")
        return self


class Kernels(StrEnum):
    """What executes a graph."""

    DEFAULT = "default"
    """The runtime's own choice: XNNPACK where it is there."""
    BUILTIN = "builtin"
    """The interpreter's built-in kernels, one for each operator of the file."""


class ProfileMethod(StrEnum):
    """How operators are timed."""

    NATIVE = "native"
    """The profiler that the runtime brings."""
    SINGLE_OPERATOR = "single-operator"
    """A model for each operator, for any TFLite runtime."""


class ProfileSpec(BaseModel):
    """Which operators the time goes to. `None` leaves the choice to the agent."""

    model_config = STRICT

    model: Name | None = None
    runtime: Name | None = None
    device: str = Field(default="CPU", pattern=DEVICE_PATTERN, max_length=200)
    """AUTO is the device that a benchmark would prefer; `HETERO:GPU,CPU` shows which operator runs where."""
    precision: Precision | None = None
    """The precision of the arithmetic; None for that of the file."""
    method: ProfileMethod | None = None
    """None: the runtime's own profiler where it has one that works, else single operators."""
    kernels: Kernels = Kernels.DEFAULT
    threads: int = Field(default=1, ge=1, le=256)
    iterations: int = Field(default=DEFAULT_ITERATIONS, ge=1, le=PROFILE_ITERATIONS_MAX)
    warm_up_iterations: int = Field(default=10, ge=0, le=100_000)
    seed: Seed = 0
    """The seed of the noise that is fed to the model."""


class CommandSpec(BaseModel):
    """A program to run in a folder of its own. What it writes into `$OUTPUT` is kept as artefacts."""

    model_config = STRICT

    argv: list[Argument] = Field(min_length=1, max_length=1000)
    env: dict[VariableName, Argument] = Field(default={}, max_length=1000)
    bundle: Digest | None = None
    """A tar file, uploaded as a blob, that is unpacked into the folder first."""

    @model_validator(mode="after")
    def _within_bounds(self) -> "CommandSpec":
        size_bytes = sum(len(word.encode()) for word in (*self.argv, *self.env, *self.env.values()))
        if size_bytes > COMMAND_BYTES_MAX:
            raise ValueError(f"argv and env hold {size_bytes} bytes, at most {COMMAND_BYTES_MAX} are allowed")
        return self


class _Request(BaseModel):
    model_config = STRICT

    name: Name | None = None
    priority: int = Field(default=0, ge=-PRIORITY_LIMIT, le=PRIORITY_LIMIT)
    """Higher goes first; equal ones in the order in which they came."""
    timeout_s: float = Field(default=3600.0, gt=0, le=TIMEOUT_MAX_S)
    telemetry_interval_s: float = Field(default=DEFAULT_INTERVAL_S, ge=INTERVAL_MIN_S, le=INTERVAL_MAX_S)
    after_restart: Literal["interrupt", "requeue"] = "interrupt"
    """What becomes of it when the agent dies while it runs."""


class BenchmarkRequest(_Request):
    """Measure a model."""

    kind: Literal["benchmark"] = "benchmark"
    spec: BenchmarkSpec


class ProfileRequest(_Request):
    """Time a model's operators one by one."""

    kind: Literal["profile"] = "profile"
    spec: ProfileSpec


class CommandRequest(_Request):
    """Run a program."""

    kind: Literal["command"] = "command"
    spec: CommandSpec


AnyRequest = BenchmarkRequest | ProfileRequest | CommandRequest
JobRequest = Annotated[AnyRequest, Field(discriminator="kind")]
job_request: TypeAdapter[AnyRequest] = TypeAdapter(JobRequest)


class Progress(BaseModel):
    """How far a running job is."""

    phase: str
    """The phase by the name that the telemetry's phases have."""
    done: float = 0
    total: float | None = None
    unit: str = "iterations"
    """iterations or seconds."""
    fps: float | None = None
    latency_p50_ms: float | None = None
    cpu_temperature_celsius: float | None = None


class JobError(BaseModel):
    """Why a job did not succeed."""

    code: str
    """An ErrorCode, or `timeout`, `exit_code`, `killed`, `processes_left`, `agent_died`, `agent_stopped`,
    `record_lost`."""
    detail: str


class JobStatus(BaseModel):
    """Where a job is, and what became of it."""

    id: JobId
    number: int
    """Grows with each job of an agent."""
    state: JobState
    position: int | None = None
    """Jobs before it, while it is queued."""
    attempts: int = 0
    created_at: AwareDatetime
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    progress: Progress | None = None
    error: JobError | None = None
    verdict: Verdict | None = None
    """The verdict on its result, once it has one."""
    stored_bytes: int = 0
    evicted: bool = False
    """Its result, logs, telemetry and artefacts were removed to stay within the quota."""


class Job(JobStatus):
    """A job's state. Its result, logs, telemetry and artefacts have paths of their own."""

    request: JobRequest

    @property
    def kind(self) -> str:
        """What is done: `benchmark`, `profile` or `command`."""
        return self.request.kind

    @property
    def name(self) -> str | None:
        """The name as it was given."""
        return self.request.name

    @property
    def title(self) -> str:
        """What it does, in a few words."""
        return title_of(self.request)


class JobSummary(JobStatus):
    """A job in a list; what was asked for in detail, the job itself has."""

    kind: Literal["benchmark", "profile", "command"]
    name: str | None = None
    title: str
    """What it does, in a few words."""


def label(spec: BenchmarkSpec) -> str:
    """What tells one benchmark from others, in words."""
    device = None if spec.device == BenchmarkSpec.model_fields["device"].default else spec.device
    cache = "cached" if spec.model_cache else None
    parts = [spec.model, spec.runtime, device, spec.precision, cache, spec.hint]
    parts += [f"{what} {number}" for what, number in (("streams", spec.streams), ("threads", spec.threads)) if number]
    return " ".join(part for part in (*parts, f"batch {spec.batch}") if part)


def title_of(request: AnyRequest) -> str:
    """What a job does, in a few words."""
    if isinstance(request, BenchmarkRequest):
        return label(request.spec)[:TITLE_MAX_CHARS]
    if isinstance(request, ProfileRequest):
        return f"operators of {request.spec.model or 'the default model'}"[:TITLE_MAX_CHARS]
    return " ".join(request.spec.argv)[:TITLE_MAX_CHARS]


class JobList(BaseModel):
    """A page of jobs, newest first; it ends early where it would become large."""

    jobs: list[JobSummary]
    next: int | None = None
    """Value of `before` for the next page; None on the last one."""
    counts: dict[JobState, int]
    evicted: int
    """Jobs whose results were removed to stay within the quota."""
    stored_bytes: int
    quota_bytes: int
