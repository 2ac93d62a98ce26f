"""What the Open Inference Protocol's REST routes answer, besides inference, whose bodies no wire type can hold.

https://github.com/kserve/open-inference-protocol, and Triton's extensions for repository, configuration and statistics.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

OPEN_INFERENCE = "open-inference-v2"
"""The feature in `/v1/info` of an agent that speaks the protocol."""

MODEL_READY, MODEL_UNAVAILABLE = "READY", "UNAVAILABLE"
"""States of a model in the index of a repository, as Triton names them."""


class ProtocolError(BaseModel):
    """The body of every error under /v2."""

    error: str


class ServerLive(BaseModel):
    """The agent's process answers."""

    live: bool


class ServerReady(BaseModel):
    """Whether a request sent now would be answered at once."""

    ready: bool


class ServerMetadata(BaseModel):
    """What the server is, and which extensions of the protocol it has."""

    name: str
    version: str
    extensions: list[str]


class ModelReady(BaseModel):
    """Whether a model answers."""

    name: str
    ready: bool


class TensorMetadata(BaseModel):
    """An input or output; -1 is a dimension of any size."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """What a model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ConfigTensor(BaseModel):
    """An input or output in a model's configuration: one item, without the dimension of the batch."""

    name: str
    data_type: str
    dims: list[int]


class ModelConfig(BaseModel):
    """The part of Triton's ModelConfig that means something here."""

    name: str
    platform: str
    backend: str
    max_batch_size: int
    """0 for a model whose tensors have no dimension for a batch."""
    input: list[ConfigTensor]
    output: list[ConfigTensor]


class IndexRequest(BaseModel):
    """Which models `POST /v2/repository/index` shall list."""

    model_config = ConfigDict(extra="ignore")

    ready: bool = Field(default=False, strict=True)
    """Only those that answer."""


class IndexEntry(BaseModel):
    """A model in the repository, whether it answers or not."""

    name: str
    version: str
    state: Literal["READY", "UNAVAILABLE"]
    reason: str


class RepositoryRequest(BaseModel):
    """The body of load and unload, which may be left out."""

    model_config = ConfigDict(extra="ignore")

    parameters: dict[str, Any] = Field(default={}, max_length=16)


class DurationStatistic(BaseModel):
    """How often something happened, and nanoseconds it took altogether."""

    count: int
    ns: int


class InferenceStatistics(BaseModel):
    """Durations by stage. There is no cache of replies: hits and misses are always none."""

    success: DurationStatistic
    fail: DurationStatistic
    queue: DurationStatistic
    compute_input: DurationStatistic
    compute_infer: DurationStatistic
    compute_output: DurationStatistic
    cache_hit: DurationStatistic = DurationStatistic(count=0, ns=0)
    cache_miss: DurationStatistic = DurationStatistic(count=0, ns=0)


class ModelStatistics(BaseModel):
    """Everything one model did since the agent started."""

    name: str
    version: str
    last_inference: int
    """Unix time in milliseconds, 0 before the first."""
    inference_count: int
    """A batch of eight is eight."""
    execution_count: int
    """A batch that ran as one is one."""
    inference_stats: InferenceStatistics
    batch_stats: list[Any] = []


class StatisticsReply(BaseModel):
    """The statistics of one model or of all."""

    model_stats: list[ModelStatistics]
