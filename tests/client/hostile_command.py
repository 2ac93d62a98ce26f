"""`client` with a note of the memory it needed: `python -m tests.client.hostile_command NOTE ARGUMENTS...`."""

import sys
from pathlib import Path

from client.cli import main
from tests.client.hostile_calls import memory_bytes

if __name__ == "__main__":
    note = Path(sys.argv.pop(1))
    try:
        sys.exit(main())
    finally:
        note.write_text(str(memory_bytes()))
