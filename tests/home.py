"""One user of edgerun in a folder of their own, running commands as users do."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from client.sdk.hosts import HostsFile
from tests.agents import RunningAgent, environment_of_a_user

Result = subprocess.CompletedProcess[str]


class Home:
    """One user's folders and commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = dict(environment_of_a_user(folder))
        self.hosts = HostsFile(folder / "config" / "edgerun" / "hosts.toml")

    def knows(self, agent: RunningAgent, name: str = "edge1") -> "Home":
        """Enter an agent into the hosts file."""
        host = agent.host
        self.hosts.put(type(host)(name, host.url, host.certificate, host.token))
        return self

    def writes(self, name: str, text: str) -> None:
        """Have a file of their own in their home folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(text)
        path.chmod(0o600)

    def run(self, program: str, *arguments: str, stdin: bytes = b"", **variables: str) -> Result:
        """Run a command and give back what it printed."""
        command = [str(Path(sys.executable).with_name(program)), *arguments]
        environment: Mapping[str, str] = {**self.environment, **variables}
        done = subprocess.run(
            command, input=stdin, capture_output=True, env=environment, cwd=self.folder, timeout=300, check=False
        )
        return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())

    def client(self, *arguments: str, stdin: bytes = b"", **variables: str) -> Result:
        """Run `client`."""
        return self.run("client", *arguments, stdin=stdin, **variables)

    def provision(self, *arguments: str, **variables: str) -> Result:
        """Run `provision`."""
        return self.run("provision", *arguments, stdin=b"", **variables)
