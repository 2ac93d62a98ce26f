"""Models that lie on the machine when the agent starts."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from image_model.catalog import EMBEDDED_FOLDER
from tests.agents import running_agent, wait_for
from tests.images import digit

SERVER = str(Path(sys.executable).with_name("server"))


def digits(folder: Path, **declared: object) -> Path:
    """A folder as somebody trained it: one model, its labels, and what is to be known of it."""
    folder.mkdir(parents=True)
    shutil.copy(EMBEDDED_FOLDER / "digits.tflite", folder / "trained.tflite")
    shutil.copy(EMBEDDED_FOLDER / "digits_labels.txt", folder / "labels.txt")
    if declared:
        (folder / "edgerun.json").write_text(json.dumps(declared))
    return folder


def test_a_folder_is_served_under_the_name_it_is_given(tmp_path: Path) -> None:
    """With its labels and preprocessing; again after a restart, from where it is now."""
    folder = digits(tmp_path / "mnt", preprocessing={"input_range": [1, 0]}, licence="MIT")
    for _ in range(2):
        with running_agent(tmp_path / "data", "--workers", "1", "--models", f"mine={folder}") as agent:
            reply = agent.post("/v1/models/mine/classify", digit(7)).json()
            assert reply["predictions"][0]["label"] == "7"
            described = agent.get("/v1/models/mine").json()
            assert (described["licence"], described["label_count"]) == ("MIT", 10)
            assert described["preprocessing"]["input_range"] == [1, 0]


def test_a_model_that_cannot_be_served_keeps_the_agent_from_being_ready(tmp_path: Path) -> None:
    """It says which and why, answers with the others, and stays up."""
    junk = tmp_path / "junk.tflite"
    junk.write_bytes(b"\0\0\0\0TFL3 and nothing more")
    wrong = digits(tmp_path / "wrong", model="sha256:" + "0" * 64)
    models = f"junk={junk},wrong={wrong},mine={digits(tmp_path / 'good')}"
    process = subprocess.Popen([SERVER, "--port", "0", "--data", str(tmp_path / "data"), "--models", models])
    try:
        wait_for(lambda: '"mine"' in (answer(tmp_path / "data", "/v1/models/mine") or ""))
        found = answer(tmp_path / "data", "/health/ready")
        assert answer(tmp_path / "data", "/health/live") == '{"status":"live"}'
    finally:
        process.terminate()
        process.wait(60)
    assert found
    assert "model junk cannot be served" in found
    assert "edgerun.json is to be an object without format" in found


def answer(data: Path, path: str) -> str | None:
    """What an agent answers that need not be ready; None before it does."""
    try:
        url = json.loads((data / "agent.json").read_text())["url"]
        return httpx.get(f"{url}{path}", trust_env=False).text
    except (OSError, ValueError, httpx.TransportError):
        return None


@pytest.mark.parametrize(
    ("models", "code", "says"),
    [
        ("mine=/nowhere", 3, "there is no file or folder /nowhere"),
        ("mine=empty", 3, "is to hold one model (.tflite, .xml, .onnx), and holds none"),
        ("mine=two", 3, "holds a.onnx, b.tflite: name the file"),
        ("mine=two/notes.txt", 3, "notes.txt is none of .tflite, .xml, .onnx"),
        ("Mine=two/b.tflite", 2, "--models takes NAME=FILE or NAME=FOLDER"),
        ("two/b.tflite", 2, "--models takes NAME=FILE or NAME=FOLDER"),
    ],
)
def test_a_slip_is_told_at_once(tmp_path: Path, models: str, code: int, says: str) -> None:
    """Before anything is started."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "two").mkdir()
    for name in ("a.onnx", "b.tflite", "notes.txt"):
        (tmp_path / "two" / name).write_text("")
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("server")),
            "--port",
            "0",
            "--data",
            str(tmp_path / "data"),
            "--models",
            models,
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
