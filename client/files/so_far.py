"""What a job that still runs has left so far, brought up to date in one folder again and again."""

import contextlib
import shutil
from pathlib import Path

from client.errors import EdgeError, Refused
from client.files.fetch import ARTIFACTS, fetch_log
from client.files.saved import write_job, write_telemetry_csv, write_text
from client.files.unpack import unpack
from client.sdk.edge_client import EdgeClient
from client.sdk.events import FILE_MAX_BYTES
from contract.jobs import CommandRequest, Job

MARGIN_S = 2.0
"""What changed so long before the agent's newest sample is asked for again: clocks of file systems are coarse."""


class SoFar:
    """One job's folder: `job.json`, telemetry (JSON and CSV), logs, and the artefacts as they are now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._artifacts_since_s = 0.0

    def update(self, client: EdgeClient, job: Job) -> None:
        """Fetch what came since the last time; what is here stays whatever happens. Raises EdgeError and OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_job(self.folder, job)
        for stream in ("stdout", "stderr"):
            with contextlib.suppress(Refused):
                fetch_log(client, job, stream, self.folder / f"{stream}.log", more=True)
        with contextlib.suppress(Refused):
            telemetry = client.job_telemetry(job.id)
            write_text(self.folder / "telemetry.json", telemetry.model_dump_json() + "\n")
            write_telemetry_csv(self.folder / "telemetry.csv", telemetry)
        if isinstance(job.request, CommandRequest):
            with contextlib.suppress(Refused):
                self._fetch_artifacts(client, job)

    def _fetch_artifacts(self, client: EdgeClient, job: Job) -> None:
        now_s = client.telemetry().at.timestamp()
        archive, fresh = self.folder / ".artifacts.tar", self.folder / ".artifacts"
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            client.job_artifacts(job.id, archive, FILE_MAX_BYTES, self._artifacts_since_s)
            for path in unpack(archive, fresh, files_only=True):
                _put(path, self.folder / ARTIFACTS / path.relative_to(fresh))
        finally:
            archive.unlink(missing_ok=True)
            shutil.rmtree(fresh, ignore_errors=True)
        self._artifacts_since_s = now_s - MARGIN_S


def _put(path: Path, target: Path) -> None:
    """Put a file in the place of what was there; raises EdgeError where a folder has become a file, or a file one."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    except OSError as error:
        raise EdgeError(f"{target}: {error.strerror or error}", hint="the program made something else of it") from error
