"""Models on the agent: what an upload declares and what the agent found out about it."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from contract.tasks import BoxCoordinates, DetectionForm, Task
from contract.text import Line

MODEL_NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
DIGEST_PATTERN = r"^sha256:[0-9a-f]{64}$"
PART_NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"
PARTS_MAX = 64

ModelName = Annotated[str, Field(pattern=MODEL_NAME_PATTERN)]
Digest = Annotated[str, Field(pattern=DIGEST_PATTERN)]
"""`sha256:` and 64 lower-case hexadecimal digits."""

PartName = Annotated[str, Field(pattern=PART_NAME_PATTERN)]
ModelFormat = Literal["tflite", "openvino", "onnx"]
"""TFLite; OpenVINO IR, whose weights are the part `model.bin`; ONNX, whose external data are parts."""

INPUT_RANGE_LIMIT = 1e6
CHANNELS_MAX = 64


def _distinct(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] == ends[1]:
        raise ValueError(f"black and white must differ, and both are {ends[0]:g}")
    return ends


_End = Annotated[float, Field(ge=-INPUT_RANGE_LIMIT, le=INPUT_RANGE_LIMIT, allow_inf_nan=False)]
Range = Annotated[tuple[_End, _End], AfterValidator(_distinct)]
"""The real values of a black and of a white pixel; `(1, 0)` for dark ink that should read as 1."""


class Fit(StrEnum):
    """How a picture of another shape is brought to the model's input shape."""

    STRETCH = "stretch"
    """Both sides are scaled on their own, as the CHI@Edge teaching notebook does."""
    CROP = "crop"
    """The largest centred part of the right shape is scaled."""
    LETTERBOX = "letterbox"
    """The whole picture is scaled and the rest filled with grey, as YOLO models are trained."""


class Outputs(StrEnum):
    """What the model's last tensor holds."""

    AUTO = "auto"
    """The agent decides from one run when the model is uploaded."""
    LOGITS = "logits"
    PROBABILITIES = "probabilities"


class Preprocessing(BaseModel):
    """How pixels become the real numbers that the model was trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input_range: Range | Annotated[list[Range], Field(max_length=CHANNELS_MAX)]
    """Real values for a black (0) and a white (255) pixel; one pair, or one pair a channel."""
    fit: Fit = Fit.STRETCH


class DetectionReading(BaseModel):
    """How a detector's outputs are read; `None` leaves a choice to the agent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    form: DetectionForm | None = None
    coordinates: BoxCoordinates | None = None
    """Of YOLO heads only: the other forms are normalised always."""


class ModelManifest(BaseModel):
    """What `PUT /v1/models/{name}` sends after the files themselves were uploaded as blobs."""

    model_config = ConfigDict(extra="forbid")

    format: ModelFormat = "tflite"
    model: Digest
    parts: dict[PartName, Digest] = Field(default={}, max_length=PARTS_MAX)
    """Further files by the names that the main one refers to them by."""
    labels: Digest | None = None
    preprocessing: Preprocessing | None = None
    """`None`: derived from the input tensor and marked as assumed in the description."""
    outputs: Outputs = Outputs.AUTO
    task: Task | None = None
    """`None`: guessed from the tensors and marked as assumed in the description."""
    detection: DetectionReading | None = None
    source: Line | None = None
    licence: Line | None = None

    @property
    def digests(self) -> list[str]:
        """The digests of every file it names."""
        return [self.model, *self.parts.values(), *([self.labels] if self.labels else [])]


class TensorInfo(BaseModel):
    """One input or output tensor as the runtime reports it."""

    name: str
    shape: list[int]
    dtype: str
    scale: float | None = None
    """Quantisation: real = scale x (stored - zero_point). `None` for float tensors."""
    zero_point: int | None = None


class RuntimeCheck(BaseModel):
    """Whether one installed runtime could load and run the model in a throw-away process."""

    ok: bool
    detail: str | None = None
    """What the runtime said when it could not."""
    load_ms: float | None = None
    first_inference_ms: float | None = None


class ModelDescription(BaseModel):
    """A model that the agent holds."""

    name: ModelName
    digest: Digest
    """The digest of all files together: see `identity`."""
    format: ModelFormat
    parts: list[PartName] = []
    """Names of the files beside the main one."""
    size_bytes: int
    embedded: bool
    """True for a model that ships with the agent and cannot be removed."""
    inputs: list[TensorInfo]
    outputs: list[TensorInfo]
    task: Task
    task_assumed: bool = False
    """True when nobody declared the task and the agent guessed it from the tensors."""
    unfit: dict[Task, str] = {}
    """Why the tensors do not fit the other tasks."""
    detection: DetectionReading | None = None
    """How a detector's outputs are read."""
    class_count: int | None = None
    label_count: int | None = None
    """`None` when no labels were uploaded: predictions then carry the index alone."""
    preprocessing: Preprocessing | None = None
    """How a picture becomes the input; `None` for a model that takes none."""
    preprocessing_assumed: bool = False
    output_kind: Literal["logits", "probabilities"] | None = None
    runtimes: dict[str, RuntimeCheck]
    uploaded_at: AwareDatetime | None = None
    source: Line | None = None
    licence: Line | None = None

    @model_validator(mode="before")
    @classmethod
    def _as_stored_before(cls, value: Any) -> Any:
        """Take descriptions from the time when every model was a classifier or was not."""
        if not isinstance(value, dict) or "classifier" not in value:
            return value
        known = {name: each for name, each in value.items() if name not in ("classifier", "not_a_classifier_because")}
        task = Task.CLASSIFICATION if value["classifier"] else Task.TENSOR
        because = value.get("not_a_classifier_because")
        return {"task": task, "unfit": {Task.CLASSIFICATION: because} if because else {}, **known}


class DamagedModel(BaseModel):
    """A model that was on the agent and cannot be used any more; putting it again mends it."""

    name: str
    reason: str


class ModelList(BaseModel):
    """Every model on the agent, and which one answers when a request names none."""

    models: list[ModelDescription]
    damaged: list[DamagedModel] = []
    default: ModelName
    default_chosen: bool
    """True when somebody chose it; false when it follows from the rule in `DefaultModel`."""


SYNTHETIC_SOURCE = "written by edgerun: synthetic weights, nothing learned"
"""Source of every model that an agent wrote itself."""


class SyntheticModel(BaseModel):
    """A model that the agent can write: a well-known architecture, with weights that mean nothing."""

    name: ModelName
    title: str
    written: bool
    """Whether the agent holds a model of that name."""


class SyntheticModels(BaseModel):
    """Everything the agent can write."""

    models: list[SyntheticModel]


class DefaultModel(BaseModel):
    """The model that answers when a request names none.

    Unless chosen: `mobilenet_v2_1.0_224_quant` once the agent holds it, else `digits`.
    """

    model_config = ConfigDict(extra="forbid")

    name: ModelName


class BlobReceipt(BaseModel):
    """An uploaded file, stored under its own digest."""

    digest: Digest
    size_bytes: int
    created: bool
    """False when the agent held the same bytes already."""
