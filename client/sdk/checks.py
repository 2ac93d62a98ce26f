"""How far a connection to an agent gets, step by step, each with what to do when it fails."""

import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from client.durations import format_duration
from client.errors import EdgeError, Refused
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host, HostsFile
from client.sdk.trust import fingerprint
from client.sdk.tunnel import reached_at
from contract.codes import ErrorCode
from contract.telemetry import TelemetrySample
from contract.tokens import Access, Scope


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    subject: str
    name: str
    ok: bool
    finding: str
    hint: str | None = None


def check_machine(hosts: HostsFile) -> Iterator[Check]:
    """What the client itself needs on this machine."""
    yield Check("client", "version", True, version("edgerun"))
    try:
        known = hosts.hosts()
    except EdgeError as error:
        yield Check("client", "hosts file", False, str(error), error.hint)
        return
    if not hosts.path.exists():
        hint = "`provision up --on local --name edge1` starts an agent here"
        yield Check("client", "hosts file", True, f"none yet at {hosts.path}", hint)
        return
    mode = stat.filemode(hosts.path.stat().st_mode)
    current = f", current: {hosts.current()}" if hosts.current() else ""
    yield Check("client", "hosts file", True, f"{hosts.path} ({mode}), {len(known)} hosts{current}")


def _sensors(host: Host, sample: TelemetrySample) -> Check:
    seen = {info.metric for info in sample.info.values()} - set(sample.unavailable)
    missing = len(sample.unavailable)
    hint = f"{missing} kinds are missing: `client telemetry --host {host.name}` says why each" if missing else None
    return Check(host.name, "sensors", True, f"{len(seen)} kinds of readings", hint)


def _access(client: EdgeClient) -> Access | None:
    """What the token may do, None where the agent is too old to say."""
    try:
        return client.access()
    except Refused as refusal:
        if refusal.problem.code != ErrorCode.NOT_FOUND:
            raise
        return None


def _accepted(access: Access | None) -> str:
    if access is None:
        return "accepted"
    if access.token is None:
        return "not needed: this agent answers loopback only"
    left_s = (access.expires_at - datetime.now(UTC)).total_seconds() if access.expires_at else None
    expiry = f", expires in {format_duration(left_s)}" if left_s is not None else ""
    return f"accepted: {access.token}, for {', '.join(access.scopes)}{expiry}"


def check_host(host: Host, timeout_s: float = 10.0) -> Iterator[Check]:
    """Address, certificate, token, readiness, version and model of one agent; stops at the first failure."""
    step = "certificate"
    try:
        with EdgeClient(host, timeout_s=timeout_s, retries=0) as client:
            pinned = (
                f"pinned {fingerprint(host.certificate)[:23]}..." if host.certificate else "none: plain HTTP, loopback"
            )
            url = reached_at(host)
            started = time.perf_counter()
            client.live()
            took_ms = (time.perf_counter() - started) * 1e3
            yield Check(host.name, "certificate", True, pinned)
            through = f" through SSH to {host.tunnel.place}, as {url} here" if host.tunnel else ""
            yield Check(host.name, "reachable", True, f"{host.url} answers in {took_ms:.1f} ms{through}")
            step = "token"
            access = _access(client)
            yield Check(host.name, "token", True, _accepted(access))
            step = "ready"
            client.ready()
            if access is not None and Scope.READ not in access.scopes:
                yield Check(host.name, "ready", True, "yes; what it is, only tokens with the scope read are told")
                return
            info = client.info()
            yield Check(host.name, "ready", True, f"{info.workers} workers, default model {info.default_model}")
            step = "sensors"
            if "telemetry" in info.agent.features:
                yield _sensors(host, client.telemetry())
    except EdgeError as error:
        yield Check(host.name, "reachable" if error.exit_code == 3 else step, False, str(error), error.hint)
        return
    runtimes = [f"{runtime.name} {runtime.version}" for runtime in info.runtimes if runtime.installed]
    yield Check(host.name, "runtimes", bool(runtimes), ", ".join(runtimes) or "none installed")
    allowed = f"{info.allowed.cpus:g} CPUs ({info.allowed.cpus_source}) of {info.device.cpu_count}"
    yield Check(host.name, "device", True, f"{info.device.cpu_model or info.device.machine}, {allowed}")
    ours = version("edgerun")
    same = info.agent.version == ours
    hint = None if same else "install the same version on both ends"
    yield Check(host.name, "version", same, f"agent {info.agent.version}, client {ours}", hint)
