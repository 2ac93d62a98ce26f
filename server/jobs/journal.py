"""What a job's process reported, read back: the measurement as far as it came."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.devices import DeviceEvent
from contract.results import Probe, Window
from server.jobs.host.events import EVENTS_NAME


@dataclass
class Journal:
    """Events of a job, put in order."""

    phases: list[tuple[str, int]] = field(default_factory=list)
    """Names and monotonic nanoseconds."""
    loaded: dict[str, Any] | None = None
    devices: list[DeviceEvent] = field(default_factory=list)
    """What happened to the devices of a benchmark."""
    ran_on: dict[str, Any] | None = None
    """What the timed phase ended on, and the iterations by engine."""
    warm_up_ms: list[float] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    iterations: int = 0
    samples_ms: list[float] = field(default_factory=list)
    profiled: dict[str, Any] | None = None
    """Operators and what the file says of them."""
    ended: dict[str, Any] | None = None
    """How a command ended."""
    probe: Probe | None = None
    failed: tuple[str, str] | None = None
    """Code and detail."""
    done: bool = False

    def take(self, event: dict[str, Any]) -> None:
        """Add one event."""
        match event.pop("event"):
            case "phase":
                self.phases.append((event["name"], event["at_ns"]))
            case "loaded":
                self.loaded = event
            case "device":
                self.devices.append(DeviceEvent.model_validate(event))
            case "ran-on":
                self.ran_on = event
            case "warm-up":
                self.warm_up_ms = event["took_ms"]
            case "window":
                self.windows.append(Window.model_validate(event))
                self.iterations += self.windows[-1].iterations
                self.samples_ms.extend(event["samples_ms"])
            case "profiled":
                self.profiled = event
            case "ended":
                self.ended = event
            case "probe":
                self.probe = Probe.model_validate(event)
            case "failed":
                self.failed = event["code"], event["detail"]
            case "done":
                self.done = True

    @property
    def phase(self) -> str:
        """Where the job is."""
        return self.phases[-1][0] if self.phases else "starting"

    def duration_s(self) -> float:
        """Of the timed phase so far."""
        return self.windows[-1].end_s if self.windows else 0.0


def read_journal(folder: Path) -> Journal:
    """The events that are on the disk; a last line that was cut off is left out."""
    journal = Journal()
    path = folder / EVENTS_NAME
    if path.exists():
        for line in path.read_bytes().splitlines():
            event = decode_event(line)
            if event is not None:
                journal.take(event)
    return journal


def decode_event(line: bytes) -> dict[str, Any] | None:
    """One line, None when it is no whole event."""
    try:
        event = json.loads(line)
        return event if isinstance(event, dict) and "event" in event else None
    except ValueError:
        return None
