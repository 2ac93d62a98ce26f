"""The container's health check: `python -m server.http.probe` ends with 0 while the agent answers, with 1 when not.

It asks for liveness, the only path open without a token: the agent replaces lost workers itself, so what a restart
of the container can mend is a process that does not answer. Only the standard library is imported: on a small board
each import counts, every few seconds.
"""

import http.client
import json
import os
import ssl
import sys
from pathlib import Path
from urllib.parse import urlsplit

from contract.paths import HEALTH_LIVE

TIMEOUT_S = 8.0


def main() -> int:
    """Ask the agent of this data folder; says on standard error what is wrong."""
    try:
        status = _live(Path(os.environ["EDGERUN_DATA"]))
    except (OSError, KeyError, ValueError, http.client.HTTPException) as error:
        print(f"probe: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0 if status == http.HTTPStatus.OK else 1


def _live(data: Path) -> int:
    url = urlsplit(json.loads((data / "agent.json").read_text())["url"])
    host = "127.0.0.1" if url.hostname == "0.0.0.0" else url.hostname or "127.0.0.1"
    connection = (
        # Nothing secret is sent, so whom it asks does not matter beyond this machine's own loopback.
        http.client.HTTPSConnection(host, url.port, timeout=TIMEOUT_S, context=ssl._create_unverified_context())
        if url.scheme == "https"
        else http.client.HTTPConnection(host, url.port, timeout=TIMEOUT_S)
    )
    connection.request("GET", HEALTH_LIVE)
    return connection.getresponse().status


if __name__ == "__main__":
    sys.exit(main())
