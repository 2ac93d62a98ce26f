"""Uploaded files that a job needs, held in its record while it waits."""

import os
from collections.abc import Sequence
from pathlib import Path

from server.jobs.record.folders import INPUTS_NAME
from server.models.registry import ModelRegistry


def keep_inputs(registry: ModelRegistry, digests: Sequence[str], record: Path) -> None:
    """Hold on to uploaded files: a blob that nothing names is removed after an hour, a queue may be longer.

    Raises AgentError UNKNOWN_BLOB.
    """
    paths = {digest: registry.blob(digest) for digest in digests}
    for digest, path in paths.items():
        target = input_path(record, digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            os.link(path, target)


def input_path(record: Path, digest: str) -> Path:
    """Where a file is that was kept."""
    return record / INPUTS_NAME / digest.removeprefix("sha256:")
