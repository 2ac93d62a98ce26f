"""One agent that speaks the protocol over both transports, with models of several kinds."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.agents import RunningAgent, running_agent
from tests.conftest import SuppliedModel
from tests.server.openinference.models import arithmetic, total
from tests.server.test_models import put_blob, put_model

DIGITS, ARITHMETIC, TOTAL, MOBILENET = "digits", "arithmetic", "total", "mobilenet"


@dataclass(frozen=True)
class Served:
    """An agent, and where its gRPC port is."""

    agent: RunningAgent
    grpc_port: int

    @property
    def grpc_address(self) -> str:
        """As gRPC's clients want it."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def http_address(self) -> str:
        """As tritonclient wants it: without scheme."""
        return self.agent.url.partition("//")[2]


def grpc_port(agent: RunningAgent) -> int:
    """The port that an agent says it listens on for gRPC."""
    return int(json.loads((agent.data / "agent.json").read_text())["grpc_port"])


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An agent without a token that holds `digits`, `arithmetic` and `total`; tests leave it as they found it."""
    with running_agent(tmp_path_factory.mktemp("served"), "--grpc-port", "0", "--workers", "2") as running:
        with running.http() as http:
            for name, content in ((ARITHMETIC, arithmetic()), (TOTAL, total())):
                answer = put_model(http, name, content, format="onnx")
                assert answer.status_code == 201, answer.text
        yield Served(running, grpc_port(running))


@pytest.fixture(scope="session")
def with_mobilenet(served: Served, mobilenet: SuppliedModel) -> Served:
    """The same with the supplied MobileNetV2 and its labels."""
    with served.agent.http() as http:
        _put_mobilenet(http, mobilenet)
    return served


def _put_mobilenet(http: httpx.Client, mobilenet: SuppliedModel) -> None:
    labels = put_blob(http, Path(mobilenet.labels_path).read_bytes())
    answer = put_model(http, MOBILENET, Path(mobilenet.model_path).read_bytes(), labels=labels)
    assert answer.status_code == 201, answer.text
