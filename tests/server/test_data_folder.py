"""The data folder: closed to others, and no damage in it keeps an agent from starting."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from contract.models import ModelList, ModelManifest
from image_model.catalog import embedded_entries
from server.errors import AgentError
from server.http import tls
from server.http.tls import Clock, ensure_certificate
from server.models.store import ModelStore
from tests.agents import running_agent
from tests.images import digit
from tests.server.jobs.running import shell, submit, wait_until_ended
from tests.server.test_classify import problem
from tests.server.test_models import DIGITS, LABELS, put_blob, put_model


def open_to_others(folder: Path) -> list[str]:
    """What in a folder others may read, write or enter; not what a program left, which has its own modes."""
    found = []
    for path in (folder, *folder.rglob("*")):
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and mode & 0o077 and "output" not in path.parts and path.name != "test.log":
            found.append(f"{path.relative_to(folder)} {stat.filemode(mode)}")
    return found


def test_nothing_in_the_data_folder_is_for_others(tmp_path: Path) -> None:
    """Not the list of jobs with what programs were given, nor its journal; programs make files as in a shell."""
    data = tmp_path / "data"
    with running_agent(data, "--workers", "1", "--allow-commands", "on") as agent, agent.http() as http:
        named(http)
        job = submit(http, shell("umask; echo > $OUTPUT/left; mkdir $OUTPUT/folder", env={"SECRET": "s3cret"}))
        assert wait_until_ended(http, job.id).state == "succeeded"
        assert int(http.get(f"/v1/jobs/{job.id}/logs").text, 8) == 0o022
        assert http.post("/v1/classify", content=digit(1)).status_code == 200
        assert open_to_others(data) == []
        left = data / "jobs" / job.id / "output"
        assert stat.S_IMODE((left / "left").stat().st_mode) == 0o644


def test_a_folder_of_an_earlier_agent_is_closed_and_that_is_told(tmp_path: Path) -> None:
    """What it left readable is closed at the start; links are not followed."""
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    (data / "jobs" / "1").mkdir(parents=True)
    elsewhere.write_text("somebody else's")
    (data / "jobs" / "1" / "order.json").write_text("{}")
    (data / "jobs" / "link").symlink_to(elsewhere)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "file").write_text("somebody else's")
    (data / "jobs" / "2").symlink_to(theirs)
    for path in (data, data / "jobs", data / "jobs" / "1"):
        path.chmod(0o755)
    for path in (elsewhere, theirs / "file", data / "jobs" / "1" / "order.json"):
        path.chmod(0o644)
    script = "import sys, logging; logging.basicConfig(); from pathlib import Path\n"
    script += "from server.storage.permissions import make_private; make_private(Path(sys.argv[1]))"
    for told in (True, False):
        done = subprocess.run([sys.executable, "-c", script, data], capture_output=True, text=True, check=True)
        assert ("others could read" in done.stderr) == told
    assert open_to_others(data) == []
    assert [stat.S_IMODE(path.stat().st_mode) for path in (elsewhere, theirs / "file")] == [0o644, 0o644]


def named(http: httpx.Client, name: str = "mine") -> httpx.Response:
    """Put the embedded model's files under another name, as a client pushes them."""
    preprocessing = {"input_range": [1.0, 0.0]}
    return put_model(http, name, DIGITS, labels=put_blob(http, LABELS), preprocessing=preprocessing)


def stored(data: Path, name: str = "mine") -> Path:
    """Where a model's description lies."""
    return data / "models" / f"{name}.json"


def as_a_folder(path: Path) -> None:
    """Put a folder where a file was."""
    path.unlink(missing_ok=True)
    path.mkdir()
    (path / "in-it").touch()


def as_a_file(path: Path) -> None:
    """Put a file where a folder was."""
    shutil.rmtree(path)
    path.touch()


def as_a_loose_link(path: Path) -> None:
    """Put a link to nothing where a file was."""
    path.unlink()
    path.symlink_to(path.with_name("nothing"))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut off": lambda data: stored(data).write_bytes(stored(data).read_bytes()[:40]),
    "no JSON": lambda data: stored(data).write_bytes(b"\xff\x00"),
    "a list": lambda data: stored(data).write_text("[]"),
    "a text": lambda data: stored(data).write_text('{"manifest": 1, "description": "x"}'),
    "too deep": lambda data: stored(data).write_text("[" * 100_000),
    "empty": lambda data: stored(data).write_text(""),
    "a folder": lambda data: as_a_folder(stored(data)),
    "a loose link": lambda data: as_a_loose_link(stored(data)),
    "another's name": lambda data: stored(data).write_text(stored(data).read_text().replace('"mine"', '"yours"')),
    "no blobs": lambda data: list(map(Path.unlink, list((data / "blobs").iterdir()))),
    "blobs are folders": lambda data: list(map(as_a_folder, list((data / "blobs").iterdir()))),
    "no blob folder": lambda data: as_a_file(data / "blobs"),
}
"""What may become of a model's files; each leaves the model unusable."""


def test_a_model_whose_name_the_agent_has_itself_by_now_is_left_out(tmp_path: Path) -> None:
    """A model pushed before one of its name came with the agent: that one answers, and the reason is told."""
    store_with_a_model(tmp_path)
    (tmp_path / "models" / "mine.json").rename(tmp_path / "models" / "digits-detector.json")
    store = ModelStore(tmp_path)
    assert "push this one under another" in store.damaged["digits-detector"]
    assert store.get("digits-detector").description.embedded


def store_with_a_model(data: Path) -> ModelStore:
    """A store in which the embedded model's files have another name, too."""
    store, digests = ModelStore(data), []
    for content in (DIGITS, LABELS):
        with store.receive() as receiver:
            receiver.write(content)
            digests.append(receiver.digest)
            receiver.keep(receiver.digest)
    manifest = ModelManifest(model=digests[0], labels=digests[1])
    description = store.get("digits").description.model_copy(update={"name": "mine", "embedded": False})
    store.put(manifest, description)
    store.choose_default("mine")
    return store


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_model_is_left_out_and_can_be_stored_again(tmp_path: Path, damage: str) -> None:
    """The next start holds what is whole, knows what is not, and takes the model anew."""
    assert store_with_a_model(tmp_path).default.description.name == "mine"
    DAMAGES[damage](tmp_path)
    store = ModelStore(tmp_path)
    assert list(store.damaged) == ["mine"]
    assert [model.description.name for model in store] == sorted(embedded_entries())
    assert store.default.description.name == "digits"
    with pytest.raises(AgentError, match="damaged"):
        store.get("mine")
    store = store_with_a_model(tmp_path)
    assert store.damaged == {}
    assert Path(store.get("mine").source.path).read_bytes() == DIGITS
    assert ModelStore(tmp_path).default.description.name == "mine"


def test_an_agent_with_a_damaged_model_starts_and_says_so(tmp_path: Path) -> None:
    """It answers with what is whole, and pushing the model again mends it."""
    data = tmp_path / "data"
    store_with_a_model(data)
    DAMAGES["cut off"](data)
    with running_agent(data, "--workers", "1") as agent, agent.http() as http:
        assert "mine is damaged" in agent.log()
        models = ModelList.model_validate_json(http.get("/v1/models").content)
        assert [model.name for model in models.damaged] == ["mine"]
        assert models.default == "digits"
        assert "damaged" in (problem(http.get("/v1/models/mine")).detail or "")
        assert http.post("/v1/classify", content=digit(3)).status_code == 200
        assert named(http).status_code == 201
        reply = http.post("/v1/classify", content=digit(3)).json()
        assert (reply["model"]["name"], reply["predictions"][0]["label"]) == ("mine", "number 3")
        assert ModelList.model_validate_json(http.get("/v1/models").content).damaged == []


def test_a_damaged_model_can_be_removed(tmp_path: Path) -> None:
    """For good: the next start finds nothing of it."""
    store_with_a_model(tmp_path)
    as_a_folder(stored(tmp_path))
    store = ModelStore(tmp_path)
    store.remove("mine")
    with pytest.raises(AgentError, match="no model"):
        store.remove("mine")
    assert ModelStore(tmp_path).damaged == {}


def test_files_of_the_wrong_kind_everywhere_keep_no_agent_from_starting(tmp_path: Path) -> None:
    """Folders where files should be and files where folders should be are moved aside; what is odd is ignored."""
    data = tmp_path / "data"
    (data / "models").mkdir(parents=True)
    for name in ("default-model", "sessions.json", "agent.json", "agent.lock"):
        as_a_folder(data / name)
    for name in ("blobs", "files"):
        (data / name).touch()
    for odd in (b"\xff.json", b".json", b"a b.json", b"\xe2\x80\xae.json"):
        (data / "models").joinpath(os.fsdecode(odd)).write_text("{}")
    with running_agent(data, "--workers", "1") as agent, agent.http() as http:
        assert http.get("/v1/models").json()["damaged"] == []
        assert named(http).status_code == 201
        http.put("/v1/default-model", json={"name": "mine"}).raise_for_status()
        assert "Traceback" not in agent.log()
    assert not (data / "agent.json").exists()


@pytest.mark.parametrize("content", [b"no such model", b"\xff\xfe", b"", b"x" * 10_000, b"digits\n"])
def test_a_default_that_is_none_chooses_nothing(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The rule for agents without a chosen default goes on."""
    (tmp_path / "default-model").write_bytes(content)
    assert ModelStore(tmp_path).default.description.name == "digits"
    assert ("another one answers" in caplog.text or "cannot be read" in caplog.text) == (content != b"digits\n")


@pytest.mark.parametrize("year", [1970, 2025, 2036, 2037, 2099, 9999])
def test_a_clock_that_nobody_set_replaces_no_certificate(tmp_path: Path, year: int) -> None:
    """A board without a battery shows any year; pins outlive it, and what it makes is good when the clock is right."""
    today = Clock(tls.BUILT + timedelta(days=300), synchronised=False)
    wrong = Clock(datetime(year, 1, 1, tzinfo=UTC), synchronised=False)
    kept = ensure_certificate(tmp_path / "kept", today).sha256
    assert ensure_certificate(tmp_path / "kept", wrong).sha256 == kept
    assert ensure_certificate(tmp_path / "kept", today).sha256 == kept
    made = ensure_certificate(tmp_path / "made", wrong).sha256
    assert ensure_certificate(tmp_path / "made", today).sha256 == made


def test_a_clock_that_is_right_replaces_an_old_certificate(tmp_path: Path) -> None:
    """One that the network set is taken at its word, whatever it shows."""
    first = ensure_certificate(tmp_path, Clock(tls.BUILT, synchronised=False)).sha256
    later = Clock(tls.BUILT + tls.LIFETIME - timedelta(days=20), synchronised=True)
    second = ensure_certificate(tmp_path, later).sha256
    assert second != first
    assert ensure_certificate(tmp_path, later).sha256 == second


def test_the_kernel_tells_of_its_clock() -> None:
    """Without rights, on every machine of the tests."""
    clock = tls.this_clock()
    assert abs((clock.now - datetime.now(UTC)).total_seconds()) < 3600
    assert isinstance(clock.synchronised, bool)


@pytest.mark.parametrize("damage", ["cert.pem", "key.pem", "."])
def test_a_certificate_that_is_no_file_is_made_anew(tmp_path: Path, damage: str) -> None:
    """Folders in the way are moved aside."""
    folder = tmp_path / "tls"
    first = ensure_certificate(folder).sha256
    if damage == ".":
        as_a_file(folder)
    else:
        as_a_folder(folder / damage)
    second = ensure_certificate(folder).sha256
    assert second != first
    assert ensure_certificate(folder).sha256 == second


def test_a_log_file_makes_room_and_standard_error_goes_along(tmp_path: Path) -> None:
    """At most twice the bytes that were set, whoever writes; the newest lines are in the file of that name."""
    script = """
import logging, os, sys
from server.logs import set_up_logging
from server.settings import Settings
set_up_logging(Settings.from_env({}, log_file=sys.argv[1], max_log_bytes="20000", data="unused"))
for number in range(2000):
    logging.info("line %d", number)
    os.write(2, b"a library prints\\n")
logging.info("the end")
os.write(2, b"last words\\n")
"""
    path = tmp_path / "agent.log"
    with path.open("ab") as file:
        subprocess.run([sys.executable, "-c", script, path], stdout=file, stderr=file, check=True)
    assert {each.name for each in tmp_path.iterdir()} == {"agent.log", "agent.log.1"}
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) < 41_000
    assert path.read_text().splitlines()[-1] == "last words"
    assert "the end" in path.read_text()
