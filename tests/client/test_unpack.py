"""Archives from agents: what is harmless arrives whole, what reaches outside is refused whole."""

import contextlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.errors import EdgeError
from client.files.unpack import UnsafeArchive, unpack


def member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b"x"
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o755 if kind == tarfile.DIRTYPE else 0o644
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    return info, content


def archive(folder: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """A tar file with these members, in this order."""
    path = folder / "made.tar"
    with tarfile.open(path, "w") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return path


def test_files_folders_and_links_within_arrive(tmp_path: Path) -> None:
    """Contents, the bit that lets a file run, links that stay inside, and nothing of owners or set-user-id."""
    program = member("sub/run.sh", content=b"#!/bin/sh\n")
    program[0].mode = 0o4755
    made = archive(
        tmp_path,
        member("./", tarfile.DIRTYPE),
        member("./empty", tarfile.DIRTYPE),
        program,
        member("latest", tarfile.SYMTYPE, "sub/run.sh"),
        member("sub/deep/up", tarfile.SYMTYPE, "../run.sh"),
        member("twin", tarfile.LNKTYPE, "sub/run.sh"),
    )
    out = tmp_path / "out"
    assert set(unpack(made, out)) == {out / name for name in ("sub/run.sh", "latest", "sub/deep/up", "twin")}
    assert (
        (out / "latest").read_bytes()
        == (out / "sub/deep/up").read_bytes()
        == (out / "twin").read_bytes()
        == b"#!/bin/sh\n"
    )
    assert (out / "sub/run.sh").stat().st_mode & 0o7777 == 0o755
    assert (out / "empty").is_dir()


@pytest.mark.parametrize(
    "members",
    [
        [member("/etc/passwd")],
        [member("../outside")],
        [member("a/../../outside")],
        [member("a\\..\\b")],
        [member("link", tarfile.SYMTYPE, "/etc/passwd")],
        [member("link", tarfile.SYMTYPE, "../outside")],
        [member("a/link", tarfile.SYMTYPE, "../../outside")],
        [member("here", tarfile.SYMTYPE, "."), member("out", tarfile.SYMTYPE, "here/here/../..")],
        [member("sub", tarfile.SYMTYPE, "."), member("sub/file")],
        [member("link", tarfile.SYMTYPE, "file"), member("link/x", tarfile.DIRTYPE)],
        [member("twin", tarfile.LNKTYPE, "/etc/passwd")],
        [member("twin", tarfile.LNKTYPE, "nosuch")],
        [member("soft", tarfile.SYMTYPE, "x"), member("twin", tarfile.LNKTYPE, "soft")],
        [member("device", tarfile.CHRTYPE)],
        [member("device", tarfile.BLKTYPE)],
        [member("pipe", tarfile.FIFOTYPE)],
        [member("file"), member("file/below")],
        [member("both"), member("both", tarfile.DIRTYPE)],
        [member(".", content=b"the folder itself")],
    ],
)
def test_what_reaches_outside_is_refused_before_anything_is_written(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    """A good file before the bad member is not written either."""
    made = archive(tmp_path, member("good"), *members)
    with pytest.raises(UnsafeArchive, match="the archive is refused"):
        unpack(made, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["made.tar"]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A folder with something in it is refused."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(EdgeError, match="not empty"):
        unpack(archive(tmp_path, member("mine")), tmp_path / "out")
    assert (tmp_path / "out" / "mine").read_text() == "mine"


@pytest.mark.parametrize("spoil", [lambda data: data[:700], lambda data: b"no archive", lambda data: b""])
def test_a_damaged_archive_is_an_error_of_ours(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    """Cut off, or no tar at all."""
    path = archive(tmp_path, member("file", content=b"x" * 5000))
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(EdgeError):
        unpack(path, tmp_path / "out")


parts = st.sampled_from(["..", ".", "a", "b", "c"])
paths = st.lists(parts, min_size=1, max_size=5).map("/".join)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(paths, st.sampled_from([tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE]), paths), max_size=6)
)
def test_no_mixture_of_links_and_files_gets_out(
    tmp_path_factory: pytest.TempPathFactory, specs: list[tuple[str, bytes, str]]
) -> None:
    """Whatever is unpacked, every link leads to somewhere inside, and nothing lies beside the folder."""
    base = tmp_path_factory.mktemp("mixture")
    made = archive(base, *(member(name, kind, link) for name, kind, link in specs))
    out = base / "x" / "out"
    out.mkdir(parents=True)
    with contextlib.suppress(EdgeError):
        unpack(made, out)
    for path in out.rglob("*"):
        assert os.path.realpath(path).startswith(str(out))
    assert [path.name for path in (base / "x").iterdir()] == ["out"]
