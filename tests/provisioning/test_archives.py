"""Files on their way: where they land, and what of an archive is taken."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from client.files.unpack import UnsafeArchive
from provisioning import archives
from provisioning.errors import ProvisioningError


def packed(source: Path, name: str) -> io.BytesIO:
    into = io.BytesIO()
    archives.pack(source, name, into)
    return into


def archive(*names: str) -> io.BytesIO:
    """A tar of files that hold one byte."""
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
    into.seek(0)
    return into


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with a program, a file of two names, a link, and a pipe."""
    folder = tmp_path / "source"
    (folder / "deep").mkdir(parents=True)
    (folder / "program").write_text("#!/bin/sh\n")
    (folder / "program").chmod(0o775)
    os.link(folder / "program", folder / "deep" / "twin")
    (folder / "link").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    return folder


def test_files_arrive_and_links_stay_behind(source: Path, tmp_path: Path) -> None:
    """A second name of a file is a file; links and pipes are left out, wherever they lead."""
    landed = archives.unpack(packed(source, "there"), tmp_path / "new" / "here")
    assert landed == tmp_path / "new" / "here"
    assert sorted(str(path.relative_to(landed)) for path in landed.rglob("*")) == ["deep", "deep/twin", "program"]
    assert (landed / "deep" / "twin").read_text() == "#!/bin/sh\n"
    assert (landed / "program").stat().st_mode & 0o777 == 0o755
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["here"]


def test_a_folder_is_merged_and_files_are_replaced(source: Path, tmp_path: Path) -> None:
    """Into a folder of that name that is there, as `cp -r` does."""
    target = tmp_path / "target"
    (target / "source" / "deep").mkdir(parents=True)
    (target / "source" / "program").write_text("old")
    (target / "source" / "deep" / "kept").write_text("kept")
    assert archives.unpack(packed(source, "source"), target) == target / "source"
    assert (target / "source" / "program").read_text() == "#!/bin/sh\n"
    assert (target / "source" / "deep" / "kept").read_text() == "kept"


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside"])
def test_what_leads_outside_is_refused_whole(tmp_path: Path, name: str) -> None:
    """Nothing is written, not even what is harmless."""
    with pytest.raises(UnsafeArchive):
        archives.unpack(archive("good", name), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_archive_is_said(tmp_path: Path) -> None:
    """Such as one link, which is not followed."""
    with pytest.raises(ProvisioningError, match="nothing arrived"):
        archives.unpack(archive(), tmp_path)


@pytest.mark.parametrize(
    ("remote", "path"),
    [("a/b", "/data/a/b"), ("a/", "/data/a/"), (".", "/data"), ("/", "/"), ("/etc/", "/etc/"), ("../x", "/x")],
)
def test_paths_on_a_device_are_below_the_agents_folder(remote: str, path: str) -> None:
    """Unless they are absolute; `.` is the folder itself, and a slash at the end says that a folder is meant."""
    assert archives.below("/data", remote) == path
