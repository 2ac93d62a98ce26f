"""The hosts file: names for agents, with their addresses, pinned certificates and tokens.

One TOML file, readable by its owner alone. It is edited in place, so comments and order stay, and every change is
made under a lock and appears whole.
"""

import os
import subprocess
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from platformdirs import user_config_path

from client.errors import HostError
from client.sdk.account import Account
from client.sdk.project_file import agree, hosts_of_project

HOST_VARIABLE = "EDGERUN_HOST"
TOKEN_VARIABLE = "EDGERUN_TOKEN"
CONFIG_VARIABLE = "EDGERUN_CONFIG"
TOKEN_COMMAND_TIMEOUT_S = 30
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Host:
    """An agent: where it is, and what proves who it is and who we are."""

    name: str
    url: str
    certificate: str | None = None
    """The pinned certificate, PEM."""
    token: str | None = None
    token_file: str | None = None
    token_command: str | None = None
    """A command that prints the token; run without a shell."""
    groups: tuple[str, ...] = ()
    provider: str | None = None
    """What `provision` made it with; None for one added by hand."""
    tunnel: Account | None = None
    """The login through which the agent is reached, at the URL's port of the loopback there; None for directly."""

    def __repr__(self) -> str:
        return f"Host({self.name!r}, {self.url!r})"

    @property
    def is_loopback(self) -> bool:
        """Whether the address is this machine's own."""
        return self.tunnel is None and urlsplit(self.url).hostname in LOOPBACK_NAMES

    def secret(self, environment: Mapping[str, str] = os.environ) -> str | None:
        """The token: `EDGERUN_TOKEN` for the one host that `EDGERUN_HOST` names, else this entry's; None without any.

        Raises HostError when a file or command does not give one, and where `EDGERUN_TOKEN` is all there is and it is
        not said that it is for this host.
        """
        given = environment.get(TOKEN_VARIABLE)
        if given and self._is(environment.get(HOST_VARIABLE, "").split()):
            return self._sendable(given)
        if self.token_file:
            return self._sendable(self._read_token_file(Path(self.token_file).expanduser()))
        if self.token_command:
            return self._sendable(self._run_token_command(self.token_command))
        if given and not self.token:
            hint = f"set {HOST_VARIABLE}={self.name} as well to send it there, or unset {TOKEN_VARIABLE}"
            raise HostError(f"{self.name}: {TOKEN_VARIABLE} is set, but not said to be for this host", hint=hint)
        return self._sendable(self.token) if self.token else None

    def _is(self, wanted: Sequence[str]) -> bool:
        """Whether somebody who names a host means this one and no other."""
        if len(wanted) != 1:
            return False
        return wanted[0] == self.name or (":" in wanted[0] and normalised_url(wanted[0]) == self.url)

    def _sendable(self, token: str) -> str:
        if not (token.isascii() and token.isprintable()):
            raise HostError(
                f"{self.name}: the token holds characters that no header carries", hint="is it a file's path?"
            )
        return token

    def _read_token_file(self, path: Path) -> str:
        try:
            require_private(path)
            return path.read_text().strip()
        except OSError as error:
            raise HostError(f"{self.name}: token file {path}: {error.strerror}") from error

    def _run_token_command(self, command: str) -> str:
        try:
            done = subprocess.run(
                command.split(), capture_output=True, text=True, timeout=TOKEN_COMMAND_TIMEOUT_S, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise HostError(f"{self.name}: token command {command!r} failed: {error}") from error
        return done.stdout.strip()


class HostsFile:
    """Reads and changes one hosts file."""

    def __init__(self, path: Path | None = None) -> None:
        """`path` defaults to hosts.toml in `EDGERUN_CONFIG`, or in the user's configuration folder."""
        folder = Path(os.environ[CONFIG_VARIABLE]) if CONFIG_VARIABLE in os.environ else user_config_path("edgerun")
        self.path = path or folder / "hosts.toml"

    def hosts(self) -> Mapping[str, Host]:
        """All hosts by name, in the file's order; raises HostError for a file that cannot be used."""
        return {name: _host(name, table) for name, table in self._read().get("hosts", {}).items()}

    def current(self) -> str | None:
        """The host chosen with `client hosts use`."""
        current = self._read().get("current")
        return str(current) if current is not None else None

    def put(self, host: Host) -> None:
        """Add a host or replace the one of its name."""
        entry = {spec.name: getattr(host, spec.name) for spec in fields(Host) if spec.name != "name"}
        with self._editing() as document:
            hosts = document.setdefault("hosts", {})
            hosts[host.name] = {key: _plain(value) for key, value in entry.items() if value not in (None, ())}

    def remove(self, name: str) -> bool:
        """Forget a host; False when there is none of that name."""
        if name not in self.hosts():
            return False
        with self._editing() as document:
            document["hosts"].pop(name, None)
            if document.get("current") == name:
                del document["current"]
        for folder, suffixes in ((self.curl_folder, (".curl", ".pem")), (self.prometheus_folder, (".token", ".pem"))):
            for suffix in suffixes:
                (folder / f"{name}{suffix}").unlink(missing_ok=True)
        return True

    @property
    def curl_folder(self) -> Path:
        """Where `client hosts curl` writes; what it wrote for a host goes with the host."""
        return self.path.parent / "curl"

    @property
    def prometheus_folder(self) -> Path:
        """The same for `client hosts prometheus`."""
        return self.path.parent / "prometheus"

    def use(self, name: str) -> None:
        """Make a host the current one; raises HostError for an unknown name."""
        self.named(name)
        with self._editing() as document:
            document["current"] = name

    def use_project(self) -> list[str]:
        """Agree to what ./edgerun.toml chooses; gives the names. Raises HostError."""
        names = agree(self.path.parent)
        for name in names:
            self.resolve(name)
        return names

    def named(self, name: str) -> Host:
        """The host of that name; raises HostError."""
        hosts = self.hosts()
        if name not in hosts:
            known = ", ".join(hosts) or "none yet"
            hint = "`client hosts add NAME URL` adds one, `provision up` makes one"
            raise HostError(f"no host {name!r}; known hosts: {known}", hint=hint)
        return hosts[name]

    def resolve(self, wanted: str) -> list[Host]:
        """The hosts that a value of `--host` means: a name, `@group`, or a URL; raises HostError."""
        if wanted.startswith("@"):
            members = [host for host in self.hosts().values() if wanted[1:] in host.groups]
            if not members:
                raise HostError(f"no host is in the group {wanted[1:]!r}", hint="`client hosts ls` shows the groups")
            return members
        if wanted in self.hosts():
            return [self.named(wanted)]
        if "://" in wanted or ":" in wanted:
            return [self._host_at(wanted)]
        return [self.named(wanted)]

    def choose(self, wanted: Iterable[str] = (), *, every: bool = False) -> list[Host]:
        """The hosts a command talks to.

        Those wanted; else `EDGERUN_HOST`; else `host` in ./edgerun.toml; else the current one; else the only one.
        Raises HostError when that leaves none, NotAgreed where the user was not asked about ./edgerun.toml yet.
        """
        hosts = self.hosts()
        if every:
            if not hosts:
                raise HostError("no host is known yet", hint="`provision up` makes one")
            return list(hosts.values())
        names = list(wanted) or _from_environment() or hosts_of_project(self.path.parent)
        names = names or list(filter(None, [self.current()]))
        if not names and len(hosts) == 1:
            names = list(hosts)
        if not names:
            known = f"known hosts: {', '.join(hosts)}" if hosts else "no host is known yet"
            hint = "name one with --host, or choose one for good with `client hosts use NAME`"
            raise HostError(
                f"no host chosen; {known}", hint=hint if hosts else "`provision up --on local --name edge1`"
            )
        found = [host for name in names for host in self.resolve(name)]
        return list({host.name: host for host in found}.values())

    def _host_at(self, address: str) -> Host:
        """A host given by address: the known one there, if any, so that its pin and token count."""
        url = normalised_url(address)
        known = next((host for host in self.hosts().values() if host.url == url), None)
        return known or Host(name=urlsplit(url).netloc, url=url)

    def _read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        require_private(self.path)
        try:
            return tomllib.loads(self.path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise HostError(f"{self.path} is not valid TOML: {error}") from error

    @contextmanager
    def _editing(self) -> Iterator[dict[str, Any]]:
        import tomlkit
        from filelock import FileLock

        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(self.path.with_suffix(".lock")):
            self._read()  # raises for a file that is readable by others or broken, before it is replaced
            document = (
                tomlkit.parse(self.path.read_text(encoding="utf-8")) if self.path.exists() else tomlkit.document()
            )
            yield document
            write_private(self.path, tomlkit.dumps(document))


def normalised_url(address: str) -> str:
    """An agent's URL from what people type: scheme https unless it is loopback, no path, no trailing slash."""
    if "://" not in address:
        name = urlsplit("//" + address).hostname
        address = f"{'http' if name in LOOPBACK_NAMES else 'https'}://{address}"
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise HostError(f"{address!r} is not an agent's address", hint="write https://ADDRESS:PORT")
    return f"{parts.scheme}://{parts.netloc}"


def require_private(path: Path) -> None:
    """Raise HostError for a file with secrets that others can read."""
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise HostError(f"{path} holds tokens and is readable by others", hint=f"chmod 600 {path}")


def write_private(path: Path, text: str) -> None:
    """Replace a file with secrets as a whole, readable by its owner alone."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # a token may be revoked next because its successor is here
    part.replace(path)


def _host(name: str, table: dict[str, Any]) -> Host:
    known = {spec.name for spec in fields(Host)}
    if unknown := set(table) - known:
        raise HostError(f"host {name}: unknown field {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
    if "url" not in table:
        raise HostError(f"host {name} has no url")
    tunnel = _tunnel(name, table) if "tunnel" in table else None
    return Host(name=name, **{**table, "groups": tuple(table.get("groups", ())), "tunnel": tunnel})


def _tunnel(name: str, table: dict[str, Any]) -> Account:
    if not str(table["url"]).startswith("https://"):
        raise HostError(f"host {name}: an agent behind a tunnel has an https URL, not {table['url']}")
    try:
        return Account.read(table["tunnel"])
    except ValueError as error:
        raise HostError(f"host {name}: tunnel: {error}") from error


def _plain(value: object) -> object:
    if isinstance(value, Account):
        return value.document
    return list(value) if isinstance(value, tuple) else value


def _from_environment() -> list[str]:
    return os.environ.get(HOST_VARIABLE, "").split()
