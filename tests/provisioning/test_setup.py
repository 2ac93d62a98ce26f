"""`scripts/setup` keeps what an environment has, and does nothing when it is up to date."""

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ("pyproject.toml", "constraints.txt")
WEB_FILES = ("scripts/web/package.json", "scripts/web/package-lock.json")
"""Of the tools for the pages' JavaScript, which only `dev` installs."""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with an environment whose Python only notes what it is asked for."""
    (tmp_path / "scripts" / "web").mkdir(parents=True)
    for name in ("scripts/setup", *FILES, *WEB_FILES):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "scripts" / "setup").chmod(0o755)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@" >>asked\n')
    python.chmod(0o755)
    return tmp_path


def setup(clone: Path, *arguments: str, has: str | None = None, current: bool = True) -> tuple[int, str, str]:
    """Exit code, what pip was asked to install, and the stamp; `has` is the level that is there."""
    files = (*FILES, *(WEB_FILES if has == "dev" else ()))
    digest = hashlib.sha256("".join((clone / name).read_text() for name in files).encode()).hexdigest()
    stamp = clone / ".venv" / "edgerun-stamp"
    if has is not None:
        stamp.write_text(f"{has} {platform.python_version()} {digest if current else 'older'}\n")
    (clone / "asked").unlink(missing_ok=True)
    environment = {**os.environ, "PYTHON": sys.executable, "PATH": "/usr/bin:/bin"}
    command = [str(clone / "scripts" / "setup"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    asked = (clone / "asked").read_text().split()[-1] if (clone / "asked").exists() else ""
    return done.returncode, asked, stamp.read_text().split()[0] if stamp.exists() else ""


def test_a_new_environment_is_light(clone: Path) -> None:
    """CHI@Edge's libraries come when they are asked for."""
    assert setup(clone) == (0, ".[server,client,boards]", "app")
    assert setup(clone, "chi") == (0, ".[server,client,provisioning]", "chi")


@pytest.mark.parametrize(
    ("has", "asked_for"), [("app", ()), ("chi", ()), ("chi", ("chi",)), ("dev", ()), ("dev", ("chi",))]
)
def test_what_is_up_to_date_costs_nothing(clone: Path, has: str, asked_for: tuple[str, ...]) -> None:
    """An environment for more serves less."""
    assert setup(clone, *asked_for, has=has) == (0, "", has)


def test_an_older_environment_is_renewed_as_what_it_is(clone: Path) -> None:
    """After a pull, `scripts/demo` does not take CHI@Edge away."""
    assert setup(clone, has="chi", current=False) == (0, ".[server,client,provisioning]", "chi")


def test_an_unknown_level_is_refused(clone: Path) -> None:
    """With the ones there are."""
    assert setup(clone, "everything") == (2, "", "")
