"""An agent behind a login: it listens on loopback there, and everything of the client goes through a tunnel."""

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from client import AsyncEdgeClient, EdgeClient
from client.sdk import held_tunnels, tunnel
from client.sdk.hosts import Host
from contract.jobs import BenchmarkRequest, JobState
from contract.results import Window
from contract.specs import BenchmarkSpec
from image_model.catalog import SAMPLES_FOLDER
from tests.agents import TOKEN, running_agent, wait_for
from tests.home import Home
from tests.provisioning import sshd, wheelhouse

NAME = "edge1"
THREE = SAMPLES_FOLDER / "digit-3.png"


@dataclass
class Behind:
    """A user, and a device with an agent that only a ProxyCommand leads to."""

    user: Home
    device: sshd.Device
    said: str
    """What `up` said."""

    @property
    def host(self) -> Host:
        return self.user.hosts.named(NAME)

    @contextmanager
    def held(self, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """`provision tunnel` and the address it gives."""
        command = [str(Path(sys.executable).with_name("provision")), "tunnel", NAME, *options]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, env=self.user.environment, text=True, **pipes) as holder:  # type: ignore[call-overload]
            try:
                yield holder, holder.stdout.readline().strip()
            finally:
                holder.kill()

    @contextmanager
    def without_ssh(self) -> Iterator[None]:
        """Nobody can log in anew meanwhile."""
        folder = self.user.folder / ".ssh"
        folder.rename(folder.with_name("away"))
        try:
            yield
        finally:
            folder.with_name("away").rename(folder)

    def proxy_commands(self) -> list[int]:
        """Processes of the ProxyCommand."""
        return [
            each.pid for each in psutil.process_iter(["cmdline"]) if str(self.proxied) in (each.info["cmdline"] or ())
        ]

    @property
    def proxied(self) -> Path:
        """The configuration that its `ssh` reads, which tells it from every other."""
        return self.user.folder / "proxy_config"


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """One installation for all tests, which leave the agent as it was."""
    user, wheels = Home(tmp_path_factory.mktemp("home")), wheelhouse.fill(tmp_path_factory.mktemp("wheels"))
    with sshd.device() as device:
        made = Behind(user, device, "")
        made.proxied.write_text(device.entry("hop"))
        command = f"echo not of the connection >&2; ssh -F {made.proxied} -W %h:%p hop 2>/dev/null"
        user.writes(".ssh/config", device.entry("Behind", f"ProxyCommand sh -c '{command}'"))
        up = user.provision(
            "up", "--on", "ssh://Behind", "--name", NAME, "--offline", "--model", "none", "--allow-commands", **wheels
        )
        assert up.returncode == 0, up.stderr
        made.said = up.stderr
        yield made
        assert user.provision("down", NAME).returncode == 0


@pytest.fixture
def here(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> Behind:
    """The same, with its user's folders for this process."""
    for name, value in behind.user.environment.items():
        if name == "HOME" or name.startswith("XDG_"):
            monkeypatch.setenv(name, value)
    return behind


def test_up_says_it_first_and_the_agent_listens_on_loopback_only(behind: Behind) -> None:
    """The way is known before anything is made, and nothing but the device's loopback leads to the agent."""
    lines = behind.said.splitlines()
    (line,) = (line for line in lines if "reached through its ProxyCommand" in line)
    assert lines.index(line) < next(index for index, line in enumerate(lines) if "uploading" in line)
    listening = [
        each.laddr
        for process in behind.device.processes()
        for each in process.net_connections()
        if each.status == "LISTEN"
    ]
    assert [(each.ip, each.port) for each in listening] == [("127.0.0.1", urlsplit(behind.host.url).port)]
    assert "ssh://Behind" in behind.user.client("hosts", "ls").stdout


def test_commands_open_the_tunnel_and_leave_nothing(behind: Behind) -> None:
    """Pictures, benchmarks and programs go through it, and its ProxyCommand ends with each command."""
    for words in (
        ("classify", str(THREE)),
        ("bench", "--model", "digits", "--iterations", "20", "--save", str(behind.user.folder / "run")),
        ("run", "--", "echo", "there"),
        ("telemetry", "--once"),
        ("doctor",),
    ):
        done = behind.user.client(*words, "--host", NAME)
        assert done.returncode == 0, (words, done.stderr)
        assert behind.proxy_commands() == []


def test_a_broken_tunnel_is_opened_again(here: Behind) -> None:
    """A client lives through the end of its tunnel's login, on the same port."""
    with EdgeClient(here.host) as client:
        assert client.classify(THREE, model="digits").label == "3"
        url = tunnel.at_hand(here.host)
        assert url is not None
        here.device.end_logins()
        wait_for(lambda: tunnel.at_hand(here.host) is None)
        assert client.classify(THREE, model="digits").label == "3"
        assert tunnel.at_hand(here.host) == url


def test_a_stream_goes_on_through_a_new_tunnel(here: Behind) -> None:
    """What follows a job loses the tunnel in between, and no window of the measurement."""

    async def follow() -> tuple[list[Window], JobState]:
        async with AsyncEdgeClient(here.host) as client:
            job = await client.submit(BenchmarkRequest(spec=BenchmarkSpec(model="digits", duration_s=6)))
            windows: list[Window] = []
            async for event in client.job_events(job.id):
                if isinstance(event.value, Window):
                    if not windows:
                        here.device.end_logins()
                    windows.append(event.value)
            return windows, (await client.job(job.id)).state

    windows, state = asyncio.run(follow())
    assert (state, len(windows) > 2) == (JobState.SUCCEEDED, True)
    assert all(one.end_s == pytest.approx(next.start_s) for one, next in itertools.pairwise(windows))


def test_a_forked_process_opens_a_tunnel_of_its_own(here: Behind) -> None:
    """Threads stay behind in a fork; the tunnels in them with them."""
    tunnel.reached_at(here.host)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with EdgeClient(here.host) as client:
                code = 0 if client.live().status == "live" else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_others_are_told_to_hold_a_tunnel(behind: Behind) -> None:
    """A browser and curl outlive the command that gives the address, so neither gets one that ends with it."""
    for words in (("hosts", "curl", NAME), ("open", NAME, "--print")):
        refused = behind.user.client(*words)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"provision tunnel {NAME}" in refused.stderr


def test_open_holds_the_tunnel_of_its_page(behind: Behind) -> None:
    """The browser that it opens reaches the page until Ctrl-C, which closes the way."""
    shown, browser = behind.user.folder / "shown", behind.user.folder / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" >"{shown}.part" && mv "{shown}.part" "{shown}"\n')
    browser.chmod(0o755)
    command = [str(Path(sys.executable).with_name("client")), "open", NAME]
    environment = {**behind.user.environment, "BROWSER": str(browser)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as opened:
        try:
            assert opened.stderr is not None
            wait_for(shown.exists)
            url = shown.read_text()
            assert "<html" in _page(url)
            opened.send_signal(signal.SIGINT)
            assert (opened.wait(timeout=60), "Ctrl-C ends both" in opened.stderr.read()) == (130, True)
        finally:
            opened.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(_address(url), 60)


def test_a_host_that_is_reached_directly_needs_no_tunnel(behind: Behind) -> None:
    """The complaint says where it is instead."""
    behind.user.hosts.put(Host("direct", "https://192.0.2.1:8080", "PEM"))
    refused = behind.user.provision("tunnel", "direct")
    assert (refused.returncode, "reached directly, at https://192.0.2.1:8080" in refused.stderr) == (1, True)
    assert behind.user.hosts.remove("direct")


def test_a_held_tunnel_serves_client_curl_and_browser(behind: Behind) -> None:
    """While it is held nobody logs in again, and SIGTERM ends it with its port and its note."""
    curl = f'$("{Path(sys.executable).with_name("client")}" hosts curl {NAME})/v1/info'
    with behind.held() as (holder, url):
        with behind.without_ssh():
            assert behind.user.client("classify", str(THREE), "--host", NAME).returncode == 0
            page = behind.user.client("open", NAME, "--print")
            assert page.stdout.startswith(f"{url}/#"), page.stderr
            fetched = subprocess.run(["sh", "-c", curl], env=behind.user.environment, capture_output=True, check=True)
            assert b'"agent"' in fetched.stdout
            second = behind.user.provision("tunnel", NAME)
            assert (second.returncode, "holds its tunnel already" in second.stderr) == (1, True), second.stderr
        holder.send_signal(signal.SIGTERM)
        assert holder.wait(timeout=60) == 0
    assert f"provision tunnel {NAME}" in behind.user.client("hosts", "curl", NAME).stderr
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(_address(url), 60)


def test_a_held_tunnel_comes_back_on_its_port(behind: Behind) -> None:
    """What a browser shows goes on after the login broke."""
    with (
        behind.held("--port", str(sshd.free_port())) as (_, url),
        socket.create_connection(_address(url), 60) as browser,
    ):
        behind.device.end_logins()
        assert browser.recv(1) == b""
        wait_for(lambda: behind.user.client("open", NAME, "--print").stdout.startswith(f"{url}/#"))


def test_a_holder_that_was_killed_is_not_believed(behind: Behind) -> None:
    """Its note is left; its lock is not, so commands open a tunnel of their own."""
    with behind.held() as (holder, _):
        holder.kill()
        holder.wait(timeout=60)
    assert list((behind.user.folder / "state" / "edgerun" / "tunnels").glob("*.json"))
    assert behind.user.client("classify", str(THREE), "--host", NAME).returncode == 0
    assert f"provision tunnel {NAME}" in behind.user.client("hosts", "curl", NAME).stderr


def test_whoever_takes_the_port_is_not_trusted(here: Behind, tmp_path: Path) -> None:
    """The pin decides, not the note: another agent on the port that a note names gets nothing."""
    with running_agent(tmp_path, token=TOKEN) as other, held_tunnels.announcing(here.host) as announce:
        announce(other.address[1])
        refused = here.user.client("classify", str(THREE), "--host", NAME)
        assert (refused.returncode, "not the pinned one" in refused.stderr) == (4, True), refused.stderr


def test_an_agent_that_ended_is_told_from_one_without_tls(behind: Behind) -> None:
    """The tunnel stands and nothing answers at its end: unreachable, and `up` brings the agent back."""
    behind.device.kill_agent()
    refused = behind.user.client("classify", str(THREE), "--host", NAME)
    assert (refused.returncode, "nothing answers through the tunnel" in refused.stderr) == (3, True), refused.stderr
    assert behind.user.provision("repair", NAME).returncode == 0
    assert behind.user.client("classify", str(THREE), "--host", NAME).returncode == 0


def _page(url: str) -> str:
    """What a browser gets that goes on past the warning."""
    with httpx.Client(verify=False, trust_env=False) as http:
        return http.get(url.partition("#")[0]).text


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None and parts.port is not None
    return parts.hostname, parts.port
