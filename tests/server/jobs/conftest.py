"""Agents that run jobs."""

from collections.abc import Iterator

import pytest

from tests.agents import RunningAgent, running_agent


@pytest.fixture(scope="module")
def worker_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAgent]:
    """An agent that allows commands, shared by a module."""
    options = ("--workers", "1", "--allow-commands", "on")
    with running_agent(tmp_path_factory.mktemp("jobs"), *options) as running:
        yield running
