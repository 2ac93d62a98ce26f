"""What a worker does with its models, in this process."""

from hashlib import sha256
from pathlib import Path

import pytest

from contract.codes import ErrorCode
from contract.digests import identity
from contract.tasks import Task
from image_model.catalog import EMBEDDED_FOLDER, EMBEDDED_MODEL, load_catalog
from server.runtimes import open_runtime
from server.tasks.base import OrderFailed
from server.workers.messages import ModelSource, ModelSpec
from server.workers.runner import Runner, Setting


@pytest.fixture
def model(tmp_path: Path) -> ModelSpec:
    content = (EMBEDDED_FOLDER / load_catalog()[EMBEDDED_MODEL].model.name).read_bytes()
    (tmp_path / "model.tflite").write_bytes(content)
    source = ModelSource(
        "tflite", str(tmp_path / "model.tflite"), identity(f"sha256:{sha256(content).hexdigest()}", {}), {}
    )
    return ModelSpec(source, Task.TENSOR, None, {})


def test_a_model_loaded_with_other_threads_holds_the_same_bytes(model: ModelSpec) -> None:
    """A file is read once for all settings of a model, and anew when none of them is loaded any more."""
    runner = Runner(open_runtime("litert", delegates=True), ("CPU",))
    runner.load(model, Setting(1))
    Path(model.source.path).unlink()
    assert runner.load(model, Setting(2)).setting == Setting(2)
    runner._models.clear()
    with pytest.raises(OrderFailed) as failed:
        runner.load(model, Setting(1))
    assert failed.value.code == ErrorCode.UNKNOWN_MODEL
