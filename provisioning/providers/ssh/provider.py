"""An agent on a board that is reached by SSH: in a folder of the user's home, without root."""

import contextlib
import hashlib
import io
import json
import secrets
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from client.errors import EdgeError
from client.sdk.account import Account
from client.sdk.tunnel import LOOPBACK
from provisioning import archives, extras, wheels
from provisioning.deployments import Deployment
from provisioning.errors import LeftBehind, ProvisioningError, nothing_there
from provisioning.programs import END, VARIABLE, new_mark
from provisioning.provider import TUNNEL_OPTION, Report, Save, State, Status, agent_arguments
from provisioning.providers.ssh import python_archive, shell
from provisioning.providers.ssh.connection import Connection, connected
from provisioning.providers.ssh.survey import Survey, survey

DEVICE_SCRIPT = Path(__file__).with_name("device.py")


class SshProvider:
    """Installs the agent from wheels into an environment of its own and runs it as the user who logs in."""

    kind = "ssh"

    def __init__(self, found: Survey | None = None) -> None:
        self._found = found
        """The device, when it was looked at already."""

    def create(self, deployment: Deployment, save: Save, report: Report) -> None:
        """Check the device, install what is missing, and start the agent unless it runs."""
        resources = deployment.resources
        with _connected(deployment) as device:
            found = self._found or survey(device.connection)
            archive = deployment.options.get("python-archive")
            settle_reach(device.connection, deployment, report)
            if "folder" not in resources:
                folder = f"{found.home}/.edgerun/{deployment.name}"
                python = f"{folder}/{python_archive.INTERPRETER}" if archive else found.usable_python.path
                resources.update(id=secrets.token_hex(8), folder=folder, python=python, unit="")
                save()
            found = _claim(device, found, archive, save, report)
            if not device.status()["installed"]:
                _install(device, found, report, offline=bool(deployment.options.get("offline")))
            if not resources["unit"] and device.call("use_systemd", folder=device.folder)["works"]:
                resources["unit"] = f"edgerun-{deployment.name}.service"
                save()
            deployment.url = _start(device, resources, save)

    def certificate(self, deployment: Deployment) -> str | None:
        """Read over SSH, past the network it protects."""
        with _connected(deployment) as device:
            return str(device.call("read", path=f"{device.folder}/data/tls/cert.pem")["text"])

    def status(self, deployment: Deployment) -> Status:
        """What the device says of the process that was started there."""
        if "folder" not in deployment.resources:
            return Status(State.ABSENT, "nothing is there")
        with _connected(deployment) as device:
            found = device.status()
        if not found["exists"]:
            return Status(State.ABSENT, "its folder is gone")
        if found["pid"] is None:
            return Status(State.STOPPED, "its process is gone")
        return Status(State.RUNNING, f"process {found['pid']} on {deployment.options['place']}")

    def logs(self, deployment: Deployment, tail: int) -> Iterator[str]:
        """The last lines of the log file there."""
        if "folder" in deployment.resources:
            with _connected(deployment) as device:
                yield from device.call("tail", folder=device.folder, lines=tail)["lines"]

    def exec(self, deployment: Deployment, command: Sequence[str], out: BinaryIO, err: BinaryIO) -> int:
        """A program of the user who logs in."""
        mark = new_mark()
        with _existing(deployment) as device:
            try:
                return device.run(
                    "execute", out, err, folder=device.folder, command=list(command), marked={VARIABLE: mark}
                )
            except BaseException:
                with contextlib.suppress(EdgeError):
                    device.shell(shlex.join(["sh", "-c", END, "sh", mark]))
                raise

    def push(self, deployment: Deployment, local: Path, remote: str) -> None:
        """Through tar on the device."""
        with _existing(deployment) as device, tempfile.TemporaryFile() as archive:
            target = device.absolute(remote)
            is_folder = device.call("is_folder", path=target)["folder"]
            parent, name = archives.landing(target, archives.own_name(local), is_folder=is_folder)
            archives.pack(local, name, archive)
            device.upload(archive, parent)

    def pull(self, deployment: Deployment, remote: str, local: Path) -> None:
        """Through tar on the device."""
        with _existing(deployment) as device, tempfile.TemporaryFile() as archive:
            source = Path(device.absolute(remote))
            if not device.call("is_folder", path=str(source))["exists"]:
                raise ProvisioningError(f"{deployment.name} has no {remote}")
            device.shell(f"tar -c -f - -C {shlex.quote(str(source.parent))} -- {shlex.quote(source.name)}", out=archive)
            archive.seek(0)
            archives.unpack(archive, local)

    def destroy(self, deployment: Deployment, save: Save, report: Report) -> None:
        """Stop the agent and delete its folder there, and nothing else."""
        resources = deployment.resources
        if "folder" in resources:
            try:
                with _connected(deployment) as device:
                    _remove(device, report)
            except EdgeError as error:
                hint = f"when it is gone for good: provision down {deployment.name} --forget"
                raise LeftBehind(f"{resources['folder']} on the device: {error}", hint=hint) from error
        resources.clear()
        save()

    def remains(self, deployment: Deployment) -> list[str]:
        """Its folder there, and the agent that runs out of it."""
        resources = deployment.resources
        if "folder" not in resources:
            return []
        unit = [f"the unit {resources['unit']} of the user's systemd there"] if resources["unit"] else []
        return [f"{resources['folder']} on {deployment.options['place']}, and the agent that runs from it", *unit]


class _Device:
    """The device of a deployment, logged in."""

    def __init__(self, connection: Connection, deployment: Deployment) -> None:
        self.connection = connection
        self.deployment = deployment

    @property
    def folder(self) -> str:
        return str(self.deployment.resources["folder"])

    @property
    def owner(self) -> str:
        return str(self.deployment.resources["id"])

    def status(self) -> dict[str, Any]:
        """What is there of the deployment."""
        return self.call("status", folder=self.folder, owner=self.owner, unit=self.deployment.resources["unit"])

    def call(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """A function of device.py, and what it returns; raises ProvisioningError."""
        out, err = io.BytesIO(), io.BytesIO()
        code = self.run(verb, out, err, **arguments)
        if code == 0:
            try:
                document: dict[str, Any] = dict(json.loads(out.getvalue().splitlines()[-1]))
            except (ValueError, TypeError, IndexError):
                raise ProvisioningError(f"{verb} failed on the device: its Python gave no answer") from None
            if "error" not in document:
                return document
            raise ProvisioningError(f"{verb} failed on the device: {document['error']}")
        said = err.getvalue().decode(errors="replace").strip().splitlines()
        raise ProvisioningError(f"{verb} failed on the device: {said[-1] if said else f'exit code {code}'}")

    def run(self, verb: str, out: BinaryIO, err: BinaryIO, **arguments: Any) -> int:
        """A function of device.py with its output."""
        call = f"\nprint(json.dumps({verb}(**json.loads({json.dumps(arguments)!r}))))\n"
        script = io.BytesIO(DEVICE_SCRIPT.read_bytes() + call.encode())
        return self.connection.run(f"{shlex.quote(self.deployment.resources['python'])} -I -", script, out, err)

    def shell(self, command: str, *, stdin: BinaryIO | None = None, out: BinaryIO | None = None) -> None:
        """A line for the user's shell; raises ProvisioningError with what it complained."""
        shell.run(self.connection, self.deployment.name, command, stdin=stdin, out=out)

    def upload(self, archive: BinaryIO, folder: str) -> None:
        """Unpack an archive there."""
        self.call("make_folder", path=folder)
        self.shell(f"tar -x -f - --no-same-owner -C {shlex.quote(folder)}", stdin=archive)

    def absolute(self, remote: str) -> str:
        """A path there; relative ones are below the agent's folder."""
        return archives.below(f"{self.folder}/data", remote)


def account_of(deployment: Deployment) -> Account:
    """Where to log in for a deployment."""
    options = deployment.options
    return Account(options.get("place", ""), options.get("ssh-key"), options.get("known-hosts"))


@contextlib.contextmanager
def _connected(deployment: Deployment) -> Iterator[_Device]:
    with connected(account_of(deployment)) as connection:
        yield _Device(connection, deployment)


@contextlib.contextmanager
def _existing(deployment: Deployment) -> Iterator[_Device]:
    if "folder" not in deployment.resources:
        raise nothing_there(deployment.name)
    with _connected(deployment) as device:
        yield device


def settle_reach(connection: Connection, deployment: Deployment, report: Report) -> None:
    """Settle, before anything is made, whether the agent is reached through a tunnel; that stays so."""
    through = connection.through
    if deployment.tunnel is None and (through or deployment.options.get(TUNNEL_OPTION)):
        connection.require_forwarding()
        deployment.tunnel = account_of(deployment)
        why = f"reached through {through}" if through else f"to be reached through SSH only (--{TUNNEL_OPTION})"
        report(f"{deployment.options['place']} is {why}: its agent will listen on loopback there, behind an SSH tunnel")


def _claim(device: _Device, found: Survey, archive: str | None, save: Save, report: Report) -> Survey:
    """Make the folder there, with a Python in it when one is brought along; raises ProvisioningError."""
    taken = False
    if archive:
        found, taken = python_archive.bring(
            device.connection, found, device.folder, device.owner, Path(archive), report
        )
    if taken or device.call("claim", folder=device.folder, owner=device.owner)["taken"]:
        device.deployment.resources.clear()  # there is nothing of ours
        save()
        hint = "choose another --name; it is of another user or machine, or was forgotten here"
        raise ProvisioningError(f"there is an agent {device.deployment.name} on that device already", hint=hint)
    return found


def _remove(device: _Device, report: Report) -> None:
    resources, where = device.deployment.resources, device.deployment.options["place"]
    if "python-archive" in device.deployment.options and not python_archive.can_remove(
        device.connection, resources["python"]
    ):
        python_archive.remove(device.connection, device.folder, device.owner)
    elif device.call("holds", folder=device.folder, owner=device.owner)["holds"]:
        report(f"removing {device.folder} from {where}")
        device.call("remove", folder=device.folder, owner=device.owner, unit=resources["unit"])


def _install(device: _Device, found: Survey, report: Report, *, offline: bool) -> None:
    wanted = extras.of_device(device.deployment.options)
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryFile() as archive:
        folder = Path(name) / "wheels"
        folder.mkdir()
        wheel = wheels.make_wheel(folder)
        (folder / "constraints.txt").write_text(wheels.constraints())
        if offline:
            report(f"fetching wheels for {found.platform.machine} and Python {found.platform.python}")
            for path in wheels.download(wheel, found.platform, wanted):
                (folder / path.name).symlink_to(path)
        size = sum(path.stat().st_size for path in folder.iterdir())
        found.require_space(size + sum(extras.DISK_BYTES.get(extra, 0) for extra in wanted))
        archives.pack(folder, "wheels", archive, follow=True)
        report(f"uploading {size / 1e6:.0f} MB")
        device.upload(archive, device.folder)
        report("installing the agent" if offline else "installing the agent from the device's package index")
        version = wheel.name.split("-")[1]
        requirement = f"edgerun[{','.join(wanted)}]=={version}"
        try:
            device.call("install", folder=device.folder, requirement=requirement, offline=offline)
        except ProvisioningError as error:
            error.hint = (
                None if offline else "if the device reaches no package index: --offline fetches everything here"
            )
            raise


def _start(device: _Device, resources: dict[str, Any], save: Save) -> str:
    deployment, address = device.deployment, device.connection.address
    arguments = agent_arguments(deployment.options, without=["port"])
    if deployment.tunnel:
        address = device.connection.host
        arguments += ["--host", LOOPBACK]
    elif ":" in address:
        arguments += ["--host", "::"]
    port = deployment.options.get("port") or resources.get("port") or 0
    environment = {"EDGERUN_TOKEN_SHA256": hashlib.sha256(deployment.token.encode()).hexdigest()}
    environment["XDG_CACHE_HOME"] = f"{device.folder}/data/cache"  # where ONNX Runtime leaves files
    started = device.call(
        "start", folder=device.folder, arguments=arguments, environment=environment, port=port, unit=resources["unit"]
    )
    resources["port"] = started["port"]
    save()
    return f"https://{f'[{address}]' if ':' in address else address}:{started['port']}"
