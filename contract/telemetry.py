"""Telemetry: what the sensors of a device said at which time, column by column.

Names and units follow Prometheus: base units in the name, ratios 0 to 1, counters end in `_total`. A series is keyed
by its metric and labels as Prometheus writes them: `cpu_utilization_ratio`, `cpu_utilization_ratio{cpu="0"}`.
"""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

TELEMETRY_SCHEMA_VERSION = 1
INTERVAL_MIN_S = 0.1
INTERVAL_MAX_S = 60.0
DEFAULT_INTERVAL_S = 1.0
CPU_TEMPERATURE = "cpu_temperature_celsius"
CPU_TRIP = "cpu_temperature_trip_celsius"
"""The sensor that stands for the CPU, and where it is slowed down."""


class MetricKind(StrEnum):
    """How values of a series relate to each other."""

    GAUGE = "gauge"
    """A value of the moment."""
    COUNTER = "counter"
    """Only grows while the device runs; its rate is the difference over the true difference of time."""


class SeriesInfo(BaseModel):
    """What a series holds and where it was read."""

    model_config = ConfigDict(frozen=True)

    metric: str
    labels: dict[str, str] = {}
    unit: str
    """celsius, ratio, hertz, bytes, seconds, watts, joules, amperes, volts, or 1 for plain numbers."""
    kind: MetricKind = MetricKind.GAUGE
    source: str
    """The file or library it comes from."""


class Phase(BaseModel):
    """A named stretch of a recording, in seconds since its start."""

    name: str
    """idle, load, warm-up, timed, cool-down; a command's is `command`."""
    start_s: float
    end_s: float | None = None
    """None while it lasts, and for the last one of a recording that was cut off."""


class SamplerQuality(BaseModel):
    """How well the sampler kept its beat."""

    samples: int
    missed: int
    """Beats that were skipped because the one before took too long."""
    late_s_max: float
    """Largest delay of a sample behind its beat."""
    self_cpu_ratio: float
    """CPU time of the sampler itself, as a share of one core."""


class Telemetry(BaseModel):
    """A recording, columnar: `t_s[i]` is when `series[key][i]` was read."""

    schema_version: int = TELEMETRY_SCHEMA_VERSION
    interval_s: float
    started_at: AwareDatetime
    """Wall clock at t = 0; everything else is monotonic."""
    t_s: list[float]
    series: dict[str, list[float | None]]
    info: dict[str, SeriesInfo]
    """What each series is, by its key."""
    unavailable: dict[str, str]
    """Why a metric's series holds only nulls, by metric."""
    phases: list[Phase] = []
    quality: SamplerQuality


class TelemetrySample(BaseModel):
    """`GET /v1/telemetry` and each event of `/v1/telemetry/stream`: the newest value of every series."""

    schema_version: int = TELEMETRY_SCHEMA_VERSION
    at: AwareDatetime
    t_s: float
    """Monotonic seconds since the sampler started: differences of these, not of `at`, give rates."""
    interval_s: float
    values: dict[str, float | None]
    info: dict[str, SeriesInfo]
    """What each series is; the stream has it only with the first event."""
    unavailable: dict[str, str]
