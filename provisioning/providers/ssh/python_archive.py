"""A Python that is brought along: a build that runs from any folder, unpacked into the deployment's on the device."""

import hashlib
import io
import shlex
import tarfile
from dataclasses import replace
from pathlib import Path

from provisioning.errors import ProvisioningError
from provisioning.provider import Report
from provisioning.providers.ssh import shell
from provisioning.providers.ssh.choice import STANDALONE
from provisioning.providers.ssh.connection import Connection
from provisioning.providers.ssh.survey import Python, Survey

INTERPRETER = "python/bin/python3"
"""Below the deployment's folder."""
LOOK = "import ensurepip, sys, venv; print('.'.join(map(str, sys.version_info[:3])))"
WHOLE = "import json, pathlib, shutil, socket, subprocess; print('whole')"
"""Says so when what device.py needs is there."""

CLAIM = """umask 077; mkdir -p "$1" || exit
[ -e "$1/owner" ] || (set -C; printf %s "$2" >"$1/owner") 2>/dev/null
cat "$1/owner\""""
UNPACKED = '[ "$(cat "$1/python/.digest")" = "$2" ]'
UNPACK = """set -e; umask 077; cd "$1"
cat >python.tar.gz
[ "$(sha256sum <python.tar.gz)" = "$2  -" ] || { echo "the Python arrived damaged" >&2; exit 1; }
rm -rf python.part python
mkdir python.part
tar -x -z -f python.tar.gz -C python.part --strip-components=1 --no-same-owner
rm python.tar.gz
printf %s "$2" >python.part/.digest
mv python.part python"""
REMOVE = """[ -e "$1" ] || exit 0
owner=$(cat "$1/owner" 2>/dev/null); [ "${owner:-$2}" = "$2" ] || exit 0
rm -rf "$1" && { rmdir "$(dirname "$1")" 2>/dev/null; true; }"""


def unpacked_bytes(path: Path) -> int:
    """Size of what is in an archive; raises ProvisioningError unless it is a Python."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            members = archive.getmembers()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise _unfit(path, f"cannot be read as a .tar.gz: {error}") from error
    top = {member.name.removeprefix("./").split("/")[0] for member in members} - {"", "."}
    names = {member.name.removeprefix("./") for member in members}
    if len(top) != 1 or f"{next(iter(top))}/bin/python3" not in names:
        raise _unfit(path, "has no FOLDER/bin/python3")
    return sum(member.size for member in members)


def bring(
    connection: Connection, found: Survey, folder: str, owner: str, path: Path, report: Report
) -> tuple[Survey, bool]:
    """Have an archive unpacked in a deployment's folder.

    Returns what is on the device then, and whether the folder is another deployment's, which is not touched.
    """
    size, digest = unpacked_bytes(path), _digest(path)
    said = io.BytesIO()
    shell.run(connection, folder, shell.script(CLAIM, folder, owner), out=said)
    if said.getvalue().decode(errors="replace") != owner:
        return found, True
    if not shell.works(connection, shell.script(UNPACKED, folder, digest)):
        found.require_space(size + path.stat().st_size)
        report(f"uploading {path.name}, {path.stat().st_size / 1e6:.0f} MB")
        with path.open("rb") as archive:
            shell.run(connection, folder, shell.script(UNPACK, folder, digest), stdin=archive)
    return replace(found, python=_python(connection, f"{folder}/{INTERPRETER}", path)), False


def can_remove(connection: Connection, python: str) -> bool:
    """Whether the Python that was brought along is whole enough to remove its own deployment."""
    out = io.BytesIO()
    connection.run(shlex.join([python, "-I", "-c", WHOLE]), None, out, io.BytesIO())
    return out.getvalue().strip() == b"whole"


def remove(connection: Connection, folder: str, owner: str) -> None:
    """Remove a deployment's folder without it, when nothing can run out of it any more or yet."""
    shell.run(connection, folder, shell.script(REMOVE, folder, owner))


def _python(connection: Connection, python: str, path: Path) -> Python:
    out, err = io.BytesIO(), io.BytesIO()
    code = connection.run(shlex.join([python, "-I", "-c", LOOK]), None, out, err)
    if code != 0:
        lines = err.getvalue().decode(errors="replace").strip().splitlines()
        raise _unfit(path, f"does not run on the device: {lines[-1] if lines else f'exit code {code}'}")
    version = out.getvalue().decode(errors="replace").strip()
    if tuple(int(part) for part in version.split(".") if part.isdecimal()) < (3, 11):
        raise _unfit(path, f"has Python {version}, and 3.11 or newer is needed")
    return Python(python, version)


def _digest(path: Path) -> str:
    with path.open("rb") as archive:
        return hashlib.file_digest(archive, "sha256").hexdigest()


def _unfit(path: Path, reason: str) -> ProvisioningError:
    return ProvisioningError(f"{path.name} {reason}", hint=STANDALONE.format(machine="the device's"))
