"""An agent that runs jobs, shared by the tests of the client."""

from collections.abc import Iterator

import pytest

from tests.agents import TOKEN, RunningAgent, running_agent


@pytest.fixture(scope="session")
def job_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAgent]:
    """An agent with token and TLS that allows commands; tests leave no job waiting or running on it."""
    folder = tmp_path_factory.mktemp("jobs")
    with running_agent(folder, "--workers", "1", "--allow-commands", "on", token=TOKEN) as running:
        yield running
