"""What answers SSH in a container: sent there with asyncssh and run by the agent's Python, which has what that needs.

It lets in whoever has the key in `authorized_keys`, as the container's own user, to a shell, programs, files and
tunnels. `port` holds where it listens.
"""

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import asyncssh

GRACE_S = 60


class Server(asyncssh.SSHServer):
    """Lets tunnels through; keys are checked by asyncssh."""

    def connection_requested(self, *_: Any) -> bool:
        """Whether `ssh -L` may reach that address: it is no more than a shell may."""
        return True


class SftpFiles(asyncssh.SFTPServer):
    """Files for scp and sftp; scp takes an end without an exit code for a failure."""

    def exit(self) -> None:
        """End with 0."""
        self.channel.exit(0)


async def run(process: "asyncssh.SSHServerProcess[bytes]") -> None:
    """One program, or a login shell, with a terminal when one was asked for."""
    shell = shutil.which("bash") or "/bin/sh"
    words = [shell, "-c", process.command] if process.command else [shell, "-l"]
    if process.term_type:
        code = await _on_a_terminal(process, words)
    else:
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, stderr=pipe, cwd=Path.home())
        await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
        code = await child.wait()
    await process.stdout.drain()
    await process.stderr.drain()
    process.exit(code if code >= 0 else 128 - code)


async def _on_a_terminal(process: "asyncssh.SSHServerProcess[bytes]", words: list[str]) -> int:
    ours, theirs = os.openpty()
    environment = {**os.environ, "TERM": process.term_type or "dumb"}
    own_terminal = ["setsid", "--ctty", *words] if shutil.which("setsid") else words
    child = await asyncio.create_subprocess_exec(
        *own_terminal, stdin=theirs, stdout=theirs, stderr=theirs, cwd=Path.home(), env=environment
    )
    os.close(theirs)
    await process.redirect(stdin=os.dup(ours), stdout=ours)
    return await child.wait()


async def serve(folder: Path, host: str, ports: list[int]) -> None:
    """Answer on the first port that can be had, until the process is ended."""
    key = folder / "host_key"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    for port in ports:
        try:
            listener = await asyncssh.listen(
                host,
                port,
                server_factory=Server,
                server_host_keys=[str(key)],
                authorized_client_keys=str(folder / "authorized_keys"),
                process_factory=run,
                encoding=None,
                sftp_factory=SftpFiles,
                allow_scp=True,
                login_timeout=GRACE_S,
            )
        except OSError as error:
            print(f"port {port}: {error.strerror or error}", flush=True)
            continue
        public = asyncssh.read_private_key(str(key)).export_public_key().decode()
        (folder / "port.part").write_text(f"{port} {public}")
        (folder / "port.part").replace(folder / "port")
        await listener.wait_closed()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2], [int(port) for port in sys.argv[3:]]))
