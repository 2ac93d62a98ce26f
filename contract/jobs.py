"""Jobs: what is asked, and what state it is in; contract.results has what comes back."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter

from contract.specs import STRICT, BenchmarkSpec, CommandSpec, ProfileSpec, label
from contract.telemetry import DEFAULT_INTERVAL_S, INTERVAL_MAX_S, INTERVAL_MIN_S
from contract.text import Name
from contract.validity import Verdict

TIMEOUT_MAX_S = 7 * 24 * 3600.0
PRIORITY_LIMIT = 100
PAGE_MAX = 500
TITLE_MAX_CHARS = 120

JOB_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"

JobId = Annotated[str, Field(pattern=JOB_ID_PATTERN)]
"""Agents make it; whoever reads it may use it in a path and a URL."""


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
