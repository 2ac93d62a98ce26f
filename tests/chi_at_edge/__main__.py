"""Run the loopback service until Ctrl-C: `python -m tests.chi_at_edge` prints what to export."""

import argparse
import contextlib
import shlex
import signal
import sys
import threading

from tests.chi_at_edge.containers import namespaces_work
from tests.chi_at_edge.service import running_testbed
from tests.chi_at_edge.state import AGENT_IMAGE


def main() -> int:
    """Serve; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chi_at_edge", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 for any free one")
    parser.add_argument("--minutes", type=float, default=240.0, help="how long the lease `demo` runs")
    arguments = parser.parse_args()
    if not namespaces_work():
        print("this machine allows no user namespaces, and the loopback containers need them", file=sys.stderr)
        return 1
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with running_testbed(port=arguments.port) as testbed, contextlib.suppress(KeyboardInterrupt):
        testbed.leases.clear()
        testbed.add_lease("demo", hours=arguments.minutes / 60)
        for name, value in testbed.environment().items():
            print(f"export {name}={shlex.quote(value)}", flush=True)
        print(f"# in another terminal: provision up --lease demo --name edge1 --image {AGENT_IMAGE}", flush=True)
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
