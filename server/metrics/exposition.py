"""/metrics as bytes: in the form and compression that was asked for, and not more often than the device can bear."""

import asyncio
import gzip
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.telemetry import TelemetrySample
from server.metrics.observed import Observed

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from server.metrics.families import Counts

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
SENSORS_WAIT_S = 1.0
"""So long an answer waits for sensors that nobody asked for in the last minute."""
REST_FACTOR = 20
"""Collecting anew is put off for so many times what it took, so that who asks without end gets a twentieth of a core:
until then the same answer is given."""
REST_MAX_S = 1.0
COMPRESSION_LEVEL = 3


@dataclass(frozen=True)
class Rendered:
    """An answer."""

    body: bytes
    headers: Mapping[str, str]


class _Snapshot:
    """What prometheus-client takes for a registry: families that were collected before."""

    def __init__(self, families: "Iterable[Metric]") -> None:
        self._families = list(families)

    def collect(self) -> "Iterable[Metric]":
        return self._families


class Exposition:
    """Renders the metrics of one agent. Its methods belong to the event loop's thread."""

    def __init__(self, agent: Observed) -> None:
        self._agent = agent
        self._one_at_a_time = asyncio.Lock()
        self._rests_until_s = 0.0
        self._known: dict[tuple[bool, bool], bytes] = {}
        self._snapshot = _Snapshot(())

    async def render(self, accept: str, accept_encoding: str) -> Rendered:
        """The metrics for a request with these headers, which prometheus-client's own rules are applied to."""
        async with self._one_at_a_time:
            if time.monotonic() >= self._rests_until_s:
                await self._collect()
            openmetrics, compressed = await asyncio.to_thread(_preferences, accept, accept_encoding)
            form = openmetrics, compressed
            if form not in self._known:
                self._known[form], took_s = await asyncio.to_thread(_encode, self._snapshot, *form)
                self._rest(took_s)
            body = self._known[form]
        headers = {"content-type": OPENMETRICS if openmetrics else TEXT, "vary": "accept, accept-encoding"}
        return Rendered(body, headers | ({"content-encoding": "gzip"} if compressed else {}))

    async def _collect(self) -> None:
        sample = await self._agent.telemetry.fresh(SENSORS_WAIT_S)
        await asyncio.to_thread(_load)
        from server.metrics import families

        began_s = time.thread_time()
        present, counts = families.present(self._agent), families.copied(self._agent)
        loop_s = time.thread_time() - began_s
        others, thread_s = await asyncio.to_thread(_others, counts, sample)
        self._snapshot = _Snapshot([*present, *others])
        self._known.clear()
        self._rests_until_s = time.monotonic()
        self._rest(loop_s + thread_s)

    def _rest(self, took_s: float) -> None:
        now = time.monotonic()
        self._rests_until_s = min(max(now, self._rests_until_s) + REST_FACTOR * took_s, now + REST_MAX_S)


def _load() -> None:
    """Load what is needed when somebody asks for the first time, which takes a moment."""


def _others(counts: "Counts", sample: TelemetrySample | None) -> "tuple[list[Metric], float]":
    """What was counted, the sensors, and this process by the names that all clients use; with the CPU time it took."""
    from prometheus_client import CollectorRegistry, ProcessCollector

    from server.metrics import families

    began_s = time.thread_time()
    process = ProcessCollector(registry=CollectorRegistry()).collect()
    return [*families.counted(counts, sample), *process], time.thread_time() - began_s


def _preferences(accept: str, accept_encoding: str) -> tuple[bool, bool]:
    """Whether OpenMetrics is wanted, and whether gzip; a header that cannot be read wants neither."""
    from prometheus_client.exposition import choose_encoder, gzip_accepted

    try:
        _, content_type = choose_encoder(accept)
    except (ValueError, TypeError):  # a version that is none
        content_type = TEXT
    return content_type.startswith(OPENMETRICS.split(";")[0]), gzip_accepted(accept_encoding)


def _encode(snapshot: _Snapshot, openmetrics: bool, compressed: bool) -> tuple[bytes, float]:
    """The families as bytes, and the CPU time that took."""
    from prometheus_client.exposition import generate_latest
    from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

    began_s = time.thread_time()
    generate: Callable[[_Snapshot], bytes] = generate_openmetrics if openmetrics else generate_latest
    text = generate(snapshot)
    body = gzip.compress(text, COMPRESSION_LEVEL, mtime=0) if compressed else text
    return body, time.thread_time() - began_s
