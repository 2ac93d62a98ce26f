"""Logging in by SSH as `ssh` would, by ~/.ssh/config: also through jump hosts and proxy commands.

Every hop is a login of its own, so that an error names the one that failed. asyncssh comes with the extra `boards`:
import this module where it is needed.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.errors import AccessDenied, EdgeError, NotTrusted, Unreachable
from client.sdk.account import Account
from client.sdk.proxy_command import ProxyCommand, running

try:
    import asyncssh
except ImportError:
    raise EdgeError(
        "SSH needs asyncssh, which is not installed here",
        hint="python -m pip install asyncssh, in the environment of edgerun; its extra `boards` brings it too",
    ) from None

CONNECT_TIMEOUT_S = 20.0
CLOSE_TIMEOUT_S = 2.0
KEEPALIVE_S = 15.0
DEFAULT_PORT = 22


class Login:
    """A connection that is logged in, and whatever carries it."""

    def __init__(self, ssh: asyncssh.SSHClientConnection, through: str | None, held: AsyncExitStack) -> None:
        self.ssh = ssh
        self.through = through
        """What it goes through, in words; None where the host is reached directly."""
        self._held = held

    async def close(self) -> None:
        """End the connection, those that carry it, and their programs."""
        await self._held.aclose()


async def log_in(account: Account, keepalive_s: float = KEEPALIVE_S, *, prompt: bool = False) -> Login:
    """Log in; raises EdgeError, of which Unreachable, NotTrusted and AccessDenied name the host that is meant.

    A connection that is silent is given up after three times `keepalive_s`. `prompt` costs a moment here, and saves a
    tunnel 40 ms an answer.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(_a_cut_line_said_once())
        way = _Way(stack, keepalive_s, prompt=prompt)
        ssh = await way.reach(account)
        return Login(ssh, way.through, stack.pop_all())


async def require_forwarding(login: Login, host: str, port: int) -> None:
    """Raise EdgeError where the other end lets no connections through; that nothing listens there is no reason."""
    try:
        _, writer = await login.ssh.open_connection(host, port)
        writer.close()
    except asyncssh.ChannelOpenError as error:
        if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
            hint = "its sshd must allow that: AllowTcpForwarding and PermitOpen in sshd_config"
            raise AccessDenied(f"SSH lets no tunnel through there: {error.reason}", hint=hint) from error
    except (asyncssh.Error, OSError) as error:
        raise lost("the device", error) from error


def lost(name: str, error: asyncssh.Error | OSError) -> Unreachable:
    """The error for a host that cannot be reached, or not any more."""
    if isinstance(error, TimeoutError):
        return Unreachable(f"{name} did not answer within {CONNECT_TIMEOUT_S:.0f} s")
    if isinstance(error, asyncssh.Error):
        return Unreachable(f"the connection to {name} failed: {error.reason}")
    hint = "is it on, and is this its address and port?"
    return Unreachable(f"{name} cannot be reached: {error.strerror or error}", hint=hint)


@dataclass
class _Hop:
    """One login on the way."""

    account: Account
    jumps: bool
    """Whether it leads further."""
    carrier: asyncssh.SSHClientConnection | None = None
    """The jump host that is logged in already and carries this one."""
    through: str | None = None
    """What carries it, in words."""
    program: ProxyCommand | None = None

    @property
    def name(self) -> str:
        return f"the jump host {self.account.place}" if self.jumps else self.account.place

    @property
    def settings(self) -> dict[str, Any]:
        """What asyncssh takes besides the host; what is missing it reads from ~/.ssh/config."""
        user, _, port = self.account.parts
        given = {"username": user, "port": port, "known_hosts": self.account.known_hosts}
        keys = {"client_keys": [self.account.key]} if self.account.key else {}
        return {**{name: value for name, value in given.items() if value is not None}, **keys}


class _Way:
    """The hops to one host, each closed by the stack."""

    def __init__(self, stack: AsyncExitStack, keepalive_s: float, *, prompt: bool) -> None:
        self._stack = stack
        self._keepalive_s = keepalive_s
        self._prompt = prompt
        self._seen: list[str] = []
        self.through: str | None = None

    async def reach(self, account: Account) -> asyncssh.SSHClientConnection:
        """Log in at the end of the way."""
        hop = _Hop(account, jumps=False)
        ssh = await self._log_in(hop)
        self.through = hop.through
        if self.through is None and not ssh.get_extra_info("peername"):
            self.through = "a host that ~/.ssh/config names"
        return ssh

    async def _log_in(self, hop: _Hop) -> asyncssh.SSHClientConnection:
        host, chosen = hop.account.parts[1], None
        try:
            chosen = await asyncssh.SSHClientConnectionOptions.construct(None, config=(), host=host, **hop.settings)
            way: dict[str, Any] = {"tunnel": hop.carrier} if hop.carrier else await self._carried(hop, chosen)
            ssh = await asyncssh.connect(
                host,
                connect_timeout=CONNECT_TIMEOUT_S,
                keepalive_interval=self._keepalive_s,
                **hop.settings,
                **way,
            )
        except (asyncssh.Error, OSError, ValueError) as error:
            raise await _explained(error, hop, chosen) from error
        self._stack.push_async_callback(_close, ssh)
        if self._prompt:
            await _send_at_once(ssh)
        return ssh

    async def _carried(self, hop: _Hop, chosen: asyncssh.SSHClientConnectionOptions) -> dict[str, Any]:
        """How asyncssh reaches a host, by what ~/.ssh/config says of it."""
        if isinstance(chosen.tunnel, str):
            hop.carrier = await self._jump(chosen.tunnel, hop)
            return {"tunnel": hop.carrier}
        command = chosen.config.get("ProxyCommand")
        if isinstance(command, str):
            hop.through = "its ProxyCommand"
            hop.program = await self._stack.enter_async_context(running(command))
            return {"sock": hop.program.connection, "tunnel": None, "proxy_command": None}
        return {}

    async def _jump(self, hosts: str, hop: _Hop) -> asyncssh.SSHClientConnection:
        """Log in to the jump hosts, each through the one before it."""
        if hosts in self._seen:
            hint = "write `ProxyJump none` for the jump host in ~/.ssh/config"
            raise EdgeError(f"ProxyJump goes in a circle at {hosts}", hint=hint)
        self._seen.append(hosts)
        carrier = through = None
        for text in hosts.split(","):
            place = text.strip().removeprefix("ssh://").rstrip("/")
            jump = _Hop(Account(place), jumps=True, carrier=carrier, through=through)
            carrier, through = await self._log_in(jump), jump.name
        assert carrier is not None
        hop.through = through
        return carrier


async def _send_at_once(ssh: asyncssh.SSHClientConnection) -> None:
    """Have OpenSSH turn Nagle's algorithm off, which it does for a connection once a program is run through it.

    What a jump host answers to that is all the same; many run nothing.
    """
    with suppress(asyncssh.Error, OSError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await ssh.run("true", stdin=asyncssh.DEVNULL, stdout=asyncssh.DEVNULL, stderr=asyncssh.DEVNULL)


@contextmanager
def _a_cut_line_said_once() -> Iterator[None]:
    """Keep asyncio from a line for every packet of an upload that is dropped: the one error says it."""

    def is_no_lost_packet(record: logging.LogRecord) -> bool:
        return record.msg != "socket.send() raised exception."

    logger = logging.getLogger("asyncio")
    logger.addFilter(is_no_lost_packet)
    try:
        yield
    finally:
        logger.removeFilter(is_no_lost_packet)


async def _close(ssh: asyncssh.SSHClientConnection) -> None:
    """End a connection; one whose other end is gone is dropped."""
    ssh.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            return await ssh.wait_closed()
    ssh.abort()


async def _explained(
    error: asyncssh.Error | OSError | ValueError, hop: _Hop, chosen: asyncssh.SSHClientConnectionOptions | None
) -> EdgeError:
    """What went wrong at one hop, in a line."""
    host = hop.account.parts[1]
    if chosen and isinstance(error, asyncssh.HostKeyNotVerifiable | asyncssh.KeyExchangeFailed):
        return _not_trusted(hop, chosen, error)
    if isinstance(error, asyncssh.PermissionDenied):
        ours = f"name it in ~/.ssh/config (IdentityFile under `Host {host}`)" if hop.jumps else "name it with --ssh-key"
        hint = f"{ours}, or add one of yours there with ssh-copy-id"
        return AccessDenied(f"{hop.name} does not accept any key of ours: {error.reason}", hint=hint)
    if isinstance(error, asyncssh.KeyEncryptionError | asyncssh.KeyImportError):
        hint = "load a key with a passphrase into your ssh-agent with ssh-add, and leave --ssh-key out"
        return AccessDenied(f"the key {hop.account.key or 'for ' + hop.name} cannot be used: {error}", hint=hint)
    if chosen is None or isinstance(error, ValueError | FileNotFoundError):
        return EdgeError(f"SSH to {hop.name} cannot be set up: {error}")
    if hop.program and (failure := await hop.program.failure()):
        hint = f"ProxyCommand in ~/.ssh/config is: {hop.program.command}"
        return Unreachable(f"the ProxyCommand for {hop.name} failed: {failure}", hint=hint)
    if hop.through and isinstance(error, asyncssh.ChannelOpenError):
        prohibited = error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED
        hint = "is it on, and are this its address and port as seen from there?"
        hint = "its sshd lets no connections through (AllowTcpForwarding, PermitOpen)" if prohibited else hint
        return Unreachable(f"{hop.name} cannot be reached through {hop.through}: {error.reason}", hint=hint)
    return lost(f"{hop.name} (through {hop.through})" if hop.through else hop.name, error)


def _not_trusted(hop: _Hop, chosen: asyncssh.SSHClientConnectionOptions, error: Exception) -> NotTrusted:
    host, port = chosen.host_key_alias or chosen.host, chosen.port if chosen.port != DEFAULT_PORT else None
    files = chosen.known_hosts if isinstance(chosen.known_hosts, list) else [chosen.known_hosts]
    path = str(next(iter(filter(None, files)), Path("~/.ssh/known_hosts").expanduser()))
    known = asyncssh.match_known_hosts(path, host, "", port)[0] if Path(path).exists() else ()
    name = f"[{host}]:{port}" if port else host
    of = f" of {hop.name}" if hop.jumps else ""
    if known:
        hint = f"if it was set up anew: ssh-keygen -R '{name}' -f {path}, then look at its new key"
        return NotTrusted(f"{name}{of} shows another host key than the one in {path}; nothing was sent", hint=hint)
    ask = f"ssh-keyscan{f' -p {port}' if port else ''} {chosen.host} >> {path}"
    if hop.through or chosen.host_key_alias:
        ask = f"ssh -o UserKnownHostsFile={path} ssh://{hop.account.place}"
    hint = f"if you trust this network: {ask}"
    return NotTrusted(f"the host key of {name}{of} is not in {path} ({error})", hint=hint)
