"""Try an uploaded model in throw-away processes, one for each installed runtime."""

import asyncio
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from contract.models import DetectionReading, RuntimeCheck, TensorInfo
from contract.tasks import Task
from server.models.trial_order import Trial
from server.processes.children import child_command, child_settings, exit_text, kill_session
from server.processes.reports import ChildReport

CHECK_TIMEOUT_S = 30.0
MAX_REPORT_BYTES = 1 << 20
MAX_DETAIL_CHARS = 600


@dataclass(frozen=True)
class TrialFinding:
    """What came of loading a model and running it once on one runtime."""

    check: RuntimeCheck
    crashed: bool = False
    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()
    unfit: Mapping[Task, str] = field(default_factory=dict)
    """Why the tensors do not fit some tasks."""
    detection: DetectionReading | None = None
    """How boxes are read, where there are any."""
    detector_classes: int | None = None
    """Classes of a YOLO head."""
    takes_no_image_because: str | None = None
    channels: int | None = None
    """Colour channels of the picture that it takes."""
    looks_like_probabilities: bool = False


async def try_model(trial: Trial, runtime: str, *, delegates: bool, memory_bytes: int) -> TrialFinding:
    """Load and run a model in a child process with limits on time and memory.

    Whatever the model does to that process becomes a Finding; nothing is raised for it.
    """
    with ChildReport() as channel:
        kernels = "delegates" if delegates else "builtin"
        fd, document = channel.theirs.fileno(), json.dumps(asdict(trial))
        arguments = (fd, os.getpid(), runtime, kernels, memory_bytes, document)
        child = await asyncio.create_subprocess_exec(
            *child_command("server.models.trial_main", *arguments),
            **child_settings([fd]),
        )
        report = asyncio.create_task(_read_all(await channel.reader(MAX_REPORT_BYTES)))
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                code = await child.wait()
                return _finding(code, await report)
        except TimeoutError:
            return TrialFinding(_refused(f"it was not through after {CHECK_TIMEOUT_S:g} s"), crashed=True)
        finally:
            report.cancel()
            kill_session(child.pid)
            await child.wait()


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    report = b""
    while (chunk := await reader.read(MAX_REPORT_BYTES)) and len(report) < MAX_REPORT_BYTES:
        report += chunk
    return report


def _refused(detail: str) -> RuntimeCheck:
    return RuntimeCheck(ok=False, detail=detail[:MAX_DETAIL_CHARS])


def _finding(code: int, report: bytes) -> TrialFinding:
    if code < 0:
        return TrialFinding(_refused(f"the process that tried it {exit_text(code)}"), crashed=True)
    try:
        found = json.loads(report)
        if "refused" in found:
            return TrialFinding(_refused(found["refused"]))
        return TrialFinding(
            RuntimeCheck(ok=True, load_ms=found["load_ms"], first_inference_ms=found["first_inference_ms"]),
            inputs=tuple(_tensor(fields) for fields in found["inputs"]),
            outputs=tuple(_tensor(fields) for fields in found["outputs"]),
            unfit={Task(task): str(reason)[:MAX_DETAIL_CHARS] for task, reason in found["unfit"].items()},
            detection=_detection(found["detection"]),
            detector_classes=(found["detection"] or {}).get("class_count"),
            takes_no_image_because=found["takes_no_image_because"],
            channels=found["channels"],
            looks_like_probabilities=found["looks_like_probabilities"],
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return TrialFinding(_refused(f"the process that tried it {exit_text(code)} and gave no report"), crashed=True)


def _detection(fields: dict[str, Any] | None) -> DetectionReading | None:
    return DetectionReading(form=fields["form"], coordinates=fields["coordinates"]) if fields else None


def _tensor(fields: dict[str, Any]) -> TensorInfo:
    """A tensor as reported; a scale that is no number is left out, since JSON could not carry it on."""
    scale = fields["scale"]
    usable = scale is not None and math.isfinite(scale)
    return TensorInfo(**{**fields, "scale": scale if usable else None})
