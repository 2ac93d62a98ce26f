"""The wheel that a device is given: the same from a checkout and from an installed edgerun."""

import os
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from provisioning import wheels
from provisioning.wheels import Platform

ROOT = Path(__file__).parents[2]
MAKE = "import sys; from pathlib import Path; from provisioning.wheels import make_wheel; make_wheel(Path(sys.argv[1]))"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as the project's build system makes it."""
    folder = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=600)
    (path,) = folder.glob("*.whl")
    return path


def contents(wheel: Path) -> dict[str, bytes]:
    """The files of a wheel, less what describes it."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        return {name: archive.read(name) for name in names}


def needs(wheel: Path, extra: str) -> set[str]:
    """What pip would install on a board with that extra, without versions of edgerun's own."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        lines = HeaderParser().parsestr(archive.read(name).decode()).get_all("Requires-Dist", [])
    found = Platform("aarch64", "3.11.2", "2.36").needs([str(line) for line in lines], extra)
    return {str(Requirement(line)) for line in found}


def scripts(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        return archive.read(name).decode()


def test_a_checkout_gives_the_wheel_of_the_build_system(built: Path, tmp_path: Path) -> None:
    """File for file, the exact versions among them, the same commands, and the same requirements for a device."""
    made = wheels.make_wheel(tmp_path)
    assert contents(made) == contents(built)
    assert made.name == built.name
    assert "provisioning/constraints.txt" in contents(made)
    assert set(scripts(made).split()) == set(scripts(built).split())
    for extra in ("server", "openvino", "onnx"):
        assert needs(made, extra) == needs(built, extra)
        assert needs(made, extra) > needs(made, "")


def test_an_installed_edgerun_gives_its_own_wheel(built: Path, tmp_path: Path) -> None:
    """Without a checkout, without its build system."""
    site, out = tmp_path / "site", tmp_path / "out"
    out.mkdir()
    with zipfile.ZipFile(built) as archive:
        archive.extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    subprocess.run([sys.executable, "-c", MAKE, str(out)], env=environment, cwd=tmp_path, check=True, timeout=60)
    (made,) = out.glob("*.whl")
    assert contents(made) == contents(built)
    assert needs(made, "server") == needs(built, "server")
