"""A CPython that runs from any folder, as an archive: made from the one that runs the tests, with what it knows of its
own folder taken out."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

LEFT_OUT = ("site-packages", "test", "__pycache__", "idlelib", "lib2to3", "tkinter")


def pack(archive: Path) -> Path:
    """Write the archive; skips the test where Python is spread over the distribution's folders."""
    prefix, version = Path(sys.base_prefix), f"python3.{sys.version_info.minor}"
    program = (prefix / "bin" / version).resolve()
    if prefix == Path("/usr") or not (prefix / "lib" / version / "os.py").exists() or not program.exists():
        pytest.skip("this Python is the distribution's and cannot be moved: use one in a folder of its own")
    tree = archive.with_name("python")
    (tree / "bin").mkdir(parents=True)
    (tree / "lib").mkdir()
    for source in (program, *(prefix / "lib").glob("libpython*.so*")):
        target = tree / ("bin" if source == program else "lib") / source.name
        target.write_bytes(_moved(source.read_bytes(), prefix))
        target.chmod(0o755)
    (tree / "bin" / "python3").symlink_to(program.name)
    with tarfile.open(archive, "w:gz", compresslevel=1) as packed:
        packed.add(tree, "python")
        packed.add(prefix / "lib" / version, f"python/lib/{version}", filter=_needed)
    subprocess.run([str(tree / "bin" / "python3"), "-S", "-E", "-c", ""], env={"PYTHONHOME": str(prefix)}, check=True)
    return archive


def _moved(program: bytes, prefix: Path) -> bytes:
    """With where it looks for its library below itself, wherever that is."""
    fixed = f"{prefix}/lib".encode()
    return program.replace(fixed + b"\0", b"$ORIGIN/../lib".ljust(len(fixed), b"\0") + b"\0")


def _needed(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = Path(member.name).parts
    return None if any(part in LEFT_OUT or part.startswith("config-") for part in parts) else member
