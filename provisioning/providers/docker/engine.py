"""A Docker engine: how it is reached, what it can do, and its image of the agent. The one module that knows the SDK."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
from docker import ContextAPI, DockerClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.utils import exclude_paths
from requests import exceptions as requests_exceptions

from client.errors import Unreachable
from provisioning.deployments import Deployment
from provisioning.errors import ProvisioningError
from provisioning.provider import Report

__all__ = ["Container", "DockerEngine", "engine_errors", "missing_is_fine"]

IMAGE = "edgerun-agent"
CHECKOUT = Path(__file__).parents[3]
TIMEOUT_S = 120
"""The longest wait for one answer of the engine; stopping an agent takes up to half a minute."""
ENGINE_HINT = "start Docker, or set DOCKER_HOST or `docker context use NAME`"

STEP = "Step "
MADE = re.compile(r"---> ([0-9a-f]{12,64})")

HINTS = {
    "is already in use by container": "choose another --name, or remove that container",
    "port is already allocated": "give another --port",
    "marked read-only": "only what is below /data can be written",
}


@dataclass(frozen=True)
class DockerEngine:
    """A Docker engine that answers."""

    client: DockerClient
    address: str
    """Where containers' ports are reached."""
    platform: str | None
    """Such as linux/arm64; None for the engine's own."""

    @classmethod
    def of(cls, deployment: Deployment) -> "DockerEngine":
        """The engine of a deployment's place, or the one that the docker command would use.

        Raises ProvisioningError when the deployment was made on another one.
        """
        client, host = _connect(deployment.options.get("place"))
        platform = deployment.options.get("platform") or os.environ.get("DOCKER_DEFAULT_PLATFORM") or None
        engine = cls(client, urlsplit(host).hostname or "127.0.0.1", platform)
        engine._require_same(deployment, hint="point DOCKER_HOST or the docker context back at that engine")
        return engine

    @classmethod
    def at(cls, deployment: Deployment, *, url: str, address: str) -> "DockerEngine":
        """The engine of a deployment that answers at a socket, and whose ports are reached at an address.

        Raises ProvisioningError when the deployment was made on another one.
        """
        engine = cls(DockerClient(base_url=url, timeout=TIMEOUT_S), address, deployment.options.get("platform"))
        engine._require_same(deployment, hint=f"`provision down {deployment.name} --forget` gives it up")
        return engine

    def _require_same(self, deployment: Deployment, *, hint: str) -> None:
        made_on = deployment.resources.get("engine")
        if made_on and made_on != self.identity:
            raise ProvisioningError(f"{deployment.name} was made on another Docker engine than this one", hint=hint)

    @cached_property
    def identity(self) -> str:
        """What tells this engine from others."""
        return str(self._info["ID"])

    @property
    def is_here(self) -> bool:
        """Whether the engine is this machine's."""
        return self.address in ("127.0.0.1", "::1", "localhost")

    @property
    def emulates(self) -> bool:
        """Whether the platform is another one than the engine's own."""
        own = str(self._info["Architecture"]).replace("x86_64", "amd64").replace("aarch64", "arm64")
        return self.platform is not None and self.platform.split("/")[1:2] != [own]

    @cached_property
    def has_bridge(self) -> bool:
        """Whether ports can be published; without, containers use the host's network."""
        return any(network.name == "bridge" for network in self.client.networks.list())

    def require_runtime(self, name: str | None) -> None:
        """Raise ProvisioningError when a container runtime is asked for that the engine does not have."""
        known = sorted(self._info["Runtimes"])
        if name is not None and name not in known:
            hint = "NVIDIA's container toolkit brings nvidia: install it on the engine's host and restart the engine"
            raise ProvisioningError(
                f"the Docker engine has no runtime {name}; it has {', '.join(known)}",
                hint=hint if name == "nvidia" else None,
            )

    @cached_property
    def _info(self) -> dict[str, Any]:
        return self.client.info()

    def image(self, wanted: str | None, extras: str, report: Report) -> str:
        """An image that is there: `wanted`, pulled when it is missing, or this checkout's, built when it is missing.

        `extras` of edgerun are in the one that is built.
        """
        name = wanted or f"{IMAGE}:{version('edgerun')}-{_digest(self.platform, extras)}"
        try:
            self.client.images.get(name)
        except ImageNotFound:
            if wanted:
                report(f"pulling {name}")
                self.client.images.pull(name, platform=self.platform)
            else:
                report(f"building {name}")
                self._build(name, extras, report)
        return name

    def _build(self, name: str, extras: str, report: Report) -> None:
        steps = self.client.api.build(
            path=str(CHECKOUT),
            tag=name,
            buildargs={"EXTRAS": extras},
            rm=True,
            forcerm=True,
            decode=True,
            platform=self.platform,
            network_mode=None if self.has_bridge else "host",
        )
        last, made = "", _Made()
        try:
            for step in steps:
                text = str(step.get("stream", "")).strip()
                made.note(text)
                if text.startswith(STEP):
                    report(f"  {text}")
                last = text or last
                if "error" in step:
                    hint = f"last output: {last}"
                    raise ProvisioningError(f"the image could not be built: {step['error']}", hint=hint)
        finally:
            self._remove_unnamed(made.images)

    def _remove_unnamed(self, images: Sequence[str]) -> None:
        """Remove what a build made and did not name: its first stage, of 366 MB, would stay for ever."""
        for image in reversed(images):
            with suppress(APIError):  # a step of the image itself, which has to stay
                if not self.client.images.get(image).tags:
                    self.client.images.remove(image, noprune=True)


class _Made:
    """The images that a build makes, by what it prints: one a step, unless the step or its base was there before."""

    def __init__(self) -> None:
        self.images: list[str] = []
        self._was_there = False

    def note(self, line: str) -> None:
        """Take a line of the build."""
        if line.startswith(STEP):
            self._was_there = " : FROM " in line
        elif line == "---> Using cache":
            self._was_there = True
        elif (found := MADE.fullmatch(line)) and not self._was_there:
            self.images.append(found[1])


def _connect(place: str | None) -> tuple[DockerClient, str]:
    if place is None:
        host = os.environ.get("DOCKER_HOST") or ContextAPI.kwargs_from_context().get("base_url", "")
        return docker.from_env(timeout=TIMEOUT_S, use_ssh_client=True), str(host)
    if any(context.Name == place for context in ContextAPI.contexts()):
        parameters = ContextAPI.kwargs_from_context(place)
        client = DockerClient(timeout=TIMEOUT_S, use_ssh_client=True, **parameters)
        return client, str(parameters.get("base_url", ""))
    host = f"ssh://{place}"
    return DockerClient(base_url=host, timeout=TIMEOUT_S, use_ssh_client=True), host


def _digest(platform: str | None, extras: str) -> str:
    """The digest of everything that goes into the image: another state of the checkout is another image."""
    if not (CHECKOUT / "Dockerfile").is_file():
        hint = "run provision from a checkout of edgerun, or give --image"
        raise ProvisioningError("there is no Dockerfile to build an image from", hint=hint)
    digest = hashlib.sha256(f"{platform or ''}\0{extras}\0".encode())
    patterns = (CHECKOUT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in patterns if line and not line.startswith("#")]
    for name in sorted({"Dockerfile", *exclude_paths(str(CHECKOUT), patterns)}):
        path = CHECKOUT / name
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


@contextmanager
def engine_errors() -> Iterator[None]:
    """Turn what the SDK raises into ours: Unreachable and ProvisioningError."""
    try:
        yield
    except APIError as error:
        said = str(error.explanation or error)
        hint = next((hint for words, hint in HINTS.items() if words in said), None)
        raise ProvisioningError(f"the Docker engine says: {said}", hint=hint) from error
    except (requests_exceptions.ConnectionError, requests_exceptions.Timeout) as error:
        raise Unreachable(f"the Docker engine does not answer: {error}", hint=ENGINE_HINT) from error
    except DockerException as error:
        raise Unreachable(f"no Docker engine: {error}", hint=ENGINE_HINT) from error


@contextmanager
def missing_is_fine() -> Iterator[None]:
    """For what may be gone already, or not there yet."""
    with suppress(NotFound):
        yield
