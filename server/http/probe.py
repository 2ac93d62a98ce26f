"""The container's health check: `python -m server.http.probe` ends with 0 while the agent answers, with 1 when not.

It asks for liveness, the only path open without a token: the agent replaces lost workers itself, so what a restart
of the container can mend is a process that does not answer. With `--ready` it asks for readiness, for whoever sends
work, with a secret that the agent leaves in its data folder. Only the standard library is imported: on a small board
each import counts, every few seconds.
"""

import http.client
import json
import os
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from contract.paths import HEALTH_LIVE, HEALTH_READY

TIMEOUT_S = 8.0
READY = "--ready"
USAGE = f"python -m server.http.probe [{READY}]"
REASON_MAX_BYTES = 4096


def main(argv: Sequence[str]) -> int:
    """Ask the agent of this data folder; says on standard error what is wrong."""
    if list(argv) not in ([], [READY]):
        print(f"probe: usage: {USAGE}", file=sys.stderr)
        return 2
    try:
        status, reason = _ask(Path(os.environ["EDGERUN_DATA"]), ready=READY in argv)
    except (OSError, KeyError, ValueError, http.client.HTTPException) as error:
        print(f"probe: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    if status != http.HTTPStatus.OK:
        print(f"probe: {status} {reason}", file=sys.stderr)
    return 0 if status == http.HTTPStatus.OK else 1


def _ask(data: Path, *, ready: bool) -> tuple[int, str]:
    """The status, and what the agent says."""
    agent = json.loads((data / "agent.json").read_text())
    url = urlsplit(agent["url"])
    host = "127.0.0.1" if url.hostname == "0.0.0.0" else url.hostname or "127.0.0.1"
    connection = (
        # What is sent is of use for nothing but this question, and does not leave this machine's own loopback.
        http.client.HTTPSConnection(host, url.port, timeout=TIMEOUT_S, context=ssl._create_unverified_context())
        if url.scheme == "https"
        else http.client.HTTPConnection(host, url.port, timeout=TIMEOUT_S)
    )
    headers = {"Authorization": f"Bearer {agent['probe_secret']}"} if ready else {}
    connection.request("GET", HEALTH_READY if ready else HEALTH_LIVE, headers=headers)
    response = connection.getresponse()
    return response.status, response.read(REASON_MAX_BYTES).decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
