"""What a program has left while it still runs: whatever it does with its files, and without waiting for any."""

import io
import tarfile
import time

import httpx

from contract.codes import ErrorCode
from tests.agents import RunningAgent, wait_for
from tests.server.jobs.running import lasting, shell, submit, wait_until_ended
from tests.server.test_classify import problem

ODD = r"""cd "$OUTPUT" && mkdir sub && echo kept >sub/plain && ln -s /etc/passwd link && mkfifo pipe
touch "$(printf 'odd\377')"
: >restless; ( while :; do head -c 300000 /dev/zero >restless; : >restless; done ) &
echo ready; exec """


def so_far(http: httpx.Client, job_id: str, changed_since: float = 0) -> dict[str, int]:
    """Sizes of the files by name, from an archive that is whole."""
    answer = http.get(f"/v1/jobs/{job_id}/artifacts?changed_since={changed_since}")
    assert answer.status_code == 200, answer.text
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        members = archive.getmembers()
        assert all(member.isreg() for member in members)
        return {member.name: len(archive.extractfile(member).read()) for member in members}  # type: ignore[union-attr]


def test_files_of_a_running_program(worker_agent: RunningAgent) -> None:
    """Links and pipes are left out, names are escaped, a file that changes does no harm."""
    with worker_agent.http() as http:
        job = submit(http, shell(ODD + lasting(7119)))
        wait_for(lambda: "ready" in http.get(f"/v1/jobs/{job.id}/logs").text)
        for _ in range(20):
            found = so_far(http, job.id)
            assert found.pop("restless") in range(300_001)
            assert found == {"sub/plain": 5, "odd%FF": 0}
        assert set(so_far(http, job.id, time.time() + 3600)) == set()
        refused = http.get(f"/v1/jobs/{job.id}/artifacts")
        assert problem(refused).code == ErrorCode.JOB_NOT_ENDED
        http.post(f"/v1/jobs/{job.id}/cancel")
        wait_until_ended(http, job.id)
        assert "sub/plain" in so_far(http, job.id)
