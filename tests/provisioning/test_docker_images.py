"""Images that the Docker provider builds, with a Dockerfile of two small stages, on a real engine (`-m slow`)."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provisioning.deployments import Deployment
from provisioning.errors import ProvisioningError
from provisioning.providers.docker import engine as docker_engine
from provisioning.providers.docker.engine import DockerEngine
from tests.provisioning import engines

pytestmark = pytest.mark.slow

STAGES = """
FROM python:3.11-slim-bookworm AS build
ARG EXTRAS
RUN echo {0} > /made
RUN echo "$EXTRAS" > /extras

FROM python:3.11-slim-bookworm
COPY --from=build /made /extras /
{1}
"""


def docker(*arguments: str) -> list[str]:
    """What a docker command prints, as words."""
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(["docker", *arguments], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


def unnamed() -> set[str]:
    """Images that nobody gave a name and that nothing is built on."""
    return set(docker("images", "--quiet", "--filter", "dangling=true"))


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], DockerEngine]]:
    """An engine for a checkout whose Dockerfile has such a last line; its image goes afterwards."""
    engines.variables()

    def make(last: str) -> DockerEngine:
        (tmp_path / "Dockerfile").write_text(STAGES.format(tmp_path, last))
        (tmp_path / ".dockerignore").write_text("*\n")
        monkeypatch.setattr(docker_engine, "CHECKOUT", tmp_path)
        monkeypatch.setattr(docker_engine, "IMAGE", "edgerun-test-stages")
        return DockerEngine.of(Deployment("box", "docker", {}, "token"))

    yield make
    for image in docker("images", "--quiet", "edgerun-test-stages"):
        docker("rmi", "--force", image)


def test_a_build_leaves_one_image(checkout: Callable[[str], DockerEngine]) -> None:
    """The stage that the image is copied from, 366 MB of the agent's, goes; the image works."""
    before = unnamed()
    image = checkout("").image(None, "server,onnx", lambda _: None)
    assert unnamed() == before
    assert docker("run", "--rm", "--network", "none", image, "cat", "/extras") == ["server,onnx"]


def test_a_build_that_fails_leaves_nothing(checkout: Callable[[str], DockerEngine]) -> None:
    """Neither the stage nor the steps of the one that failed."""
    before = unnamed()
    with pytest.raises(ProvisioningError, match="could not be built"):
        checkout("RUN false").image(None, "server", lambda _: None)
    assert unnamed() == before


def test_what_others_built_stays(checkout: Callable[[str], DockerEngine]) -> None:
    """A stage that was there before, and that the build only used again, is somebody's."""
    before = unnamed()
    agent_of = checkout("")
    theirs = docker(
        "build", "--quiet", "--target", "build", "--build-arg", "EXTRAS=server", str(docker_engine.CHECKOUT)
    )
    try:
        agent_of.image(None, "server", lambda _: None)
        assert unnamed() - before == {theirs[0].removeprefix("sha256:")[:12]}
    finally:
        docker("rmi", theirs[0])
