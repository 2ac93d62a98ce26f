"""What links of hostile tests lead to."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def decoy(tmp_path: Path) -> Iterator[Path]:
    """A folder that links lead to, with names the agent itself removes: it must be as it was afterwards."""
    made = tmp_path / "decoy"
    for name in (".", "work", "inputs", "output", "jobs"):
        (made / name).mkdir(parents=True, exist_ok=True)
        (made / name / "canary").write_text("alive")
    before = sorted(made.rglob("*"))
    yield made
    assert sorted(made.rglob("*")) == before
    assert all(path.read_text() == "alive" for path in before if path.is_file())
