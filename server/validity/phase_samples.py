"""One phase of a recording: gauges within it, growth of counters over it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from contract.telemetry import Telemetry

IDLE = "idle"
"""The phase before a job's work, in which it may have waited for the CPU to cool down."""
SAMPLES_MIN = 2
"""Within a phase; with fewer, what happened in it is anybody's guess."""
BEAT_TOLERANCE = 1e-3
"""A share of an interval: a sample is never early, but its time is rounded."""


class NotCheckable(Exception):
    """Why a check cannot be made with this recording."""


@dataclass(frozen=True)
class Growth:
    """How much a counter grew, and in which time: from the last sample before a phase to the first after it."""

    key: str
    by: float
    seconds: float


def when_work_began(telemetry: Telemetry, key: str) -> float | None:
    """The last value of a series before the first phase that is not idle, or else its first one."""
    began_s = next((phase.start_s for phase in telemetry.phases if phase.name != IDLE), 0.0)
    known = [(t, value) for t, value in zip(telemetry.t_s, telemetry.series[key], strict=True) if value is not None]
    until = [value for t, value in known if t <= began_s]
    return until[-1] if until else next((value for _, value in known), None)


class PhaseSamples:
    """The samples of a phase, and the ones just outside it. Raises NotCheckable where there is no such phase."""

    def __init__(self, telemetry: Telemetry | None, phase: str) -> None:
        if telemetry is None or not telemetry.t_s:
            raise NotCheckable("no telemetry was recorded")
        found = next((each for each in telemetry.phases if each.name == phase), None)
        if found is None:
            raise NotCheckable(f"the recording has no phase {phase}")
        self.telemetry = telemetry
        t_s = telemetry.t_s
        end_s = math.inf if found.end_s is None else found.end_s
        self.inside = [at for at, t in enumerate(t_s) if found.start_s <= t <= end_s]
        self._first = max((at for at, t in enumerate(t_s) if t <= found.start_s), default=0)
        self._last = min((at for at, t in enumerate(t_s) if t >= end_s), default=len(t_s) - 1)
        if len(self.inside) < SAMPLES_MIN:
            detail = f"{len(self.inside)} samples in the phase {phase}, {SAMPLES_MIN} are needed: it was too short"
            raise NotCheckable(detail)

    def keys(self, metric: str, **labels: str) -> list[str]:
        """Series of a metric that have these labels and any value at all; raises NotCheckable without one."""
        telemetry = self.telemetry
        keys = [
            key
            for key, info in telemetry.info.items()
            if info.metric == metric
            and labels.items() <= info.labels.items()
            and any(value is not None for value in telemetry.series.get(key, ()))
        ]
        if not keys:
            raise NotCheckable(f"{metric}: {telemetry.unavailable.get(metric, 'it was never read')}")
        return keys

    def values(self, key: str) -> list[float]:
        """What a gauge said within the phase."""
        series = self.telemetry.series[key]
        return [value for at in self.inside if (value := series[at]) is not None]

    def rows(self, keys: Sequence[str], samples: Sequence[int]) -> Iterator[list[float | None]]:
        """The values of some series at some samples."""
        for at in samples:
            yield [self.telemetry.series[key][at] for key in keys]

    def growth(self, metric: str) -> list[Growth]:
        """The growth of each series of a counter; raises NotCheckable without one that was read on both sides."""
        t_s = self.telemetry.t_s
        grown = []
        for key in self.keys(metric):
            series = self.telemetry.series[key]
            read = [at for at in range(self._first, self._last + 1) if series[at] is not None]
            if len(read) >= SAMPLES_MIN:
                first, last = series[read[0]], series[read[-1]]
                assert first is not None
                assert last is not None
                grown.append(Growth(key, last - first, t_s[read[-1]] - t_s[read[0]]))
        if not grown:
            raise NotCheckable(f"{metric}: it was read less than twice around the phase")
        return grown

    def before(self, key: str) -> float | None:
        """The value when the work began."""
        return when_work_began(self.telemetry, key)

    def samples_of(self, phase: str) -> list[int]:
        """Samples of another phase, none where there is no such phase."""
        for each in self.telemetry.phases:
            if each.name == phase:
                end_s = math.inf if each.end_s is None else each.end_s
                return [at for at, t in enumerate(self.telemetry.t_s) if each.start_s <= t <= end_s]
        return []

    def beats(self) -> tuple[int, int, float]:
        """Samples and missed beats within the phase, and the largest delay in seconds."""
        interval_s, t_s = self.telemetry.interval_s, self.telemetry.t_s
        # The last sample of a recording is taken when it is stopped, not on a beat.
        kept = [at for at in self.inside if at < len(t_s) - 1] or self.inside[:1]
        numbers = [math.floor(t_s[at] / interval_s + BEAT_TOLERANCE) for at in kept]
        late_s = max(t_s[at] - number * interval_s for at, number in zip(kept, numbers, strict=True))
        return len(kept), numbers[-1] - numbers[0] + 1 - len(kept), max(0.0, late_s)
