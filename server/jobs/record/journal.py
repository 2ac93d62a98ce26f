"""What a job's process reported, read back: the measurement as far as it came."""

import os
from dataclasses import dataclass, field

from contract.devices import DeviceEvent
from contract.results import Probe, Window
from server.jobs.record.channels import EVENTS_NAME
from server.jobs.record.events import (
    DETAIL_MAX,
    DeviceReport,
    Event,
    LoadedEvent,
    ProfiledEvent,
    RanOnEvent,
    WarmUpEvent,
    WindowEvent,
    decode_event,
)
from server.jobs.record.folders import JobFolders
from server.jobs.record.plain_events import DoneEvent, EndedEvent, FailedEvent, PhaseEvent, ProbeEvent

LINE_MAX_BYTES = 64 << 20
READ_MAX_BYTES = 512 << 20
PHASES_MAX = 1000
DEVICE_EVENTS_MAX = 10_000
WINDOWS_MAX = 1_000_000
SAMPLES_MAX = 2_000_000
"""Several times what a job's process reports."""


@dataclass
class Journal:
    """Events of a job, put in order."""

    phases: list[tuple[str, int]] = field(default_factory=list)
    """Names and monotonic nanoseconds."""
    loaded: LoadedEvent | None = None
    devices: list[DeviceEvent] = field(default_factory=list)
    """What happened to the devices of a benchmark."""
    ran_on: RanOnEvent | None = None
    """What the timed phase ended on, and the iterations by engine."""
    warm_up_ms: list[float] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    iterations: int = 0
    samples_ms: list[float] = field(default_factory=list)
    profiled: ProfiledEvent | None = None
    ended: EndedEvent | None = None
    """How a command ended."""
    probe: Probe | None = None
    failed: tuple[str, str] | None = None
    """Code and detail."""
    done: bool = False
    ignored: int = 0
    """Lines that were no event, or more of a kind than a job has."""

    def take_line(self, line: bytes) -> Event | None:
        """Add the event of one line; gives it, None for one that is ignored."""
        event = decode_event(line)
        if event is None or self._is_beyond(event):
            self.ignored += 1
            return None
        self.take(event)
        return event

    def take(self, event: Event) -> None:
        """Add one event."""
        match event:
            case PhaseEvent():
                self.phases.append((event.name, event.at_ns))
            case LoadedEvent():
                self.loaded = event
            case DeviceReport():
                self.devices.append(DeviceEvent.model_validate(event.model_dump(exclude={"event"})))
            case RanOnEvent():
                self.ran_on = event
            case WarmUpEvent():
                self.warm_up_ms = event.took_ms
            case WindowEvent():
                self.windows.append(Window.model_validate(event.model_dump(exclude={"event", "samples_ms"})))
                self.iterations += event.iterations
                self.samples_ms.extend(event.samples_ms)
            case ProfiledEvent():
                self.profiled = event
            case EndedEvent():
                self.ended = event
            case ProbeEvent():
                self.probe = Probe(before_ms=event.before_ms, after_ms=event.after_ms)
            case FailedEvent():
                self.failed = event.code, event.detail[:DETAIL_MAX]
            case DoneEvent():
                self.done = True

    @property
    def phase(self) -> str:
        """Where the job is."""
        return self.phases[-1][0] if self.phases else "starting"

    def duration_s(self) -> float:
        """Seconds of the timed phase so far."""
        return self.windows[-1].end_s if self.windows else 0.0

    def _is_beyond(self, event: Event) -> bool:
        match event:
            case PhaseEvent():
                return len(self.phases) >= PHASES_MAX
            case DeviceReport():
                return len(self.devices) >= DEVICE_EVENTS_MAX
            case WindowEvent():
                return len(self.windows) >= WINDOWS_MAX or len(self.samples_ms) >= SAMPLES_MAX
            case _:
                return False


def read_journal(folders: JobFolders, job_id: str) -> Journal:
    """The events that are on the disk; a last line that was cut off is left out."""
    journal = Journal()
    descriptor = folders.open(job_id, EVENTS_NAME)
    if descriptor is None:
        return journal
    left = READ_MAX_BYTES
    with os.fdopen(descriptor, "rb") as file:
        while left > 0 and (line := file.readline(min(left, LINE_MAX_BYTES))):
            left -= len(line)
            if line.endswith(b"\n"):
                journal.take_line(line)
            else:
                journal.ignored += 1
    return journal
