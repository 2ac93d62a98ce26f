"""Folders packed for command jobs."""

import os
import tarfile
from pathlib import Path

import pytest

from client.files.bundles import BundleError, pack
from client.files.unpack import unpack

LIMIT_BYTES = 10**6


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder as somebody would send it."""
    folder = tmp_path / "program"
    (folder / "data").mkdir(parents=True)
    (folder / "train.py").write_text("print(1)\n")
    (folder / "data" / "x.bin").write_bytes(b"\0" * 100)
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o700)
    (folder / "latest").symlink_to("data/x.bin")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("private")
    (folder / "__pycache__").mkdir()
    return folder


def test_the_same_folder_gives_the_same_bytes(program: Path, tmp_path: Path) -> None:
    """Times, owners and the order of the disk do not count."""
    pack(program, tmp_path / "one.tar", LIMIT_BYTES)
    os.utime(program / "train.py", (1, 1))
    (program / "run.sh").chmod(0o755)
    pack(program, tmp_path / "two.tar", LIMIT_BYTES)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        names = tar.getnames()
        assert {(info.uid, info.gid, info.uname, info.mtime) for info in tar} == {(0, 0, "", 0)}
    assert names == sorted(names)


def test_what_is_packed_can_be_unpacked(program: Path, tmp_path: Path) -> None:
    """Contents, modes and links within; what was left out is named."""
    bundle = pack(program, tmp_path / "one.tar", LIMIT_BYTES)
    assert (bundle.files, bundle.content_bytes) == (3, 119)
    assert bundle.left_out == (".git", "__pycache__")
    unpack(tmp_path / "one.tar", tmp_path / "out")
    assert (tmp_path / "out" / "train.py").read_text() == "print(1)\n"
    assert os.access(tmp_path / "out" / "run.sh", os.X_OK)
    assert not os.access(tmp_path / "out" / "train.py", os.X_OK)
    assert (tmp_path / "out" / "latest").readlink() == Path("data/x.bin")


def test_too_large_is_said_with_the_largest_file(program: Path, tmp_path: Path) -> None:
    """Before anything is packed."""
    with pytest.raises(BundleError, match=r"the agent takes 0\.0 MB") as caught:
        pack(program, tmp_path / "one.tar", 50)
    assert "data/x.bin" in (caught.value.hint or "")
    assert not (tmp_path / "one.tar").exists()


@pytest.mark.parametrize("target", ["/etc/passwd", "../secret", "data/../../secret"])
def test_links_out_of_the_folder_are_refused(program: Path, tmp_path: Path, target: str) -> None:
    """The link is named: what it leads to would silently be missing on the device."""
    (program / "link").symlink_to(target)
    with pytest.raises(BundleError, match="link links to"):
        pack(program, tmp_path / "one.tar", LIMIT_BYTES)


def test_special_files_and_no_folder_are_refused(program: Path, tmp_path: Path) -> None:
    """A pipe cannot be packed, a file is no folder."""
    os.mkfifo(program / "pipe")
    with pytest.raises(BundleError, match="pipe is neither"):
        pack(program, tmp_path / "one.tar", LIMIT_BYTES)
    with pytest.raises(BundleError, match="is not a folder"):
        pack(program / "train.py", tmp_path / "one.tar", LIMIT_BYTES)
