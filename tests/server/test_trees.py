"""Removal and reading below a folder that somebody else may write into."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.storage.trees import Folder, bytes_in

DEPTH = 1500


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    (tmp_path / "folder").mkdir()
    with Folder.at(tmp_path / "folder") as opened:
        yield opened


def nested(folder: Folder, name: str, depth: int) -> None:
    """Folders within folders, made by descriptor: their path is longer than a path may be."""
    inner = folder.make(name)
    for _ in range(depth - 1):
        following = inner.make(name)
        inner.close()
        inner = following
    os.close(inner.open("file", os.O_WRONLY | os.O_CREAT))
    inner.close()


def test_a_link_is_removed_and_not_what_it_leads_to(folder: Folder, decoy: Path, tmp_path: Path) -> None:
    """As a name, below a folder, and where it is absolute, relative, or leads nowhere."""
    root = tmp_path / "folder"
    (root / "tree").mkdir()
    for place in (root, root / "tree"):
        (place / "absolute").symlink_to(decoy)
        (place / "relative").symlink_to("../" * len(place.relative_to(tmp_path).parts) + "decoy")
        (place / "nowhere").symlink_to("nothing")
        (place / "file").symlink_to(decoy / "work" / "canary")
        (place / "folder").symlink_to(decoy / "work")
    for name in ("tree", "absolute", "relative", "nowhere", "file", "folder", "absent"):
        folder.remove(name)
    assert folder.names() == []


@pytest.mark.parametrize(("name", "depth"), [("d", DEPTH), ("d" * 200, 40)])
def test_no_depth_is_too_deep(folder: Folder, name: str, depth: int) -> None:
    """Neither many folders nor a path beyond PATH_MAX."""
    nested(folder, name, depth)
    folder.remove(name)
    assert folder.names() == []


def test_folders_that_forbid_it_are_removed(tmp_path: Path) -> None:
    """By a user who is not root, too."""
    code = (
        "import os, sys; from pathlib import Path; from server.storage.trees import Folder\n"
        "os.geteuid() or os.setuid(65534)\n"
        "os.makedirs('t/a/b/c'); open('t/a/b/f', 'w').close()\n"
        "for path in ('t/a/b/c', 't/a/b', 't/a', 't'): os.chmod(path, 0)\n"
        "Folder.at(Path()).remove('t'); print(os.listdir())"
    )
    tmp_path.chmod(0o777)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import server.storage.trees, os; os.chdir(os.environ['WHERE']); exec(os.environ['CODE'])",
        ],
        env={**os.environ, "CODE": code, "WHERE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "[]\n", done.stderr


def test_odd_things_are_removed(folder: Folder, tmp_path: Path) -> None:
    """Pipes, sockets, names that are not UTF-8, and very many files."""
    root = tmp_path / "folder" / "tree"
    root.mkdir()
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
    (root / os.fsdecode(b"\xff\n")).touch()
    for number in range(3000):
        (root / f"{number}").touch()
    folder.remove("tree")
    assert folder.names() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
def test_what_is_mounted_below_stays(folder: Folder, decoy: Path, tmp_path: Path) -> None:
    """The removal says so, and takes the rest."""
    root = tmp_path / "folder" / "tree"
    (root / "deep" / "mounted").mkdir(parents=True)
    (root / "file").touch()
    if subprocess.run(["mount", "--bind", str(decoy), str(root / "deep" / "mounted")], check=False).returncode:
        pytest.skip("this sandbox does not mount")
    try:
        with pytest.raises(OSError, match=r"busy|mounted"):
            folder.remove("tree")
        assert not (root / "file").exists()
    finally:
        subprocess.run(["umount", str(root / "deep" / "mounted")], check=True)
    folder.remove("tree")
    assert folder.names() == []


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("canary")])
def test_only_files_are_opened(folder: Folder, decoy: Path, tmp_path: Path, make: object) -> None:
    """A pipe is not waited for, a link is not followed."""
    assert callable(make)
    (tmp_path / "folder" / "canary").write_text("alive")
    make(tmp_path / "folder" / "odd")
    with pytest.raises(OSError, match=r"odd|regular"):
        folder.open("odd")
    with pytest.raises(OSError, match=r"odd|regular"):
        folder.open("odd", os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def test_a_file_is_replaced_as_a_whole_whatever_is_in_its_place(folder: Folder, decoy: Path, tmp_path: Path) -> None:
    """A link is replaced and not written through, a full folder is removed."""
    root = tmp_path / "folder"
    (root / "link").symlink_to(decoy / "work" / "canary")
    (root / "full" / "folder").mkdir(parents=True)
    os.mkfifo(root / "pipe")
    for name in ("link", "full", "pipe", "new"):
        folder.replace(name, b"content")
        assert folder.read(name, 7) == b"content"
        with pytest.raises(OSError, match="large"):
            folder.read(name, 6)
    assert sorted(folder.names()) == ["full", "link", "new", "pipe"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a"])
def test_a_path_is_no_name(folder: Folder, name: str) -> None:
    for act in (folder.remove, folder.folder, folder.make, folder.open, folder.entered):
        with pytest.raises(ValueError, match="no name"):
            act(name)


def test_sizes_do_not_count_what_links_lead_to(folder: Folder, decoy: Path, tmp_path: Path) -> None:
    (tmp_path / "folder" / "a").mkdir()
    (tmp_path / "folder" / "a" / "file").write_bytes(bytes(100_000))
    (tmp_path / "folder" / "link").symlink_to(decoy)
    assert 100_000 <= bytes_in(folder, 4) < 120_000
