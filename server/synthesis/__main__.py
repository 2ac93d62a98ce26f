"""`python -P -m server.synthesis NAME FILE AGENT_PID`: write a synthetic model into a file for the agent."""

import sys
from pathlib import Path

from server.processes.confinement import die_with, forbid_new_privileges
from server.synthesis.models import synthetic_model


def main(argv: list[str]) -> int:
    """Write one model."""
    name, path, agent_pid = argv
    if not die_with(int(agent_pid)):
        return 1
    forbid_new_privileges()
    Path(path).write_bytes(synthetic_model(name))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
