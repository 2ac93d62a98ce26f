"""Whether a measurement can be trusted, and why not."""

from enum import StrEnum

from pydantic import BaseModel


class Verdict(StrEnum):
    """The verdicts, from best to worst."""

    OK = "ok"
    SUSPECT = "suspect"
    UNRELIABLE = "unreliable"


class CheckCode(StrEnum):
    """What is looked at; docs/validity.md explains each with its threshold."""

    THROTTLE_FLAG = "throttle_flag"
    UNDER_VOLTAGE = "under_voltage"
    COOLING_ACTIVE = "cooling_active"
    CLOCK_DROP = "clock_drop"
    PROBE_SLOW = "probe_slow"
    CPU_QUOTA = "cpu_quota"
    DRIFT = "drift"
    NOISY = "noisy"
    CONTENTION = "contention"
    HOT_START = "hot_start"
    SAMPLER_GAP = "sampler_gap"


class Finding(BaseModel):
    """A check that found something."""

    code: CheckCode
    verdict: Verdict
    detail: str


class Validity(BaseModel):
    """The verdict on one measurement."""

    verdict: Verdict
    reasons: list[Finding]
    """Worst first."""
    checked: list[CheckCode]
    not_checkable: dict[CheckCode, str]
    """What could not be looked at here, and why: a clean verdict from a blind container is weaker."""
