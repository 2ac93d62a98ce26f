"""What five viewers of the live page cost the agent: CPU time of its own process, with and without them."""

import argparse
import os
import sys
import threading
import time
from pathlib import Path

import httpx

from benchmarks.common import agent
from contract.jobs import BenchmarkRequest
from contract.paths import JOB_CANCEL, JOB_EVENTS, JOBS, TELEMETRY_STREAM
from contract.specs import BenchmarkSpec

VIEWERS = 5
SHARE_OF_CORE_MAX = 0.01
SETTLE_S = 3.0
LIST_EVERY_S = 2.0
"""As the page asks for the list of jobs."""


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and of all its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def share(pid: int, seconds: float) -> float:
    """Share of a core that a process takes during so many seconds."""
    before, began = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / (time.monotonic() - began)


class Viewer:
    """What one open page asks of the agent."""

    def __init__(self, url: str, job_id: str | None) -> None:
        self._url = url
        self._job_id = job_id
        self._stop = threading.Event()
        self.samples = 0
        self.unchanged = 0
        work = [self._telemetry, self._list, *([self._job] if job_id else [])]
        self._threads = [threading.Thread(target=each, daemon=True) for each in work]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Close the page."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def _telemetry(self) -> None:
        self._stream(TELEMETRY_STREAM)

    def _job(self) -> None:
        self._stream(JOB_EVENTS.format(id=self._job_id))

    def _stream(self, path: str) -> None:
        with self._client() as http, http.stream("GET", path) as response:
            for line in response.iter_lines():
                self.samples += line == "event: sample"
                if self._stop.is_set():
                    return

    def _list(self) -> None:
        tag = ""
        with self._client() as http:
            while not self._stop.wait(LIST_EVERY_S):
                response = http.get(f"{JOBS}?limit=1", headers={"If-None-Match": tag})
                tag = response.headers["etag"]
                self.unchanged += response.status_code == httpx.codes.NOT_MODIFIED

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self._url, timeout=60, trust_env=False)


def measure(seconds: float, *, job: bool) -> tuple[float, float]:
    """Shares of a core without and with the viewers; with `job` while a benchmark job runs."""
    with agent("--workers", "1") as running, httpx.Client(base_url=running.host.url, trust_env=False) as http:
        job_id = submit(http, 2 * seconds + 60) if job else None
        time.sleep(SETTLE_S)
        without = share(running.process.pid, seconds)
        viewers = [Viewer(running.host.url, job_id) for _ in range(VIEWERS)]
        time.sleep(SETTLE_S)
        with_viewers = share(running.process.pid, seconds)
        seen = min(viewer.samples for viewer in viewers)
        for viewer in viewers:
            viewer.close()
        if job_id is not None:
            http.post(JOB_CANCEL.format(id=job_id))
    if seen < seconds:
        sys.exit(f"a viewer saw {seen} samples only in {seconds:g} s")
    return without, with_viewers


def submit(http: httpx.Client, duration_s: float) -> str:
    """Begin a job that measures for so long; gives its id."""
    request = BenchmarkRequest(spec=BenchmarkSpec(model="digits", threads=1, duration_s=duration_s))
    answer = http.post(JOBS, json=request.model_dump(mode="json")).raise_for_status()
    return str(answer.json()["id"])


def main() -> int:
    """Print both shares, idle and during a job. Ends with 1 when the viewers cost more than the aim."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    costs = []
    for job in (False, True):
        without, with_viewers = measure(arguments.seconds, job=job)
        costs.append(with_viewers - without)
        print("during a benchmark job" if job else "no job")
        print(f"  without viewers  {without:.2%} of a core")
        print(f"  {VIEWERS} viewers        {with_viewers:.2%}, they cost {costs[-1]:.2%}")
    return 0 if max(costs) <= SHARE_OF_CORE_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
