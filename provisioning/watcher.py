"""`up --watch`: a `provision watch` that goes on in the background, one for each deployment."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_state_path

from provisioning.errors import DeploymentBusy

PROVISION = "import sys; from provisioning.cli import main; sys.exit(main())"


def log_of(name: str) -> Path:
    """Where a watcher in the background says what it fetches."""
    return user_state_path("edgerun") / "watch" / f"{name}.log"


@contextmanager
def only_watcher(name: str) -> Iterator[None]:
    """Be the one that watches a deployment from this machine; raises DeploymentBusy where another does."""
    log_of(name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with FileLock(log_of(name).with_suffix(".lock"), timeout=0):
            yield
    except Timeout:
        hint = f"what it fetches is in its own folder; one in the background writes {log_of(name)}"
        raise DeploymentBusy(f"another provision watches {name} already", hint=hint) from None


def watch_in_background(name: str, folder: Path) -> bool:
    """Leave a watcher running that ends with its deployment; False where one does that already."""
    try:
        with only_watcher(name):
            pass
    except DeploymentBusy:
        return False
    with log_of(name).open("wb") as log:
        subprocess.Popen(
            [sys.executable, "-c", PROVISION, "watch", name, "--save", str(folder.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return True
