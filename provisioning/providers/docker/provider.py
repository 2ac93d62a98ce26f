"""An agent in a container, on this machine's Docker engine or another one."""

import contextlib
import json
import secrets
import shlex
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from provisioning import archives, extras
from provisioning.deployments import Deployment
from provisioning.errors import LeftBehind, ProvisioningError, nothing_there
from provisioning.programs import END, VARIABLE, new_mark
from provisioning.provider import Report, Save, State, Status
from provisioning.providers.docker.devices import find_devices, require_known
from provisioning.providers.docker.engine import (
    Container,
    DockerEngine,
    engine_errors,
    missing_is_fine,
)
from provisioning.providers.docker.spec import (
    CONFINED,
    DATA,
    LABEL,
    USER,
    container_name,
    container_spec,
    free_port,
    labels,
)

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 35
POLL_INTERVAL_S = 0.05


class DockerProvider:
    """Runs the image of this checkout, or a given one, locked down as docker-compose.yml does."""

    kind = "docker"

    def __init__(self, reach: Callable[[Deployment], DockerEngine] = DockerEngine.of) -> None:
        self._reach = reach

    def create(self, deployment: Deployment, save: Save, report: Report) -> None:
        """Make volume and container, or start the container that is there."""
        resources = deployment.resources
        with engine_errors():
            engine = self._reach(deployment)
            resources.setdefault("id", secrets.token_hex(8))
            resources.setdefault("engine", engine.identity)
            save()
            container = _find(engine, deployment)
            if engine.emulates:
                report(f"{engine.platform} is emulated on this engine: times there say nothing of a device")
            if container is None:
                container = _make(engine, deployment, save, report)
            if container.status != "running":
                report(f"starting container {container.name}")
                container.start()
            _wait_until_it_listens(container)
            deployment.url = f"https://{engine.address}:{resources['port']}"

    def certificate(self, deployment: Deployment) -> str | None:
        """Read through the engine, past the network."""
        with engine_errors():
            return _read(self._require(deployment), f"{DATA}/tls/cert.pem").decode()

    def status(self, deployment: Deployment) -> Status:
        """What the engine says of the container."""
        if "id" not in deployment.resources:
            return Status(State.ABSENT, "nothing is there")
        with engine_errors():
            container = _find(self._reach(deployment), deployment)
        if container is None:
            return Status(State.ABSENT, "no container")
        health = container.attrs["State"].get("Health", {}).get("Status")
        detail = f"container {container.name}: {container.status}{f', {health}' if health else ''}"
        return Status(State.RUNNING if container.status == "running" else State.STOPPED, detail)

    def logs(self, deployment: Deployment, tail: int) -> Iterator[str]:
        """What the container printed."""
        with engine_errors():
            if "id" in deployment.resources and (container := _find(self._reach(deployment), deployment)):
                yield from container.logs(tail=tail).decode(errors="replace").splitlines()

    def exec(self, deployment: Deployment, command: Sequence[str], out: BinaryIO, err: BinaryIO) -> int:
        """Another process in the container."""
        with engine_errors():
            return _run(self._running(deployment), command, out, err)

    def push(self, deployment: Deployment, local: Path, remote: str) -> None:
        """Into the data volume: everything else is read-only."""
        with engine_errors(), tempfile.TemporaryFile() as archive, tempfile.TemporaryFile() as words:
            container = self._running(deployment)
            target = archives.below(DATA, remote)
            is_folder = _run(container, ["test", "-d", target], words, words) == 0
            parent, name = archives.landing(target, archives.own_name(local), is_folder=is_folder)
            if _run(container, ["mkdir", "-p", parent], words, words) != 0:
                words.seek(0)
                reason = words.read().decode(errors="replace").strip()
                raise ProvisioningError(f"{deployment.name}: {reason}", hint=f"push to somewhere below {DATA}")
            archives.pack(local, name, archive, owner=USER)
            container.put_archive(parent, cast(bytes, archive))  # the SDK streams a file as well

    def pull(self, deployment: Deployment, remote: str, local: Path) -> None:
        """From anywhere in the container, also a stopped one."""
        with engine_errors(), tempfile.TemporaryFile() as archive:
            container = self._require(deployment)
            with missing_is_fine():
                for chunk in container.get_archive(archives.below(DATA, remote))[0]:
                    archive.write(chunk)
            if archive.tell() == 0:
                raise ProvisioningError(f"{deployment.name} has no {remote}")
            archive.seek(0)
            archives.unpack(archive, local)

    def destroy(self, deployment: Deployment, save: Save, report: Report) -> None:
        """Remove what carries this deployment's label; the image stays for the next time."""
        resources = deployment.resources
        if "id" in resources:
            try:
                with engine_errors():
                    _remove(self._reach(deployment), _label(deployment), report)
            except ProvisioningError as error:
                gone = f"when the engine is gone for good: provision down {deployment.name} --forget"
                hint = f"{error.hint}; {gone}" if error.hint else gone
                raise LeftBehind(f"container and volume of {deployment.name}: {error}", hint=hint) from error
        resources.clear()
        save()

    def remains(self, deployment: Deployment) -> list[str]:
        """Container and volume."""
        if "id" not in deployment.resources:
            return []
        what = f"docker ps --all --filter label={_label(deployment)}"
        names = (container_name(deployment), _volume_name(deployment))
        return [f"container {names[0]} ({what})", f"volume {names[1]}"]

    def _require(self, deployment: Deployment) -> Container:
        container = _find(self._reach(deployment), deployment) if "id" in deployment.resources else None
        if container is None:
            raise nothing_there(deployment.name)
        return container

    def _running(self, deployment: Deployment) -> Container:
        container = self._require(deployment)
        if container.status != "running":
            hint = f"`provision repair {deployment.name}` starts it"
            raise ProvisioningError(f"container {container.name} is not running: {container.status}", hint=hint)
        return container


def _volume_name(deployment: Deployment) -> str:
    return f"edgerun-{deployment.name}-{deployment.resources['id']}"


def _label(deployment: Deployment) -> str:
    return f"{LABEL}={deployment.resources['id']}"


def _find(engine: DockerEngine, deployment: Deployment) -> Container | None:
    found = engine.client.containers.list(all=True, filters={"label": _label(deployment)})
    return next((each for each in found if each.name == container_name(deployment)), None)


def _make(engine: DockerEngine, deployment: Deployment, save: Save, report: Report) -> Container:
    resources, options = deployment.resources, deployment.options
    profiles = options.get("device-profile", ())
    require_known(profiles)
    engine.require_runtime(options.get("runtime"))
    image = engine.image(options.get("image"), ",".join(extras.of_device(options)), report)
    devices = find_devices(engine, image, profiles, {**CONFINED, "labels": labels(deployment)}, report)
    resources["port"] = options.get("port") or resources.get("port") or free_port(engine)
    save()
    volume = engine.client.volumes.create(_volume_name(deployment), labels=labels(deployment))
    return engine.client.containers.create(image, **container_spec(engine, deployment, volume.name, devices))


def _wait_until_it_listens(container: Container) -> None:
    """Until the agent has written where it listens, since this start; raises ProvisioningError with its last words."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        container.reload()
        state = container.attrs["State"]
        if state["Status"] != "running" or container.attrs["RestartCount"]:
            break
        started = datetime.fromisoformat(state["StartedAt"])
        with missing_is_fine():
            chunks, stat = container.get_archive(f"{DATA}/agent.json")
            deque(chunks, maxlen=0)  # read to its end, or each look would keep a connection of its own
            if stat and datetime.fromisoformat(stat["mtime"]).astimezone(UTC) >= started:
                json.loads(_read(container, f"{DATA}/agent.json"))
                return
        time.sleep(POLL_INTERVAL_S)
    last = container.logs(tail=1).decode(errors="replace").strip()
    raise ProvisioningError(f"the agent did not start: {last or 'it said nothing'}")


def _read(container: Container, path: str) -> bytes:
    """One small file of the container."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as archive:
        for chunk in container.get_archive(path)[0]:
            archive.write(chunk)
        archive.seek(0)
        return archives.unpack(archive, Path(folder)).read_bytes()


def _run(container: Container, command: Sequence[str], out: BinaryIO, err: BinaryIO) -> int:
    client = container.client
    assert client is not None
    mark = new_mark()
    through_sh = ["sh", "-c", 'exec "$@"', "sh", *command]  # which says in one line that a program is not there
    run = client.api.exec_create(container.id, through_sh, workdir=DATA, environment={VARIABLE: mark})["Id"]
    try:
        for printed, complained in client.api.exec_start(run, stream=True, demux=True):
            for stream, text in ((out, printed), (err, complained)):
                if text:
                    stream.write(text)
                    stream.flush()
    except BaseException:
        with contextlib.suppress(Exception):
            container.exec_run(["sh", "-c", END, "sh", mark])
        raise
    code = client.api.exec_inspect(run)["ExitCode"]
    if code is None:
        raise ProvisioningError(f"`{shlex.join(command)}` was cut off")
    return int(code)


def _remove(engine: DockerEngine, label: str, report: Report) -> None:
    for container in engine.client.containers.list(all=True, filters={"label": label}):
        report(f"removing container {container.name}")
        with missing_is_fine():
            with contextlib.suppress(ProvisioningError), engine_errors():
                container.stop(timeout=STOP_TIMEOUT_S)
            container.remove(force=True)
    for volume in engine.client.volumes.list(filters={"label": label}):
        with missing_is_fine():
            volume.remove()
