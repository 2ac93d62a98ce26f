"""The agent writes synthetic models when they are first used, and says what they are."""

import hashlib
from collections.abc import Iterator

import pytest

from contract.codes import ErrorCode
from contract.jobs import JobState
from contract.models import SYNTHETIC_SOURCE, ModelDescription, SyntheticModels
from contract.results import ProfileResult
from server.synthesis import SYNTHETIC_MODELS
from server.synthesis.models import synthetic_model
from tests.agents import RunningAgent, running_agent
from tests.home import Home
from tests.server.jobs.running import run
from tests.server.test_classify import problem


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAgent]:
    """An agent on which nothing was ever done."""
    with running_agent(tmp_path_factory.mktemp("fresh"), "--workers", "1") as agent:
        yield agent


def written(agent: RunningAgent) -> dict[str, bool]:
    """What the agent can write, and whether it is there."""
    found = SyntheticModels.model_validate_json(agent.get("/v1/synthetic-models").content)
    return {model.name: model.written for model in found.models}


def test_a_job_has_its_model_written_first(fresh: RunningAgent) -> None:
    """On a fresh agent, without any download; the model is described as what it is, and kept like an upload."""
    assert written(fresh) == dict.fromkeys(SYNTHETIC_MODELS, False)
    spec = {"model": "resnet20-float32", "iterations": 70}
    job, result = run(fresh, {"kind": "profile", "spec": spec})
    assert job.state is JobState.SUCCEEDED, job.error
    assert isinstance(result, ProfileResult)
    assert (result.macs, result.parameters) == (40_813_184, 271_690)
    model = ModelDescription.model_validate_json(fresh.get("/v1/models/resnet20-float32").content)
    assert model.digest == f"sha256:{hashlib.sha256(synthetic_model('resnet20-float32')).hexdigest()}"
    assert model.source == SYNTHETIC_SOURCE
    assert (model.class_count, model.output_kind, model.preprocessing_assumed) == (10, "probabilities", False)
    assert all(check.ok for check in model.runtimes.values())
    assert written(fresh)["resnet20-float32"]
    assert not list(fresh.data.glob("*.part"))


def test_a_model_is_written_once(fresh: RunningAgent) -> None:
    """201 the first time, 200 from then on; after it was removed it can be written again."""
    with fresh.http() as http:
        path = "/v1/synthetic-models/resnet20-int8"
        assert [http.put(path).status_code for _ in range(2)] == [201, 200]
        assert http.delete("/v1/models/resnet20-int8").status_code == 204
        missing = problem(http.get("/v1/models/resnet20-int8"))
        assert (missing.code, missing.hint) == (
            ErrorCode.UNKNOWN_MODEL,
            "`client models write resnet20-int8` has it written",
        )
        assert http.put(path).status_code == 201


def test_a_name_that_means_nothing_is_refused(fresh: RunningAgent) -> None:
    """With the names that mean something."""
    with fresh.http() as http:
        answer = problem(http.put("/v1/synthetic-models/vgg16"))
    assert answer.code == ErrorCode.UNKNOWN_MODEL
    assert "resnet20-int8" in answer.detail


def test_commands_show_what_is_there_and_what_would_be_written(fresh: RunningAgent, home: Home) -> None:
    """`client models write` and `ls`."""
    home.knows(fresh)
    assert home.client("models", "write", "resnet20-int8").returncode == 0
    listed = home.client("models", "ls").stdout
    assert "resnet20-int8 (synthetic weights)" in listed
    assert "written when first used, with synthetic weights: " in listed
    assert "mobilenet_v2-int8" in listed
    rows = home.client("models", "ls", "-o", "csv").stdout.splitlines()
    assert "synthetic" in rows[0].split(",")
    assert home.client("models", "write", "vgg16").returncode == 5
