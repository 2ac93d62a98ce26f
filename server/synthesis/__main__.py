"""`python -P -m server.synthesis NAME FILE`: write a synthetic model into a file."""

import sys
from pathlib import Path

from server.synthesis.models import synthetic_model


def main(argv: list[str]) -> int:
    """Write one model."""
    name, path = argv
    Path(path).write_bytes(synthetic_model(name))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
