"""What a report's page is given: plain data, in the units that people read. It computes no statistics."""

from pydantic import BaseModel

REPORT_SCHEMA_VERSION = 1


class Reason(BaseModel):
    """Why a measurement is not beyond doubt."""

    code: str
    verdict: str
    detail: str


class Figures(BaseModel):
    """Medians over the jobs of a configuration. None is not measured, or not supported by the sample."""

    load_ms: float | None = None
    first_inference_ms: float | None = None
    p50_ms: float | None = None
    interval_ms: tuple[float, float] | None = None
    """95 % interval of the median of a lone job, the range of the medians of several."""
    p5_ms: float | None = None
    p90_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None
    fps: float | None = None
    energy_mj: float | None = None
    """Millijoules a frame, from measured power."""
    temperature_max_celsius: float | None = None
    """The highest temperature of the CPU in the timed phase."""


class Histogram(BaseModel):
    """How often latencies fell between edges; `beyond` lie above the last edge."""

    edges_ms: list[float]
    counts: list[int]
    beyond: int
    samples: int
    scatter: float | None
    """Standard deviation over the mean (CV)."""


class WindowRow(BaseModel):
    """A window of a job's timed phase, its times in seconds since the job's recording began."""

    start_s: float
    end_s: float
    fps: float
    p50_ms: float
    max_ms: float


class JobWindows(BaseModel):
    """The windows of one job."""

    repeat: int
    windows: list[WindowRow]


class Configuration(BaseModel):
    """One way in which a model was measured on one host, in one run."""

    id: int
    run: str
    host: str
    title: str
    """What tells it from the others in the first place."""
    subtitle: str
    name: str
    """Both, as it stands in a sentence."""
    verdict: str | None
    problem: str | None
    """Why figures are missing."""
    jobs: int
    reasons: list[Reason]
    not_checkable: dict[str, str]
    figures: Figures
    times_slower: float | None = None
    """How many times slower it is than the fastest of the same batch and streams, where the samples can tell."""
    energy_source: str | None = None
    unsupported: dict[str, str] = {}
    """Why a percentile is missing."""
    histogram: Histogram | None
    windows: list[JobWindows]
    conditions: dict[str, str]
    selection: list[str] = []
    """Why its devices were chosen, and what happened to them."""


class Program(BaseModel):
    """A program that ran as a job."""

    id: int
    name: str
    host: str
    command: str
    exit_code: int | None
    duration_s: float | None
    cpu_s: float | None
    memory_max_mib: float | None
    verdict: str | None
    reasons: list[Reason]
    problem: str | None


class Statistics(BaseModel):
    """Statistics of a channel in the timed phase (in the whole recording where there is none), from every sample."""

    median: float
    p95: float
    min: float
    max: float


class Channel(BaseModel):
    """One component's values, in the unit of its row."""

    t_s: list[float]
    values: list[float | None]
    """None is a gap."""
    statistics: Statistics | None
    limit: float | None = None
    """Where the hardware begins to hold itself back."""
    thinned: bool = False


class Component(BaseModel):
    """A row of the hardware matrix."""

    key: str
    name: str
    unit: str
    primary: bool
    """Whether people look for it first."""
    zero_based: bool
    most: float | None = None
    """Fixed upper end of the scale."""
    source: str


class Span(BaseModel):
    """A named stretch of a recording."""

    name: str
    start_s: float
    end_s: float


class ShownRecording(BaseModel):
    """The telemetry of one job."""

    id: int
    owner: int
    """Its configuration's or program's id; both count together."""
    title: str
    subtitle: str
    repeat: int
    started_at: str
    interval_s: float
    end_s: float
    samples: int
    missed: int
    late_s_max: float
    phases: list[Span]
    throttled: list[Span]
    throttle_watched: list[str]
    """What could have told of throttling; with nothing there, no mark means nothing."""
    channels: dict[str, Channel]
    unavailable: dict[str, str]
    """Why a component has no values."""


class Layer(BaseModel):
    """An operator as it was executed."""

    number: int
    name: str
    executed_as: str
    operator: int | None
    kind: str | None
    output: str | None
    shape: str
    mean_us: float
    std_us: float | None
    p50_us: float
    share: float
    macs: int | None
    parameters: int | None
    activation_bytes: int | None
    gflops: float | None


class Profile(BaseModel):
    """Where the time of one inference goes."""

    id: int
    name: str
    host: str | None
    model: str
    model_digest: str
    method: str
    method_detail: str | None
    description: str
    verdict: str
    reasons: list[Reason]
    iterations: int
    mean_ms: float | None
    plain_p50_ms: float | None
    explained: float | None
    unattributed_us: float | None
    facts: dict[str, str]
    layers: list[Layer]


class LayerCell(BaseModel):
    """What an operator costs in one of two profiles."""

    mean_us: float
    share: float
    executed_as: str


class LayerLine(BaseModel):
    """An operator in two profiles; None where one has no such operator."""

    number: int | None
    name: str
    shape: str
    cells: tuple[LayerCell | None, LayerCell | None]


class LayerComparison(BaseModel):
    """Two profiles side by side."""

    first: int
    second: int
    same_model: bool
    lines: list[LayerLine]


class Notice(BaseModel):
    """Something a reader must know before quoting a figure."""

    level: str
    """`warning` or `note`."""
    title: str
    text: str


class Condition(BaseModel):
    """One circumstance, with its value in each configuration."""

    name: str
    values: list[str]
    differs: bool


class ReportData(BaseModel):
    """Everything on the page, and what its JSON download holds."""

    schema_version: int = REPORT_SCHEMA_VERSION
    edgerun_version: str
    generated_at: str
    title: str
    summary: str
    headline: str
    """The verdict in a sentence."""
    headline_rest: str
    statements: list[str]
    notices: list[Notice]
    configurations: list[Configuration]
    programs: list[Program]
    conditions: list[Condition]
    components: list[Component]
    recordings: list[ShownRecording]
    profiles: list[Profile]
    layer_comparisons: list[LayerComparison]
    """The comparison of any two profiles."""
    thinning: str | None
    """How telemetry was thinned, where it was."""
