"""What a job is to do: a benchmark, a profile or a command; contract.jobs has what becomes of it."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from contract.devices import DEVICE_PATTERN, Precision
from contract.models import DIGEST_PATTERN
from contract.text import Argument, Name, VariableName

DEFAULT_ITERATIONS = 1000
BATCH_MAX = 256
ITERATIONS_MAX = 1_000_000
PROFILE_ITERATIONS_MAX = 100_000
NUMBER_MAX = (1 << 63) - 1
"""The largest number that an agent's list of jobs takes."""
COMMAND_BYTES_MAX = 512 * 1024
"""Words and variables of a command together."""
STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
"""What is asked for: nothing unknown, no number that is none."""
Seed = Annotated[int, Field(ge=0, le=NUMBER_MAX)]
Digest = Annotated[str, Field(pattern=DIGEST_PATTERN)]


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


class ImageInput(BaseModel):
    """Pictures that were uploaded as blobs, used in turn. Decoding them is not part of the measurement."""

    model_config = STRICT

    kind: Literal["images"] = "images"
    digests: list[Digest] = Field(min_length=1, max_length=1000)


class BenchmarkSpec(BaseModel):
    """What to measure. `None` leaves the choice to the agent; the result says what was chosen."""

    model_config = STRICT

    model: Name | None = None
    runtime: Name | None = None
    device: str = Field(default="AUTO", pattern=DEVICE_PATTERN, max_length=200)
    """AUTO prefers accelerators and starts on the CPU while one compiles; `AUTO:GPU,CPU` considers these only,
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
    """Longest wait before the start until the CPU is 10 degrees below its first trip point."""
    input: RandomInput | ImageInput = Field(default=RandomInput(), discriminator="kind")

    @field_validator("input", mode="before")
    @classmethod
    def _as_stored_before(cls, value: object) -> object:
        """Take what runs and queues say that were stored when images were called pictures."""
        if isinstance(value, dict) and value.get("kind") == "pictures":
            return {**value, "kind": "images"}
        return value

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


def label(spec: BenchmarkSpec) -> str:
    """What tells one benchmark from others, in words."""
    device = None if spec.device == BenchmarkSpec.model_fields["device"].default else spec.device
    cache = "cached" if spec.model_cache else None
    parts = [spec.model, spec.runtime, device, spec.precision, cache, spec.hint]
    parts += [f"{what} {number}" for what, number in (("streams", spec.streams), ("threads", spec.threads)) if number]
    return " ".join(part for part in (*parts, f"batch {spec.batch}") if part)


def length_of(spec: BenchmarkSpec) -> str:
    """How long a benchmark measures, in words."""
    return (
        f"{spec.duration_s:g} s"
        if spec.duration_s is not None
        else f"{spec.iterations or DEFAULT_ITERATIONS} iterations"
    )


def input_of(spec: BenchmarkSpec) -> str:
    """What a benchmark feeds the model, in words."""
    if isinstance(spec.input, ImageInput):
        return f"{len(spec.input.digests)} pictures ({spec.input.digests[0][:19]})"
    return f"random (seed {spec.input.seed})"
