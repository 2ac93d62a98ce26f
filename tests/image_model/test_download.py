"""Files arrive checked, resume, and never half."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from image_model.catalog import CatalogEntry, CatalogFile, load_catalog
from image_model.download import DownloadError, WrongDigest, pull, pulled_model

CONTENT = bytes(range(256)) * 4096  # 1 MiB


def catalog_file(name: str, content: bytes, url: str | None = None) -> CatalogFile:
    return CatalogFile(name, hashlib.sha256(content).hexdigest(), len(content), url)


def entry_of(model: CatalogFile) -> CatalogEntry:
    template = load_catalog()["mobilenet_v2_1.0_224_quant"]
    return replace(template, name="tiny", model=model, labels=catalog_file("labels.txt", b"a\nb\n"), samples=())


@dataclass
class Mirror:
    """A web server with range requests that can break off, ignore ranges, or send other bytes."""

    files: dict[str, bytes]
    break_after: int | None = None
    ranges: bool = True
    asked: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(mirror: Mirror) -> Iterator[Mirror]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            mirror.asked.append(f"{self.path} {wanted}".strip())
            content = mirror.files.get(self.path.lstrip("/"))
            if content is None:
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and mirror.ranges else 0
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            body = content[start:]
            if mirror.break_after is not None:
                body, mirror.break_after = body[: mirror.break_after], None
                self.close_connection = True
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    mirror.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield mirror
    finally:
        server.shutdown()
        server.server_close()


def test_a_folder_is_a_mirror_and_the_result_works_without_it(tmp_path: Path) -> None:
    """Pulled from a folder, a model is complete; the second pull needs no mirror."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "m.tflite").write_bytes(CONTENT)
    (mirror / "labels.txt").write_bytes(b"a\nb\n")
    entry = entry_of(catalog_file("m.tflite", CONTENT))
    assert pulled_model(entry, tmp_path / "data") is None
    seen: list[int] = []
    pulled = pull(entry, tmp_path / "data", mirror=str(mirror), progress=lambda _, received: seen.append(received))
    assert pulled.path(entry.model).read_bytes() == CONTENT
    assert seen
    assert pull(entry, tmp_path / "data", mirror="/nowhere").path(entry.model).read_bytes() == CONTENT
    assert pulled_model(entry, tmp_path / "data") is not None


def test_an_interrupted_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """After a broken connection only the missing bytes are asked for."""
    with serving(Mirror({"m.tflite": CONTENT, "labels.txt": b"a\nb\n"}, break_after=300_000)) as mirror:
        entry = entry_of(catalog_file("m.tflite", CONTENT))
        with pytest.raises(DownloadError, match="goes on from there"):
            pull(entry, tmp_path, mirror=mirror.url)
        part = tmp_path / "models" / "tiny" / "m.tflite.part"
        kept = part.stat().st_size
        assert 0 < kept <= 300_000
        pulled = pull(entry, tmp_path, mirror=mirror.url)
    assert mirror.asked[1] == f"/m.tflite bytes={kept}-"
    assert pulled.path(entry.model).read_bytes() == CONTENT
    assert not part.exists()


def test_a_server_without_ranges_is_asked_for_everything(tmp_path: Path) -> None:
    """When the server answers a range with the whole file, the file is whole, not doubled."""
    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    (folder / "m.tflite.part").write_bytes(CONTENT[:1000])
    with serving(Mirror({"m.tflite": CONTENT, "labels.txt": b"a\nb\n"}, ranges=False)) as mirror:
        pulled = pull(entry_of(catalog_file("m.tflite", CONTENT)), tmp_path, mirror=mirror.url)
    assert (pulled.folder / "m.tflite").read_bytes() == CONTENT


def test_a_part_of_another_version_is_thrown_away(tmp_path: Path) -> None:
    """A part that does not fit is noticed by the digest, and the download starts anew by itself."""
    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    (folder / "m.tflite.part").write_bytes(b"old" * 1000)
    with serving(Mirror({"m.tflite": CONTENT, "labels.txt": b"a\nb\n"})) as mirror:
        pulled = pull(entry_of(catalog_file("m.tflite", CONTENT)), tmp_path, mirror=mirror.url)
    assert (pulled.folder / "m.tflite").read_bytes() == CONTENT


def test_wrong_bytes_are_refused_and_not_kept(tmp_path: Path) -> None:
    """Bytes with another digest never get the file's name."""
    other = bytes(reversed(CONTENT))
    with serving(Mirror({"m.tflite": other, "labels.txt": b"a\nb\n"})) as mirror, pytest.raises(WrongDigest):
        pull(entry_of(catalog_file("m.tflite", CONTENT)), tmp_path, mirror=mirror.url)
    assert list((tmp_path / "models" / "tiny").iterdir()) == []


def test_a_server_that_sends_too_much_is_stopped(tmp_path: Path) -> None:
    """No more bytes are stored than the catalog names."""
    with serving(Mirror({"m.tflite": CONTENT * 3, "labels.txt": b"a\nb\n"})) as mirror, pytest.raises(WrongDigest):
        pull(entry_of(catalog_file("m.tflite", CONTENT)), tmp_path, mirror=mirror.url)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The error says which file is missing and what helps."""
    entry = entry_of(catalog_file("m.tflite", CONTENT))
    with pytest.raises(DownloadError, match=r"m\.tflite: put it there"):
        pull(entry, tmp_path, mirror=str(tmp_path))
    with serving(Mirror({})) as mirror, pytest.raises(DownloadError, match="404"):
        pull(entry, tmp_path, mirror=mirror.url)


def test_a_changed_file_is_fetched_again(tmp_path: Path) -> None:
    """A pulled file that was damaged later is noticed by the next pull."""
    with serving(Mirror({"m.tflite": CONTENT, "labels.txt": b"a\nb\n"})) as mirror:
        entry = entry_of(catalog_file("m.tflite", CONTENT))
        path = pull(entry, tmp_path, mirror=mirror.url).path(entry.model)
        path.write_bytes(CONTENT[:-1] + b"!")
        assert pulled_model(entry, tmp_path) is None
        assert pull(entry, tmp_path, mirror=mirror.url).path(entry.model).read_bytes() == CONTENT
