"""Models are uploaded under their digests, tried before they are taken in, and removed."""

import hashlib
import json
from pathlib import Path

import httpx
import pytest

from contract.codes import ErrorCode
from contract.models import ModelDescription, ModelManifest
from image_model.catalog import EMBEDDED_FOLDER, embedded_entries
from tests.agents import RunningAgent, running_agent
from tests.conftest import TFLITE_RUNTIMES, SuppliedModel
from tests.images import digit
from tests.server.test_classify import problem
from tests.tflite import constant_model, model_with_unknown_operator

DIGITS = (EMBEDDED_FOLDER / "digits.tflite").read_bytes()
LABELS = "".join(f"number {n}\n" for n in range(10)).encode()


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def put_blob(http: httpx.Client, content: bytes) -> str:
    digest = digest_of(content)
    response = http.put(f"/v1/blobs/{digest}", content=content)
    assert response.status_code in (200, 201), response.text
    return digest


def put_model(http: httpx.Client, name: str, model: bytes, **fields: object) -> httpx.Response:
    manifest = {"model": put_blob(http, model), **fields}
    return http.put(f"/v1/models/{name}", json=manifest)


def test_an_uploaded_model_classifies_with_its_own_labels(agent: RunningAgent) -> None:
    """Blob, labels and manifest make a model that answers; deleting it ends that."""
    with agent.http() as http:
        labels = put_blob(http, LABELS)
        preprocessing = {"input_range": [1.0, 0.0]}
        response = put_model(http, "mine", DIGITS, labels=labels, preprocessing=preprocessing)
        description = ModelDescription.model_validate_json(response.content)
        assert response.status_code == 201
        assert response.headers["etag"] == f'"{digest_of(DIGITS)}"'
        assert (description.task, description.class_count, description.label_count) == ("classification", 10, 10)
        assert description.output_kind == "probabilities"
        assert [check.detail for check in description.runtimes.values() if not check.ok] == []
        reply = http.post("/v1/models/mine/classify", content=digit(4)).json()
        assert reply["predictions"][0]["label"] == "number 4"
        assert http.delete("/v1/models/mine").status_code == 204
        assert problem(http.post("/v1/models/mine/classify", content=digit(4))).code == ErrorCode.UNKNOWN_MODEL
        assert problem(http.delete("/v1/models/mine")).code == ErrorCode.UNKNOWN_MODEL


def test_the_same_upload_twice_changes_nothing(agent: RunningAgent) -> None:
    """A repeated PUT is answered with 200; HEAD tells that a blob need not be sent."""
    with agent.http() as http:
        assert put_model(http, "twice", DIGITS).status_code == 201
        assert put_model(http, "twice", DIGITS).status_code == 200
        assert http.head(f"/v1/blobs/{digest_of(DIGITS)}").status_code == 200
        assert http.head(f"/v1/blobs/{digest_of(b'other')}").status_code == 404
        http.delete("/v1/models/twice")


def test_without_labels_and_preprocessing_both_are_said_to_be_missing(agent: RunningAgent) -> None:
    """Predictions carry indices alone, and the description marks its assumption."""
    with agent.http() as http:
        described = put_model(http, "bare", DIGITS).json()
        assert (described["label_count"], described["preprocessing_assumed"]) == (None, True)
        assert described["preprocessing"]["input_range"] == pytest.approx([0.0, 1.0])
        prediction = http.post("/v1/models/bare/classify", content=digit(4)).json()["predictions"][0]
        assert prediction["label"] is None
        http.delete("/v1/models/bare")


def test_bytes_that_do_not_have_their_digest_are_refused(agent: RunningAgent) -> None:
    """A wrong digest stores nothing."""
    wrong = digest_of(b"something else")
    with agent.http() as http:
        found = problem(http.put(f"/v1/blobs/{wrong}", content=DIGITS))
        assert (found.status, found.code) == (422, ErrorCode.WRONG_DIGEST)
        assert http.head(f"/v1/blobs/{wrong}").status_code == 404
    assert not list(agent.data.glob("blobs/*.part"))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"PK\x03\x04 a zip file, not a model", ErrorCode.NOT_A_MODEL),
        (b"x", ErrorCode.NOT_A_MODEL),
        (b"\0\0\0\0TFL3", ErrorCode.MODEL_REJECTED),
        (DIGITS[: len(DIGITS) // 2], ErrorCode.MODEL_REJECTED),
        (model_with_unknown_operator(), ErrorCode.MODEL_REJECTED),
    ],
    ids=["zip", "tiny", "identifier alone", "half a model", "unknown operator"],
)
def test_what_no_runtime_can_run_is_refused_with_what_each_said(
    agent: RunningAgent, content: bytes, code: ErrorCode
) -> None:
    """The agent survives, names what was tried, and keeps nothing under the name."""
    with agent.http() as http:
        found = problem(put_model(http, "broken", content))
        assert (found.status, found.code) == (422, code)
        if code is ErrorCode.MODEL_REJECTED:
            assert found.errors is not None
            assert {error["runtime"] for error in found.errors} == set(TFLITE_RUNTIMES)
        assert http.get("/v1/models/broken").status_code == 404
        assert http.get("/health/ready").status_code == 200


def test_a_model_that_crashes_its_loader_is_an_answer_not_the_end(tmp_path: Path) -> None:
    """tflite-runtime segfaults on a root 1 GiB behind the file: in a throw-away process, which is all that dies.

    A cut-off file crashes it in two of five tries only: what it reads behind the end is whatever lies there.
    """
    with running_agent(tmp_path / "data", "--runtime", "tflite", "--workers", "1") as agent, agent.http() as http:
        workers = agent.workers()
        found = problem(put_model(http, "crasher", (1 << 30).to_bytes(4, "little") + DIGITS[4:]))
        assert (found.status, found.code) == (422, ErrorCode.MODEL_CRASHED)
        assert "SIGSEGV" in found.detail
        assert agent.workers() == workers
        assert http.post("/v1/classify", content=digit(2)).json()["predictions"][0]["label"] == "2"


def test_a_model_of_another_kind_is_kept_but_does_not_classify(agent: RunningAgent) -> None:
    """A model that runs but takes no picture is described as such and refuses to classify."""
    with agent.http() as http:
        described = put_model(http, "vector", constant_model()).json()
        assert (described["task"], described["task_assumed"]) == ("tensor", True)
        assert "shape" in described["unfit"]["classification"]
        found = problem(http.post("/v1/models/vector/classify", content=digit(1)))
        assert (found.status, found.code) == (422, ErrorCode.NOT_A_CLASSIFIER)
        found = problem(http.put("/v1/default-model", json={"name": "vector"}))
        assert found.code == ErrorCode.NOT_A_CLASSIFIER
        http.delete("/v1/models/vector")


@pytest.mark.parametrize(
    ("manifest", "code"),
    [
        ({"model": "sha256:" + "0" * 64}, ErrorCode.UNKNOWN_BLOB),
        ({"model": "md5:123"}, ErrorCode.INVALID_REQUEST),
        ({}, ErrorCode.INVALID_REQUEST),
        ({"model": digest_of(DIGITS), "surprise": 1}, ErrorCode.INVALID_REQUEST),
        ({"model": digest_of(DIGITS), "preprocessing": {"input_range": [[0, 1], [0, 1]]}}, ErrorCode.INVALID_REQUEST),
    ],
)
def test_wrong_manifests_are_refused(agent: RunningAgent, manifest: dict[str, object], code: ErrorCode) -> None:
    """Unknown blobs, other digests, unknown fields and ranges that do not fit are named."""
    with agent.http() as http:
        put_blob(http, DIGITS)
        assert problem(http.put("/v1/models/wrong", json=manifest)).code == code


def test_a_bad_label_file_is_refused(agent: RunningAgent) -> None:
    """Labels are read when the model is put, not when the first picture comes."""
    with agent.http() as http:
        labels = put_blob(http, b"\xff\xfe not text")
        assert problem(put_model(http, "badlabels", DIGITS, labels=labels)).code == ErrorCode.BAD_LABELS


@pytest.mark.parametrize("name", embedded_entries())
def test_an_embedded_model_is_protected(agent: RunningAgent, name: str) -> None:
    """It can be neither replaced nor removed."""
    with agent.http() as http:
        assert problem(http.delete(f"/v1/models/{name}")).code == ErrorCode.MODEL_PROTECTED
        assert problem(put_model(http, name, DIGITS)).code == ErrorCode.MODEL_PROTECTED


@pytest.mark.parametrize("name", ["Upper", "..", "a%2Fb", "-x"])
def test_unsafe_names_are_refused(agent: RunningAgent, name: str) -> None:
    """A model's name can never become another path."""
    with agent.http() as http:
        assert http.put(f"/v1/models/{name}", json={"model": digest_of(DIGITS)}).status_code in (404, 405, 422)


def test_models_and_the_default_survive_a_restart(tmp_path: Path) -> None:
    """What was uploaded and chosen is there again after the agent was stopped."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent, agent.http() as http:
        put_model(http, "mine", DIGITS, preprocessing={"input_range": [1.0, 0.0]})
        http.put("/v1/default-model", json={"name": "mine"}).raise_for_status()
    with running_agent(tmp_path / "data", "--workers", "1") as agent, agent.http() as http:
        assert http.post("/v1/classify", content=digit(6)).json()["model"]["name"] == "mine"
        listed = http.get("/v1/models").json()
        assert (listed["default"], listed["default_chosen"]) == ("mine", True)
        http.delete("/v1/models/mine").raise_for_status()
        assert http.get("/v1/default-model").json() == {"name": "digits"}


def test_a_damaged_model_file_is_noticed_before_it_answers(tmp_path: Path) -> None:
    """A flipped bit in a stored weight would run and give wrong answers: the digest is checked at load."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent, agent.http() as http:
        put_model(http, "mine", DIGITS)
    blob = tmp_path / "data" / "blobs" / digest_of(DIGITS).removeprefix("sha256:")
    blob.write_bytes(DIGITS[:-1] + bytes([DIGITS[-1] ^ 1]))
    with running_agent(tmp_path / "data", "--workers", "1") as agent, agent.http() as http:
        assert problem(http.post("/v1/models/mine/classify", content=digit(6))).code == ErrorCode.WRONG_DIGEST


def test_a_description_that_cannot_be_read_does_not_stop_the_agent(tmp_path: Path) -> None:
    """A broken or orphaned description is left out, and the model can be put again."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent, agent.http() as http:
        put_model(http, "mine", DIGITS)
        put_model(http, "other", DIGITS, outputs="probabilities")
    (tmp_path / "data" / "models" / "mine.json").write_text("{")
    document = json.loads((tmp_path / "data" / "models" / "other.json").read_text())
    assert ModelManifest.model_validate(document["manifest"]).outputs == "probabilities"
    (tmp_path / "data" / "blobs" / digest_of(DIGITS).removeprefix("sha256:")).unlink()
    with running_agent(tmp_path / "data", "--workers", "1") as agent, agent.http() as http:
        assert [model["name"] for model in http.get("/v1/models").json()["models"]] == sorted(embedded_entries())
        assert put_model(http, "mine", DIGITS).status_code == 201


@pytest.mark.parametrize("runtime", ["litert", "tflite"])
def test_the_supplied_model_sees_a_macaw(tmp_path: Path, mobilenet: SuppliedModel, runtime: str) -> None:
    """Macaw first with more than 0.99, lorikeet second, from both runtimes; it is the default once it is there."""
    with running_agent(tmp_path / "data", "--runtime", runtime) as agent, agent.http() as http:
        labels = put_blob(http, mobilenet.labels_path.read_bytes())
        response = put_model(http, mobilenet.entry.name, mobilenet.model_path.read_bytes(), labels=labels)
        assert response.status_code == 201, response.text
        assert response.json()["preprocessing"]["input_range"] == [-1.0, 0.9921875]
        reply = http.post("/v1/classify", content=mobilenet.parrot).json()
        assert reply["model"]["name"] == mobilenet.entry.name
        first, second, third = reply["predictions"][:3]
        assert (first["index"], first["label"]) == (89, "macaw")
        assert first["score"] > 0.99
        assert (second["label"], third["label"]) == ("lorikeet", "bee eater")
        legacy = http.post("/v1/classify?quant=legacy_sample", content=mobilenet.parrot).json()["predictions"]
        assert [prediction["label"] for prediction in legacy[:2]] == ["macaw", "spoonbill"]
