"""NVIDIA's management library, where pynvml is installed and finds a device. Imported only when asked."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from contract.telemetry import SeriesInfo
from server.telemetry.series import MILLI, Group, Reading, counter, gauge

SOURCE = "NVML"
MEGA = 1e6
PER_CENT = 1e-2
THROTTLE_REASONS = {"power_cap": 0x04, "software_thermal": 0x20, "hardware_thermal": 0x40, "power_brake": 0x80}
"""Bits of NVML's clock event reasons; the two thermal ones make a measurement unreliable."""


def discover() -> tuple[list[Group], str]:
    """A group a device, and why there is none."""
    try:
        import pynvml
    except ImportError:
        return [], "pynvml is not installed"
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as error:
        return [], f"NVML: {error}"
    labels = [{} if len(handles) == 1 else {"gpu": str(at)} for at in range(len(handles))]
    groups = [_device(pynvml, handle, label) for handle, label in zip(handles, labels, strict=True)]
    return [group for group in groups if group.infos], "NVML knows no device"


def _device(library: Any, handle: Any, labels: dict[str, str]) -> Group:
    """What this device answers to: older boards leave some questions open."""
    questions = [
        question for question in _questions(library, handle, labels) if _answers(question[1], library.NVMLError)
    ]
    infos = [info for infos, _ in questions for info in infos]
    return Group(infos, lambda: [value for infos, ask in questions for value in _asked(ask, len(infos), library)])


def _answers(ask: Callable[[], Sequence[Reading]], fault: type[Exception]) -> bool:
    with contextlib.suppress(fault, AttributeError):  # a pynvml that is older than the question
        return bool(ask())
    return False


def _asked(ask: Callable[[], Sequence[Reading]], count: int, library: Any) -> Sequence[Reading]:
    try:
        return ask()
    except library.NVMLError:
        return [None] * count


def _questions(
    library: Any, handle: Any, labels: dict[str, str]
) -> list[tuple[list[SeriesInfo], Callable[[], Sequence[Reading]]]]:
    rail = {"rail": "gpu", **labels}
    reasons = [gauge("gpu_throttle_active", "1", SOURCE, {"reason": reason, **labels}) for reason in THROTTLE_REASONS]

    def utilization() -> list[Reading]:
        return [library.nvmlDeviceGetUtilizationRates(handle).gpu * PER_CENT]

    def memory() -> list[Reading]:
        sizes = library.nvmlDeviceGetMemoryInfo(handle)
        return [float(sizes.used), float(sizes.total)]

    def throttling() -> list[Reading]:
        bits = library.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
        return [float(bool(bits & mask)) for mask in THROTTLE_REASONS.values()]

    return [
        (
            [gauge("gpu_temperature_celsius", "celsius", SOURCE, labels)],
            lambda: [float(library.nvmlDeviceGetTemperature(handle, library.NVML_TEMPERATURE_GPU))],
        ),
        ([gauge("gpu_utilization_ratio", "ratio", SOURCE, labels)], utilization),
        (
            [gauge("gpu_frequency_hertz", "hertz", SOURCE, labels)],
            lambda: [library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_SM) * MEGA],
        ),
        ([gauge(f"gpu_memory_{what}_bytes", "bytes", SOURCE, labels) for what in ("used", "total")], memory),
        ([gauge("power_watts", "watts", SOURCE, rail)], lambda: [library.nvmlDeviceGetPowerUsage(handle) * MILLI]),
        (
            [counter("energy_joules_total", "joules", SOURCE, {"domain": "gpu", **labels})],
            lambda: [library.nvmlDeviceGetTotalEnergyConsumption(handle) * MILLI],
        ),
        (reasons, throttling),
    ]
