"""The newest sample for whoever looks. Nothing is sampled while nobody does."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path

from contract.codes import ErrorCode
from contract.telemetry import DEFAULT_INTERVAL_S, TelemetrySample
from server.errors import AgentError
from server.telemetry.recorder import Recorder
from server.telemetry.sensors import Sensors

STREAMS_MAX = 8
PAST_MAX_S = 300.0
"""So much of the past is kept while the sampler runs, for who begins to look."""
IDLE_STOP_S = 60.0
"""The sampler goes on for so long after the last look, so that who asks every few seconds gets rates."""
FIRST_LOOK_S = 0.25
"""Seconds between finding the sensors and the first sample: utilization needs a stretch of time."""
STALE_S = 10.0
"""A sample that is older is none of the present: a sensor hangs, or the machine slept."""
BEAT_TOLERANCE = 0.5
"""A share of the sampler's interval: a stream takes the sample that comes nearest to its own beat."""


class LiveTelemetry:
    """Samples once a second while somebody looks. All methods belong to the event loop's thread."""

    def __init__(
        self, root: Path = Path("/"), interval_s: float = DEFAULT_INTERVAL_S, idle_stop_s: float = IDLE_STOP_S
    ) -> None:
        self._root = root
        self._interval_s = interval_s
        self._idle_stop_s = idle_stop_s
        self._recorder: Recorder | None = None
        self._changing = asyncio.Lock()
        self._next: asyncio.Future[TelemetrySample | None] | None = None
        self._streams = 0
        self._looked_at = 0.0
        self._idle: asyncio.Task[None] | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._ended = False
        self._texts_of: datetime | None = None
        self._known_texts: dict[tuple[float, bool], str] = {}
        self._past: deque[tuple[float, str]] = deque()

    @property
    def sampling(self) -> bool:
        """Whether the sampler runs."""
        return self._recorder is not None

    async def latest(self) -> TelemetrySample:
        """The newest sample; starts the sampler if need be. Raises AgentError while the agent stops."""
        recorder = await self._running()
        sample = recorder.latest()
        if sample is None:
            raise AgentError(ErrorCode.NOT_READY, "the sensors have not answered yet")
        return sample

    async def fresh(self, wait_s: float) -> TelemetrySample | None:
        """The newest sample as long as it is one of the present, None where the sensors take longer to answer.

        Waits only where the sampler has to be started, which goes on beyond.
        """
        if self._recorder is None:
            await asyncio.wait({self._begin()}, timeout=wait_s)
        if self._recorder is None or self._ended:
            return None
        self._looked_at = time.monotonic()
        return self._recorder.latest() if self._recorder.age_s <= STALE_S else None

    def samples(self, interval_s: float) -> AsyncGenerator[TelemetrySample, None]:
        """The newest sample, then more at about this interval, at least the sampler's own, until the agent stops.

        Raises AgentError at once when all streams are taken, and while the agent stops.
        """
        self._refuse_when_ended()
        if self._streams >= STREAMS_MAX:
            raise AgentError(ErrorCode.QUEUE_FULL, f"{STREAMS_MAX} streams of telemetry are open already")
        return self._samples(interval_s)

    def texts(self, interval_s: float) -> AsyncGenerator[str, None]:
        """`samples` as JSON, with `info` in the first one only; encoded once for all streams that are at a sample."""
        return self._texts(self.samples(interval_s))

    def past(self, past_s: float) -> str | None:
        """The samples of so many seconds as a JSON list without `info`, as far as there are any; None without any."""
        if not self._past:
            return None
        since_s = self._past[-1][0] - past_s
        return f"[{','.join(text for t_s, text in self._past if t_s >= since_s)}]"

    def end_streams(self) -> None:
        """End all streams and begin none any more: the agent stops."""
        self._ended = True
        self._publish(None)

    async def stop(self) -> None:
        """End the sampler too."""
        self.end_streams()
        if self._idle is not None:
            self._idle.cancel()
        await self._stop_recorder()

    async def _samples(self, interval_s: float) -> AsyncGenerator[TelemetrySample, None]:
        if self._streams >= STREAMS_MAX:  # several were let in before the first of them began to read
            return
        self._streams += 1
        try:
            sample: TelemetrySample | None = await self.latest()
            while sample is not None:
                yield sample.model_copy(update={"interval_s": max(interval_s, self._interval_s)})
                sample = await self._from(sample.t_s + interval_s - BEAT_TOLERANCE * self._interval_s)
        finally:
            self._streams -= 1
            self._looked_at = time.monotonic()

    async def _texts(self, samples: AsyncGenerator[TelemetrySample, None]) -> AsyncGenerator[str, None]:
        first = True
        async with contextlib.aclosing(samples):
            async for sample in samples:
                yield self._text(sample, first)
                first = False

    def _text(self, sample: TelemetrySample, first: bool) -> str:
        if self._texts_of != sample.at:
            self._texts_of, self._known_texts = sample.at, {}
        key = (sample.interval_s, first)
        if key not in self._known_texts:
            self._known_texts[key] = sample.model_dump_json() if first else _without_info(sample)
        return self._known_texts[key]

    async def _from(self, due_s: float) -> TelemetrySample | None:
        """The first sample that is taken from now on and not before it is due; None when the agent stops."""
        while not self._ended:
            if self._next is None or self._next.done():
                self._next = asyncio.get_running_loop().create_future()
            sample = await asyncio.shield(self._next)
            if sample is None or sample.t_s >= due_s:
                return sample
        return None

    def _publish(self, sample: TelemetrySample | None) -> None:
        if sample is not None:
            self._past.append((sample.t_s, _without_info(sample)))
            while self._past[0][0] < sample.t_s - PAST_MAX_S:
                self._past.popleft()
        if self._next is not None and not self._next.done():
            self._next.set_result(sample)

    def _begin(self) -> asyncio.Task[None]:
        """Start the sampler in the background."""
        if self._beginning is None or self._beginning.done():

            async def begin() -> None:
                with contextlib.suppress(AgentError):  # it stops already
                    await self._running()

            self._beginning = asyncio.create_task(begin())
        return self._beginning

    async def _running(self) -> Recorder:
        self._looked_at = time.monotonic()
        async with self._changing:
            self._refuse_when_ended()
            if self._recorder is None:
                self._recorder = await asyncio.to_thread(self._start, asyncio.get_running_loop())
                self._idle = asyncio.create_task(self._stop_when_idle())
            return self._recorder

    def _refuse_when_ended(self) -> None:
        if self._ended:
            raise AgentError(ErrorCode.SHUTTING_DOWN, "the agent finishes what runs and then stops")

    def _start(self, loop: asyncio.AbstractEventLoop) -> Recorder:
        def hand_over(sample: TelemetrySample) -> None:
            loop.call_soon_threadsafe(self._publish, sample)

        sensors = Sensors(self._root)
        time.sleep(FIRST_LOOK_S)
        recorder = Recorder(sensors, self._interval_s, on_sample=hand_over, keep=False)
        recorder.start()
        return recorder

    async def _stop_when_idle(self) -> None:
        while self._streams or time.monotonic() < self._looked_at + self._idle_stop_s:
            await asyncio.sleep(min(self._interval_s, self._idle_stop_s))
        await self._stop_recorder()

    async def _stop_recorder(self) -> None:
        async with self._changing:
            recorder, self._recorder = self._recorder, None
            self._past.clear()
            if recorder is not None:
                await asyncio.to_thread(recorder.stop)


def _without_info(sample: TelemetrySample) -> str:
    return sample.model_copy(update={"info": {}}).model_dump_json()
