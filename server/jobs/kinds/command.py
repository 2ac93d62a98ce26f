"""Commands: a program to run in a folder of its own, with what it leaves there."""

from pathlib import Path

from contract.codes import ErrorCode
from contract.jobs import CommandRequest, Progress
from contract.results import CommandResult
from contract.telemetry import Telemetry
from server.errors import AgentError
from server.jobs.kinds.base import Beginning, Kind, Measured, Places
from server.jobs.kinds.inputs import input_path, keep_inputs
from server.jobs.record.folders import OUTPUT_NAME, WORK_NAME
from server.jobs.record.journal import Journal
from server.jobs.record.orders import CommandOrder
from server.jobs.record.plain_events import EndedEvent
from server.validity.verdict import judge

PHASE = "command"


class CommandKind(Kind[CommandRequest]):
    """Runs a program."""

    leaves_files = True

    def accept(self, request: CommandRequest, record: Path) -> None:
        """Raises AgentError COMMANDS_NOT_ALLOWED, UNKNOWN_BLOB."""
        if not self._means.settings.allow_commands:
            raise AgentError(ErrorCode.COMMANDS_NOT_ALLOWED, "this agent was started without allowing commands")
        keep_inputs(self._means.registry, [request.spec.bundle] if request.spec.bundle else [], record)

    def begin(self, request: CommandRequest, places: Places) -> Beginning:
        """What to run, and in which folder."""
        spec = request.spec
        order = CommandOrder(
            argv=list(spec.argv),
            env=dict(spec.env),
            bundle=str(input_path(places.record, spec.bundle)) if spec.bundle else None,
            work=str(places.work / WORK_NAME),
            output=str(places.work / OUTPUT_NAME),
            max_file_bytes=self._means.settings.max_jobs_bytes,
        )
        return Beginning(order)

    def result(self, request: CommandRequest, measured: Measured) -> CommandResult | None:
        """How a program ended, None when it was never started."""
        journal, left = measured.journal, measured.left
        if all(name != PHASE for name, _ in journal.phases):
            return None
        ended = journal.ended or EndedEvent()
        return CommandResult(
            complete=measured.complete,
            spec=request.spec,
            exit_code=ended.exit_code,
            signal=ended.signal,
            duration_s=ended.duration_s or _duration_s(measured.telemetry),
            cpu_s=ended.cpu_s,
            max_resident_bytes=ended.max_resident_bytes,
            left_running=ended.left_running,
            stdout_bytes=left.stdout_bytes,
            stderr_bytes=left.stderr_bytes,
            artifacts=left.artifacts,
            artifacts_left_out=left.notes,
            probe=journal.probe,
            conditions=measured.conditions_with_temperatures(),
            validity=judge(measured.telemetry, journal.probe, phase=PHASE),
        )

    def progress(self, request: CommandRequest, journal: Journal, elapsed_s: float) -> Progress:
        """The seconds it has run; nobody knows how many it will be."""
        return Progress(phase=journal.phase, unit="seconds", done=round(elapsed_s, 1))


def _duration_s(telemetry: Telemetry | None) -> float:
    """As long as the telemetry saw the program, for one that was cut off."""
    if telemetry is None or not telemetry.t_s:
        return 0.0
    start = next((phase.start_s for phase in telemetry.phases if phase.name == PHASE), telemetry.t_s[0])
    return max(0.0, telemetry.t_s[-1] - start)
