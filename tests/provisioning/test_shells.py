"""Lines of shell that `exec`, `push` and `pull` send to a container, with the shells and tools that images have."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from provisioning.providers.chi.containers import CommandOutput, Containers
from provisioning.providers.chi.files import Files
from provisioning.providers.chi.processes import resume, run_detached, run_for_user

BUSYBOX = Path("/bin/busybox")
TOOLS = (
    *("sh", "base64", "basename", "cat", "cut", "dd", "dirname", "echo", "grep", "head", "kill", "mkdir", "mv", "rm"),
    *("rmdir", "setsid", "sha256sum", "sleep", "stat", "tail", "tar", "test", "touch", "tr"),
)


class Here(Containers):
    """A folder of this machine as the container, whose programs are those of one image."""

    def __init__(self, shell: list[str], path: str) -> None:
        self._shell = shell
        self._path = path

    def shell(self, identifier: str, script: str, *arguments: str, again: bool = False) -> CommandOutput:
        """Run a line in that image's shell."""
        done = subprocess.run(
            [*self._shell, "-c", script, "sh", *arguments],
            env={"PATH": self._path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return CommandOutput(done.stdout.decode(), done.returncode)

    def put(self, identifier: str, folder: str, archive: bytes) -> None:
        """Unpack a tar."""
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")

    def fetch(self, identifier: str, folder: str) -> bytes:
        """A tar of a folder's contents."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            tar.add(folder, ".")
        return out.getvalue()


@pytest.fixture(params=["dash", "bash", "busybox"])
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Here:
    """Debian's tools with dash and bash, and busybox's with its own shell."""
    if request.param != "busybox":
        return Here([f"/bin/{request.param}"], "/usr/bin:/bin")
    if not BUSYBOX.exists():
        pytest.skip("no busybox here: `scripts/setup dev` as root installs it")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(BUSYBOX)
    return Here([str(tools / "sh")], str(tools))


def test_programs(image: Here, tmp_path: Path) -> None:
    """Output, exit code, and what a second request to begin does: nothing."""
    folder = str(tmp_path)
    out, err = io.BytesIO(), io.BytesIO()
    words = ["sh", "-c", "echo said; echo wrong >&2; exit 3"]
    assert run_detached(image, "", folder, words, out=out, err=err) == 3
    assert (out.getvalue(), err.getvalue()) == (b"said\n", b"wrong\n")
    assert run_for_user(image, "", folder, ["nosuch"], out, err, "edge1") == 127
    assert not list(tmp_path.glob(".run-*")) + list(tmp_path.glob(".exec-*"))
    (tmp_path / ".exec-left" / "begun").mkdir(parents=True)
    for name, content in (("started", ""), ("out", "all of it\n"), ("err", ""), ("rc", "4\n")):
        (tmp_path / ".exec-left" / name).write_text(content)
    again = io.BytesIO()
    assert resume(image, "", folder, None, again, err, "edge1") == 4
    assert again.getvalue() == b"all of it\n"


def test_files(image: Here, tmp_path: Path) -> None:
    """Several parts there and back; what is there already is not sent again."""
    there, sent, back = tmp_path / "there", tmp_path / "sent", tmp_path / "back"
    there.mkdir()
    (sent / "below").mkdir(parents=True)
    (sent / "below" / "bytes").write_bytes(bytes(range(256)) * 40_000)
    (sent / "a file").write_text("text")
    files = Files(image, "", str(there))
    assert files.push(sent, "copied/") > 10_000_000
    assert files.push(sent, "copied/") == 0
    files.pull("copied/sent", back)
    assert (back / "below" / "bytes").read_bytes() == (sent / "below" / "bytes").read_bytes()
    assert (back / "a file").read_text() == "text"
    assert sorted(path.name for path in there.iterdir()) == ["copied"]
