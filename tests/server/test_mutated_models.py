"""Damaged models: the agent answers every upload and every picture, and its own process never dies."""

from collections import Counter
from pathlib import Path

import httpx
import pytest

from contract.errors import PROBLEM_MEDIA_TYPE
from image_model.catalog import EMBEDDED_FOLDER
from tests.agents import running_agent
from tests.images import digit
from tests.server.mutations import mutants
from tests.server.test_models import digest_of

DIGITS = (EMBEDDED_FOLDER / "digits.tflite").read_bytes()


@pytest.mark.parametrize("count", [16, pytest.param(500, marks=pytest.mark.slow)])
def test_damaged_models_never_end_the_agent(tmp_path: Path, count: int) -> None:
    """Every upload is taken in or refused with a reason; one that is taken in is used, for better or worse."""
    outcomes: Counter[str] = Counter()
    with running_agent(tmp_path / "data", "--workers", "1") as agent, agent.http() as http:
        for name, content in mutants(DIGITS, count):
            outcome = _upload(http, content)
            if outcome == "taken in":
                outcome += ", then " + _outcome(http.post("/v1/models/mutant/classify", content=digit(3)), "answered")
                http.delete("/v1/models/mutant")
            outcomes[outcome] += 1
            assert agent.process.poll() is None, f"{name} ended the agent"
        assert http.get("/health/live").status_code == 200
        reply = http.post("/v1/models/digits/classify", content=digit(3))
        assert reply.json()["predictions"][0]["index"] == 3
        assert "Traceback" not in agent.log()
    assert outcomes.total() == count
    for outcome, times in outcomes.most_common():
        print(f"{times:4} {outcome}")


def _upload(http: httpx.Client, content: bytes) -> str:
    digest = digest_of(content)
    blob = http.put(f"/v1/blobs/{digest}", content=content)
    if blob.status_code >= 400:
        return _outcome(blob, "stored")
    return _outcome(http.put("/v1/models/mutant", json={"model": digest}), "taken in")


def _outcome(response: httpx.Response, good: str) -> str:
    if response.status_code < 300:
        return good
    assert response.headers["content-type"] == PROBLEM_MEDIA_TYPE
    return f"{response.status_code} {response.json()['code']}"
