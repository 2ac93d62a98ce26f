"""Files to and from a container: in parts that the site takes, each checked by its digest, and only what changed."""

import hashlib
import io
import secrets
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from provisioning import archives
from provisioning.errors import ProvisioningError
from provisioning.providers.chi.containers import Containers
from provisioning.providers.chi.errors import status_of
from provisioning.providers.chi.processes import run_detached

PART_BYTES = 4 * 1024 * 1024
LEAST_PART_BYTES = 64 * 1024
ATTEMPTS = 3
CHECK_TIMEOUT_S = 600.0

TAKE_PART = (
    'cd "$1" && [ "$(sha256sum <"part-$2" | cut -c 1-64)" = "$3" ] && '
    'dd if="part-$2" of=whole bs="$4" seek="$2" conv=notrunc 2>/dev/null && '
    'for f in part-*; do [ "$f" = "part-$2" ] || rm -f "$f"; done'
)
"""Writes a part where it belongs, however often it is asked, also while an earlier one is still at it."""
UNPACK = '[ "$(sha256sum <"$1/whole" | cut -c 1-64)" = "$2" ] && mkdir -p "$3" && tar xf "$1/whole" -C "$3"'
PACK = (
    'if ! [ -e "$2" ]; then echo "there is no $2" >&2; exit 3; fi; mkdir -p "$1/part" && '
    'tar cf "$1/whole" -C "$(dirname "$2")" -- "$(basename "$2")" && stat -c %s "$1/whole" && sha256sum <"$1/whole"'
)
CUT_PART = 'tail -c +$(($2 + 1)) "$1/whole" | head -c "$3" >"$1/part/part"'


class Files:
    """Copies between this machine and one container; raises ProvisioningError."""

    def __init__(self, containers: Containers, container: str, folder: str) -> None:
        """`folder` is the agent's folder in the container; relative paths are below it."""
        self._containers = containers
        self._container = container
        self._folder = folder

    def push(self, local: Path, remote: str) -> int:
        """Copy a file or folder there by `cp -r`'s rules; files that are there already stay. Bytes sent."""
        target = self._absolute(remote)
        is_folder = self._shell('[ -d "$1" ] && echo yes || echo no', target).strip() == "yes"
        folder, name = archives.landing(target, archives.own_name(local), is_folder=is_folder)
        changed = self._changed(local, folder, name)
        if changed == []:
            return 0
        with tempfile.TemporaryFile() as whole:
            if changed is None or local.is_file():
                archives.pack(local, name, whole, owner=0)
            else:
                _pack_some(local, name, changed, whole)
            return self._send(whole, folder)

    def pull(self, remote: str, local: Path) -> None:
        """Copy a file or folder from there."""
        target = self._absolute(remote).rstrip("/") or "/"
        scratch = self._scratch()
        try:
            with tempfile.TemporaryFile() as whole:
                self._receive(target, scratch, whole)
                whole.seek(0)
                archives.unpack(whole, local)
        finally:
            self._shell('rm -rf "$1"', scratch)

    def _changed(self, local: Path, folder: str, name: str) -> list[Path] | None:
        """Files whose content is not there yet; None when that cannot be told, and all must go."""
        files = [local] if local.is_file() else [path for path in sorted(local.rglob("*")) if path.is_file()]
        if not files or local.is_symlink():
            return None
        if not local.is_file() and any(path.is_dir() and not any(path.iterdir()) for path in local.rglob("*")):
            return None
        wanted = {
            path: f"{folder}/{name}" if path == local else f"{folder}/{name}/{path.relative_to(local)}"
            for path in files
        }
        if any("\n" in there or "\\" in there for there in wanted.values()):
            return None
        digests = "".join(f"{_digest(path)}  {there}\n" for path, there in wanted.items())
        scratch = self._scratch()
        try:
            self._put(scratch, "list", digests.encode())
            said = io.BytesIO()
            words = ["sh", "-c", 'sha256sum -c "$1/list" 2>/dev/null', "sh", scratch]
            run_detached(self._containers, self._container, self._folder, words, out=said, timeout_s=CHECK_TIMEOUT_S)
        finally:
            self._shell('rm -rf "$1"', scratch)
        lines = set(said.getvalue().decode(errors="replace").splitlines())
        return [path for path, there in wanted.items() if f"{there}: OK" not in lines]

    def _send(self, whole: BinaryIO, folder: str) -> int:
        scratch = self._scratch()
        digest, sent, limit = hashlib.sha256(), 0, PART_BYTES
        try:
            while part := whole.read(limit):
                try:
                    self._send_part(scratch, sent // limit, limit, part)
                except ProvisioningError as error:
                    if status_of(error.__cause__ or error) not in (413, 500) or limit <= LEAST_PART_BYTES:
                        raise
                    limit //= 4
                    whole.seek(sent)
                    continue
                digest.update(part)
                sent += len(part)
            words = ["sh", "-c", UNPACK, "sh", scratch, digest.hexdigest(), folder]
            self._run(words, f"unpacking in {folder}")
        finally:
            self._shell('rm -rf "$1"', scratch)
        return sent

    def _send_part(self, scratch: str, index: int, part_bytes: int, part: bytes) -> None:
        """Send the part of that index, all before it having had `part_bytes`."""
        places = (str(index), hashlib.sha256(part).hexdigest(), str(part_bytes))
        for _ in range(ATTEMPTS):
            self._put(scratch, f"part-{index}", part)
            if self._containers.shell(self._container, TAKE_PART, scratch, *places, again=True).code == 0:
                return
        raise ProvisioningError(
            f"an upload did not arrive whole in {ATTEMPTS} attempts", hint="is the device's disk full?"
        )

    def _put(self, folder: str, name: str, content: bytes) -> None:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        self._containers.put(self._container, folder, archive.getvalue())

    def _receive(self, target: str, scratch: str, whole: BinaryIO) -> None:
        said = self._run(["sh", "-c", PACK, "sh", scratch, target], f"reading {target}").split()
        size, expected = int(said[0]), said[1]
        digest, offset = hashlib.sha256(), 0
        while offset < size:
            self._shell(CUT_PART, scratch, str(offset), str(PART_BYTES))
            part = _only_file(self._containers.fetch(self._container, f"{scratch}/part"))
            if not part:
                raise ProvisioningError(f"a part of {target} did not arrive")
            whole.write(part)
            digest.update(part)
            offset += len(part)
        if digest.hexdigest() != expected:
            raise ProvisioningError(f"{target} changed on the way", hint="try again")

    def _run(self, words: list[str], doing: str) -> str:
        out, err = io.BytesIO(), io.BytesIO()
        code = run_detached(
            self._containers, self._container, self._folder, words, out=out, err=err, timeout_s=CHECK_TIMEOUT_S
        )
        if code != 0:
            said = err.getvalue().decode(errors="replace").strip() or f"it ended with {code}"
            raise ProvisioningError(f"{doing}: {said}")
        return out.getvalue().decode(errors="replace")

    def _scratch(self) -> str:
        scratch = f"{self._folder}/.files-{secrets.token_hex(6)}"
        self._shell('mkdir -p "$1"', scratch)
        return scratch

    def _shell(self, script: str, *arguments: str) -> str:
        done = self._containers.shell(self._container, script, *arguments, again=True)
        if done.code != 0:
            raise ProvisioningError(
                f"the container could not do its part: {done.output.strip() or 'no answer in time'}"
            )
        return done.output

    def _absolute(self, remote: str) -> str:
        return archives.below(self._folder, remote)


def _pack_some(local: Path, name: str, files: list[Path], into: BinaryIO) -> None:
    with tarfile.open(fileobj=into, mode="w") as tar:
        for path in files:
            tar.add(path, f"{name}/{path.relative_to(local)}", filter=_anonymous)
    into.seek(0)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _only_file(archive: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return b"".join(_contents(tar))


def _contents(tar: tarfile.TarFile) -> Iterator[bytes]:
    for member in tar:
        if member.isfile() and (file := tar.extractfile(member)):
            yield file.read()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
