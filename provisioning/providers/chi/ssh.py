"""SSH into a container: a key that may log in, and a server that works in any image that has the agent.

Slim images have no sshd, and installing one needs root and a package index on the device. asyncssh needs neither: it
is plain Python, and what it needs itself the agent has.
"""

import io
import os
import time
import zipfile
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from platformdirs import user_state_path

from provisioning.errors import ProvisioningError
from provisioning.providers.chi.containers import Containers
from provisioning.providers.chi.files import Files

PORTS = (22, 2222)
"""The first one is for containers whose user may have it, which is root's or a cluster's choice."""
START_TIMEOUT_S = 30.0
POLL_INTERVAL_S = 0.1
SERVER = Path(__file__).with_name("sshd.py")
START = """
cd "$1/ssh" || exit 1
PATH="$1/venv/bin:$PATH"; export PATH
if [ -f port ] && kill -0 "$(cat pid)" 2>/dev/null; then exit 0; fi
rm -f port; d=$1/ssh; shift
{ PYTHONPATH=asyncssh.zip setsid python sshd.py "$d" "${EDGERUN_HOST:-}" "$@" >log 2>&1 </dev/null & echo $! >pid; }
"""
ASK = """
cd "$1/ssh" || exit 1
if [ -f port ]; then cat port && { id -un 2>/dev/null || echo user; }; else tail -n 1 log; exit 1; fi
"""


def public_key(path: str) -> str:
    """The line for `authorized_keys` of a key file, private or public; raises ProvisioningError."""
    file = Path(path)
    public = file if file.suffix == ".pub" else file.with_name(f"{file.name}.pub")
    try:
        return public.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        hint = f"ssh-keygen -y -f {file} > {public}"
        raise ProvisioningError(f"there is no public key {public}", hint=hint) from error


def let_in(containers: Containers, container: str, folder: str, key: str) -> tuple[int, str, str]:
    """Let a key log in; returns port, user, and the server's own key. Raises ProvisioningError."""
    with TemporaryDirectory() as name:
        made = Path(name) / "ssh"
        made.mkdir()
        (made / "authorized_keys").write_text(public_key(key) + "\n")
        (made / SERVER.name).write_bytes(SERVER.read_bytes())
        (made / "asyncssh.zip").write_bytes(_library())
        Files(containers, container, folder).push(made, f"{folder}/")
    containers.shell(container, START, folder, *map(str, PORTS), again=True)
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        asked = containers.shell(container, ASK, folder, again=True)
        words = asked.output.split()
        if asked.code == 0 and len(words) == 4:
            return int(words[0]), words[3], f"{words[1]} {words[2]}"
        if time.monotonic() > deadline:
            said = asked.output.strip() or "it said nothing"
            hint = "leave --ssh-key out: `provision exec`, `push` and `pull` need no SSH"
            raise ProvisioningError(f"SSH could not be started in the container: {said}", hint=hint)
        time.sleep(POLL_INTERVAL_S)


def known_hosts(name: str) -> Path:
    """The file that holds the key of a deployment's SSH server."""
    return user_state_path("edgerun") / "known_hosts" / name


def command(name: str, key: str, address: str, port: int, user: str, server_key: str) -> str:
    """The line to type, after noting whom to trust: the key was read over the site's protected connection."""
    path = known_hosts(name)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(f"{f'[{address}]:{port}' if port != 22 else address} {server_key}\n")
    private = os.path.relpath(key.removesuffix(".pub"))
    return f"ssh -p {port} -i {private} -o UserKnownHostsFile={path} {user}@{address}"


def _library() -> bytes:
    spec = find_spec("asyncssh")
    if spec is None or not spec.submodule_search_locations:
        raise ProvisioningError("--ssh-key needs asyncssh", hint="pip install asyncssh")
    root, archive = Path(spec.submodule_search_locations[0]), io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as into:
        for path in sorted(root.rglob("*.py")):
            entry = zipfile.ZipInfo(str(Path("asyncssh") / path.relative_to(root)))  # without a time: the same bytes
            entry.compress_type = zipfile.ZIP_DEFLATED
            into.writestr(entry, path.read_bytes())
    return archive.getvalue()
