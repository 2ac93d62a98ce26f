"""What an agent says about itself."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field

from contract.devices import RuntimeDevice
from contract.models import ModelName

API_VERSION = "v1"


class AgentBuild(BaseModel):
    """The agent program."""

    version: str
    python: str
    api_versions: list[str]
    features: list[str]
    started_at: AwareDatetime
    uptime_s: float


class DeviceInfo(BaseModel):
    """The machine, as far as a container can see it."""

    name: str
    type: str | None
    """As the provisioner named it (`EDGERUN_DEVICE_TYPE`), or read from the system; `None` when unknown."""
    machine: str
    """Instruction set: `aarch64`, `x86_64`, ..."""
    cpu_model: str | None
    cpu_count: int
    """CPUs of the machine; `allowed` says what the agent may use of them."""
    memory_bytes: int | None


class AllowedResources(BaseModel):
    """What the control group and the affinity mask leave to the agent."""

    cpus: float
    cpus_source: str
    memory_bytes: int | None
    memory_source: str


class RuntimeInfo(BaseModel):
    """An inference runtime the agent knows of."""

    name: str
    installed: bool
    version: str | None = None
    default: bool = False
    delegates: list[str] = []
    formats: list[str] = []
    """Model formats it reads."""
    devices: list[RuntimeDevice] | None = None
    """None until somebody asked for them (`GET /v1/runtimes`, a job), which takes a second."""
    workers: int = 0
    """Worker processes of this runtime that are up now."""
    note: str | None = None


class RuntimeList(BaseModel):
    """`GET /v1/runtimes`: what can run models here, with the devices of each."""

    runtimes: list[RuntimeInfo]


class Limits(BaseModel):
    """What the agent refuses to exceed."""

    image_bytes: int
    image_pixels: int
    model_bytes: int
    images_per_request: int
    queue_length: int
    request_timeout_s: float
    worker_memory_bytes: int
    connections: int


class SecurityInfo(BaseModel):
    """How the agent is protected."""

    token_required: bool
    tls: bool
    certificate_sha256: str | None


class AgentInfo(BaseModel):
    """`GET /v1/info`."""

    agent: AgentBuild
    device: DeviceInfo
    allowed: AllowedResources
    runtimes: list[RuntimeInfo]
    workers: int
    threads: int | None
    """Threads an inference uses; `None`: one while several requests run, all allowed cores for a lone one."""
    default_model: ModelName
    notes: list[str] = []
    """What is wrong, such as a full disk, though the agent answers."""
    limits: Limits
    security: SecurityInfo


class Health(BaseModel):
    """`GET /health/live` and `GET /health/ready`."""

    status: Annotated[str, Field(pattern=r"^[a-z]{1,40}$")]
    """`live`, `ready`."""
    notes: list[str] = []
    """What is wrong, though pictures are answered: a full disk takes no jobs and models."""
