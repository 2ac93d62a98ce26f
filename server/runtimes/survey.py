"""The throw-away process that asks a runtime for its devices: drivers that are half there may crash it.

Started as `python -P -m server.runtimes.survey REPORT_FD AGENT_PID RUNTIME`. Writes a JSON list to REPORT_FD.
"""

import json
import os
import signal
import sys
from dataclasses import asdict

from server.processes.confinement import die_with, forbid_new_privileges
from server.runtimes import open_runtime


def main(argv: list[str]) -> int:
    """Ask one runtime."""
    report_fd, agent_pid, name = argv
    if not die_with(int(agent_pid)):
        return 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    forbid_new_privileges()
    found = [asdict(device) for device in open_runtime(name, delegates=True).devices()]
    os.write(int(report_fd), json.dumps(found).encode())
    os._exit(0)  # whatever drivers left behind, their destructors need not run


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
