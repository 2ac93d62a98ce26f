"""Batches in a worker: run as one where the graph lets them, and at nobody else's cost."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from contract.tasks import Task
from image_model.catalog import EMBEDDED_FOLDER, load_catalog
from server.openinference.worker.format import BodyFormat
from server.runtimes import open_runtime
from server.workers.messages import Infer, Inferred, ModelSource, ModelSpec
from server.workers.runner import BATCHED_KEPT, Runner, Setting
from server.workers.tensors import infer
from tests.server.openinference.bodies import binary, body, read_reply

SETTING = Setting(1)


@pytest.fixture(scope="module")
def runner() -> Runner:
    """What a worker of litert runs models with."""
    return Runner(open_runtime("litert", delegates=True), ["CPU"])


@pytest.fixture(scope="module")
def digits() -> ModelSpec:
    """The embedded classifier, as a model of tensors."""
    entry = load_catalog()["digits"].model
    return ModelSpec(ModelSource("tflite", str(EMBEDDED_FOLDER / entry.name), entry.digest, {}), Task.TENSOR, None, {})


def ask(runner: Runner, model: ModelSpec, pixels: NDArray[np.int8]) -> tuple[Inferred, NDArray[np.int8]]:
    content, size = body([binary("image", pixels)], pixels.tobytes(), parameters={"binary_data_output": True})
    result = bytearray(1 << 20)
    order = Infer(model, "digits", 0, len(content), BodyFormat(size, 1 << 20), 1, threads=1)
    answer = infer(runner, order, memoryview(content), memoryview(result))
    return answer, read_reply(bytes(result[: answer.size]), answer.header_bytes)[1]["probabilities"]


def test_batches_of_every_size_run_as_one_and_drive_out_no_model(runner: Runner, digits: ModelSpec) -> None:
    """Each row as it comes out alone; and of the models for batches only a few are kept."""
    pixels = np.random.default_rng(1).integers(-128, 127, (9, 8, 8, 1), np.int8, endpoint=True)
    alone = [ask(runner, digits, pixels[row : row + 1])[1][0] for row in range(9)]
    single = runner.ready(digits, SETTING)
    for count in range(2, 10):
        answer, found = ask(runner, digits, pixels[:count])
        assert (answer.batch, answer.executions) == (count, 1)
        assert np.abs(found.astype(int) - np.array(alone[:count], int)).max() <= 4
    assert runner.ready(digits, SETTING) is single
    kept = [count for count in range(2, 10) if runner.ready(digits, Setting(1, count)) is not None]
    assert kept == list(range(10 - BATCHED_KEPT, 10))


def test_the_reply_of_a_batch_says_nothing_of_batches(runner: Runner, digits: ModelSpec) -> None:
    """The protocol's header alone: what clients compare."""
    pixels = np.zeros((2, 8, 8, 1), np.int8)
    content, size = body([binary("image", pixels)], pixels.tobytes())
    result = bytearray(1 << 20)
    order = Infer(digits, "digits", 0, len(content), BodyFormat(size, 1 << 20), 1, threads=1)
    answer = infer(runner, order, memoryview(content), memoryview(result))
    header = json.loads(result[: answer.size])
    assert set(header) == {"model_name", "model_version", "outputs"}
    assert header["outputs"][0]["shape"] == [2, 10]
