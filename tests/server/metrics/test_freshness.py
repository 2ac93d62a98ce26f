"""Sensors in the metrics are those of now, or are left out."""

import asyncio
from pathlib import Path

import pytest

from server.telemetry import live
from server.telemetry.live import LiveTelemetry
from tests.server.telemetry.trees import raspberry_pi_4

WAIT_S = 30.0


def test_an_old_sample_is_not_shown_as_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the sampler hangs there is no sample, rather than one of before."""

    async def look() -> None:
        telemetry = LiveTelemetry(raspberry_pi_4(tmp_path), interval_s=60.0)
        try:
            assert await telemetry.fresh(WAIT_S) is not None
            monkeypatch.setattr(live, "STALE_S", 0.01)
            await asyncio.sleep(0.05)
            assert await telemetry.fresh(WAIT_S) is None
        finally:
            await telemetry.stop()
        assert await telemetry.fresh(WAIT_S) is None

    asyncio.run(look())


def test_nobody_waits_long_for_slow_sensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first answers come without sensors, those after they were found with them, by one sampler."""
    monkeypatch.setattr(live, "FIRST_LOOK_S", 0.5)

    async def look() -> None:
        telemetry = LiveTelemetry(raspberry_pi_4(tmp_path))
        try:
            assert await telemetry.fresh(0.01) is None
            assert await asyncio.gather(*(telemetry.fresh(0.01) for _ in range(3))) == [None] * 3
            while (sample := await telemetry.fresh(WAIT_S)) is None:
                pass
            assert sample.values["cpu_temperature_celsius"] == pytest.approx(48.312)
        finally:
            await telemetry.stop()

    asyncio.run(look())
