"""What is installed: the packages, their data, and nothing else."""

import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"contract", "image_model", "web", "server", "client", "provisioning", "edgerun"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the files in the wheel, as the project's build system makes it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=600)
    (path,) = folder.glob("edgerun-*.whl")
    return set(zipfile.ZipFile(path).namelist())


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: set[str]) -> None:
    """No tests, scripts or benchmarks land on a device."""
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES


def test_the_wheel_holds_every_tracked_file_of_the_packages(wheel: set[str]) -> None:
    """A data file that is missing shows only on the device."""
    tracked = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    assert set(tracked.stdout.split()) - wheel == set()
    assert "image_model/embedded/digits.tflite" in wheel
    assert {f"{package}/py.typed" for package in PACKAGES} <= wheel


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_nobody_else_installs_a_package_of_this_name(package: str) -> None:
    """Top-level names as plain as `client` and `server` are safe only as long as no dependency brings one too."""
    assert set(packages_distributions().get(package, ["edgerun"])) == {"edgerun"}


def test_every_requirement_has_its_exact_version() -> None:
    """What pyproject.toml asks for is pinned in constraints.txt."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(line for lines in project["optional-dependencies"].values() for line in lines),
    ]
    names = {_name(line) for line in wanted} - {"edgerun"}
    pinned = {_name(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert names <= pinned


def _name(requirement: str) -> str:
    end = next((i for i, letter in enumerate(requirement) if not (letter.isalnum() or letter in "-_.")), None)
    return requirement[:end].lower().replace("_", "-")
