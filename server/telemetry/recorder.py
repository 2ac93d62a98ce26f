"""Samples at equal intervals: a thread that waits for absolute deadlines and says how well it kept them."""

import logging
import math
import threading
import time
from array import array
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from contract.telemetry import Phase, SeriesInfo, Telemetry, TelemetrySample
from server.telemetry.recording import Head, Recording, load_recording, quality_of

__all__ = ["Recorder", "Source", "load_recording"]

log = logging.getLogger(__name__)

NANO = 1e-9
STOP_TIMEOUT_S = 10.0
"""How long stopping waits for a sensor that hangs."""


class Source(Protocol):
    """What is recorded: `Sensors`, or anything else that gives one value a series."""

    @property
    def info(self) -> Mapping[str, SeriesInfo]:
        """The series by key, in the order of `read`."""

    @property
    def unavailable(self) -> Mapping[str, str]:
        """Why a metric never has a value."""

    def read(self) -> list[float | None]:
        """One value a series."""

    def close(self) -> None:
        """Called once, after the last reading."""


class Recorder:
    """Reads its sensors on the beat t0 + k * interval, from `start` to `stop`, in a thread of its own.

    A sample that comes late by whole beats skips them and counts them as missed; samples are never bunched. The true
    time of each is kept. `on_sample` is called in the recorder's thread. With a folder every sample is on disk before
    the next one is taken. `keep=False` is for live views: only the newest sample stays in memory.
    """

    def __init__(
        self,
        sensors: Source,
        interval_s: float,
        folder: Path | None = None,
        on_sample: Callable[[TelemetrySample], None] | None = None,
        *,
        keep: bool = True,
    ) -> None:
        self._sensors = sensors
        self._interval_s = interval_s
        self._recording = Recording(folder) if folder is not None else None
        self._on_sample = on_sample
        self._keep = keep
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._ended = threading.Event()
        self._first = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._t_s, self._late_s = array("d"), array("d")
        self._columns = [array("d") for _ in sensors.info]
        self._missed = 0
        self._own = (0.0, 0.0, 0.0, 0.0)
        self._newest: list[float | None] | None = None
        self._phases: list[Phase] = []
        self._started_ns = 0
        self._started_at = datetime.now(UTC)
        self._stopped: Telemetry | None = None
        self._complained = False

    def start(self) -> None:
        """Take the first sample, then go on in the background; returns when the first one is there."""
        self._started_at, self._started_ns = datetime.now(UTC), time.monotonic_ns()
        if self._recording:
            self._recording.begin(self._head())
        self._thread.start()
        self._first.wait(STOP_TIMEOUT_S)

    def mark(self, phase: str, at_ns: int | None = None) -> None:
        """Begin a phase, which ends the one before it; `at_ns` is on the clock of `time.monotonic_ns`."""
        since_ns = (time.monotonic_ns() if at_ns is None else at_ns) - self._started_ns
        at_s = max(0.0, round(since_ns * NANO, 6)) if self._started_ns else 0.0
        with self._lock:
            self._end_phase(at_s)
            self._phases.append(Phase(name=phase, start_s=at_s))
        if self._recording:
            with self._writing:
                self._recording.write_head(self._head())

    def latest(self) -> TelemetrySample | None:
        """The newest sample; None before the first."""
        with self._lock:
            return self._sample()

    @property
    def age_s(self) -> float:
        """Seconds since the newest sample was read."""
        return (time.monotonic_ns() - self._started_ns) * NANO - self._own[0]

    def snapshot(self) -> Telemetry:
        """What has been recorded so far."""
        if self._stopped is not None:
            return self._stopped
        with self._lock:  # copies only: the sampler waits
            t_s, columns, phases = self._t_s[:], [column[:] for column in self._columns], list(self._phases)
            quality = quality_of(self._t_s, self._late_s, self._own)
        return Telemetry(
            interval_s=self._interval_s,
            started_at=self._started_at,
            t_s=list(t_s),
            series={key: _nullable(values) for key, values in zip(self._sensors.info, columns, strict=True)},
            info=dict(self._sensors.info),
            unavailable=dict(self._sensors.unavailable),
            phases=phases,
            quality=quality,
        )

    def stop(self) -> Telemetry:
        """Take a last sample, end the thread, close the sensors; a second call returns the same recording."""
        if self._stopped is None:
            self._ended.set()
            if self._thread.is_alive():
                self._thread.join(STOP_TIMEOUT_S)
            with self._lock:
                self._end_phase(max((time.monotonic_ns() - self._started_ns) * NANO, self._own[0]))
            if self._recording:
                with self._writing:
                    self._recording.end(self._head())
            self._stopped = self.snapshot()
            if not self._thread.is_alive():
                self._sensors.close()
        return self._stopped

    def _end_phase(self, at_s: float) -> None:
        if self._phases and self._phases[-1].end_s is None:
            last = self._phases[-1]
            self._phases[-1] = last.model_copy(update={"end_s": max(at_s, last.start_s)})

    def _head(self) -> Head:
        with self._lock:
            return Head(
                interval_s=self._interval_s,
                started_at=self._started_at,
                info=dict(self._sensors.info),
                unavailable=dict(self._sensors.unavailable),
                phases=list(self._phases),
            )

    def _run(self) -> None:
        beat = 0
        began_cpu_s = time.thread_time()
        while not self._ended.is_set():
            self._take(beat * self._interval_s, began_cpu_s)
            now_s = (time.monotonic_ns() - self._started_ns) * NANO
            following = max(beat + 1, math.floor(now_s / self._interval_s))
            self._missed += following - (beat + 1)
            beat = following
            while (left_s := beat * self._interval_s - (time.monotonic_ns() - self._started_ns) * NANO) > 0:
                if self._ended.wait(left_s):
                    break
        self._take(None, began_cpu_s)

    def _take(self, due_s: float | None, began_cpu_s: float) -> None:
        """Read and keep one sample; the last one is due when it comes."""
        t_s = round((time.monotonic_ns() - self._started_ns) * NANO, 6)
        values = self._read()
        late_s = round(max(0.0, t_s - due_s), 6) if due_s is not None else 0.0
        with self._lock:
            self._own = (t_s, late_s, float(self._missed), round(time.thread_time() - began_cpu_s, 6))
            self._newest = values
            sample = self._sample() if self._on_sample else None
            if self._keep:
                self._t_s.append(t_s)
                self._late_s.append(late_s)
                for column, value in zip(self._columns, values, strict=True):
                    column.append(math.nan if value is None else value)
        if self._recording:
            with self._writing:
                self._recording.append(self._own, values)
        self._first.set()
        if self._on_sample and sample:
            self._hand_out(self._on_sample, sample)

    def _read(self) -> list[float | None]:
        try:
            return self._sensors.read()
        except Exception:
            self._complain("the sensors could not be read")
            return [None] * len(self._columns)

    def _hand_out(self, on_sample: Callable[[TelemetrySample], None], sample: TelemetrySample) -> None:
        try:
            on_sample(sample)
        except Exception:
            self._complain("a sample could not be handed out")

    def _complain(self, what: str) -> None:
        """Log the error under way, the first of a recording only: telemetry must not fill the log once a second."""
        if not self._complained:
            self._complained = True
            log.exception(what)

    def _sample(self) -> TelemetrySample | None:
        if self._newest is None:
            return None
        # Built without validation: this runs on every beat.
        return TelemetrySample.model_construct(
            at=self._started_at + timedelta(seconds=self._own[0]),
            t_s=self._own[0],
            interval_s=self._interval_s,
            values=dict(zip(self._sensors.info, self._newest, strict=True)),
            info=dict(self._sensors.info),
            unavailable=dict(self._sensors.unavailable),
        )


def _nullable(values: "array[float]") -> list[float | None]:
    return [None if math.isnan(value) else value for value in values]
