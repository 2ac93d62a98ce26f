"""`client detect`, `client models push` of detectors, and detection in the SDK, against real agents."""

import asyncio
import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from PIL import Image

from client import AsyncEdgeClient, EdgeClient, Host
from client.errors import BadAnswer
from contract.detect import Box, Detection, DetectReply
from tests import detectors
from tests.agents import RunningAgent, running_agent
from tests.client.test_edge_client import answering, http_reply
from tests.home import Home
from tests.images import encoded

SPOTS = [((0, 0, 8, 8), "red"), ((56, 56, 64, 64), "blue")]
"""Of the input's own cells, so that the boxes are known; a picture ten times as large has them ten times as far."""
SIZE = (640, 640)


@pytest.fixture(scope="module")
def spotter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAgent]:
    """An agent that has a detector, pushed as users do."""
    folder = tmp_path_factory.mktemp("spotter")
    (folder / "spots.tflite").write_bytes(detectors.yolo_v8())
    (folder / "spots.txt").write_bytes(detectors.LABELS)
    with running_agent(folder / "data", "--workers", "1") as agent:
        home = Home(folder / "home").knows(agent)
        options = ("--labels", str(folder / "spots.txt"), "--input-range", "0,1")
        done = home.client("models", "push", str(folder / "spots.tflite"), *options)
        assert done.returncode == 0, done.stderr
        assert "its task is detection, guessed from its tensors" in done.stderr
        yield agent


@pytest.fixture
def user(home: Home, spotter: RunningAgent) -> Home:
    """Somebody with two pictures: one with a red and a blue spot, one with nothing."""
    picture = Image.fromarray(detectors.spots((64, 64), SPOTS)).resize(SIZE, Image.Resampling.NEAREST)
    (home.folder / "scene.png").write_bytes(encoded(picture))
    (home.folder / "empty.png").write_bytes(encoded(Image.new("RGB", SIZE, "white")))
    return home.knows(spotter)


def detect(user: Home, *arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    done = user.client("detect", *arguments, "--model", "spots", stdin=stdin)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_one_picture_is_shown_in_detail(user: Home) -> None:
    """Rank, score, label and box of each object, and its stages, on standard output; nothing else anywhere."""
    code, out, err = detect(user, "scene.png", "--min-score", "0.9")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("scene.png on edge1: spots (litert")
    assert {tuple(line.split()[2:]) for line in lines[3:5]} == {
        ("red", "0", "0", "80", "80"),
        ("blue", "560", "560", "640", "640"),
    }
    assert lines[5] == "boxes in pixels of the file"
    assert [word for word in ("decode", "inference", "suppression", "network") if word not in lines[-2]] == []


def test_several_pictures_make_a_table_and_are_drawn_into_a_folder(user: Home) -> None:
    """A row a picture, with what was found in it, and a file for each; a bad one spoils no other."""
    (user.folder / "bad.jpg").write_bytes(b"no picture")
    code, out, err = detect(user, ".", "--min-score", "0.9", "--draw", "boxes")
    assert code == 5
    found = {line.split()[0]: line.split()[2:] for line in out.splitlines()[1:]}
    assert found["empty.png"][0] == "0"
    assert (found["scene.png"][0], set(found["scene.png"][1:3])) == ("2", {"red,", "blue"})
    assert sorted(each.name for each in (user.folder / "boxes").iterdir()) == ["empty.png", "scene.png"]
    assert "bad.jpg: edge1: " in err


def test_standard_input_is_drawn_too(user: Home) -> None:
    """Its bytes can be read only once, and are needed twice."""
    image = (user.folder / "scene.png").read_bytes()
    code, _, err = detect(user, "-", "--draw", "out.png", stdin=image)
    assert (code, err) == (0, "out.png shows the boxes\n")
    with Image.open(user.folder / "out.png") as drawn:
        assert (drawn.size, drawn.convert("RGB").getpixel((79, 60))) == (SIZE, (0, 114, 178))


def test_programs_get_documents_and_rows(user: Home) -> None:
    """JSON has the reply as it came; CSV a row an object, and one without rank for a picture without objects."""
    _, out, _ = detect(user, "scene.png", "--min-score", "0.9", "-o", "json")
    (result,) = json.loads(out)["results"]
    assert (result["host"], result["file"], result["model"]["name"]) == ("edge1", "scene.png", "spots")
    assert {each["label"] for each in result["detections"]} == {"red", "blue"}
    _, out, _ = detect(user, "empty.png", "scene.png", "--min-score", "0.9", "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["file"], row["rank"]) for row in rows] == [("empty.png", ""), ("scene.png", "1"), ("scene.png", "2")]
    boxes = {row["label"]: [row[f"{edge}_px"] for edge in Box.model_fields] for row in rows}
    assert boxes["red"] == ["0.0", "0.0", "80.0", "80.0"]
    assert all(float(row["inference_ms"]) >= 0 for row in rows)


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["detect", "scene.png"], 2, "--model"),
        (["detect", "scene.png", "--model", "digits"], 5, "digits is a model for classification"),
        (["detect", "scene.png", "--model", "nosuch"], 5, "this agent holds"),
        (["detect", "nosuch.png", "--model", "spots"], 2, "no file 'nosuch.png'"),
        (["detect", "scene.png", "--model", "spots", "--min-score", "2"], 2, "--min-score"),
        (["detect", "scene.png", "--model", "spots", "--max", "0"], 2, "--max"),
        (["detect", "scene.png", "--model", "spots", "--draw", "out.gif"], 2, "must end in .png"),
        (["detect", "scene.png", "--model", "spots", "--draw", "scene.png"], 2, "a picture to look at"),
        (["detect", "scene.png", "empty.png", "--model", "spots", "--draw", "x.png"], 2, "cannot take 2 pictures"),
        (["detect", "scene.png", "--model", "spots", "--draw", "/proc/x.png"], 1, "/proc/x.png cannot be written"),
        (["classify", "scene.png", "--model", "spots"], 5, "spots is a model for detection"),
        (["models", "default", "spots"], 5, "does not classify"),
        (["models", "push", "spots.tflite", "--task", "classification"], 5, "scores are [1, classes]"),
        (["models", "push", "spots.tflite", "--task", "tensor", "--boxes", "yolo_v8"], 2, "not with --task tensor"),
        (["models", "push", "spots.tflite", "--boxes", "yolo_v9"], 2, "yolo_v9"),
    ],
)
def test_errors_are_a_line_and_an_exit_code(user: Home, arguments: list[str], code: int, complaint: str) -> None:
    """Expected failures say what is wrong and never show a traceback; no picture that was named is written over."""
    (user.folder / "spots.tflite").write_bytes(detectors.yolo_v8())
    before = (user.folder / "scene.png").read_bytes()
    done = user.client(*arguments)
    assert done.returncode == code, done.stderr
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert (user.folder / "scene.png").read_bytes() == before


def test_models_are_shown_with_their_task(user: Home) -> None:
    """What each is for in the list; how boxes are read where one is shown."""
    listed = user.client("models", "ls")
    tasks = {tuple(line.replace("*", "").split()[1:3]) for line in listed.stdout.splitlines()}
    assert tasks >= {("digits", "classification"), ("digits-detector", "detection"), ("spots", "detection")}
    shown = [line.split() for line in user.client("models", "show", "spots").stdout.splitlines()]
    assert ["task", "detection", "(guessed)"] in shown
    assert ["boxes", "yolo_v8,", "normalised"] in shown


def test_a_yolo_model_whose_pictures_are_stretched_is_noticed(user: Home) -> None:
    """Who declares the range of the input declares the fit too, and is told what that means."""
    (user.folder / "yolo.tflite").write_bytes(detectors.yolo_v8())
    push = ("models", "push", "yolo.tflite", "--input-range", "0,1")
    assert "--fit letterbox" in user.client(*push).stderr
    assert "--fit letterbox" not in user.client(*push, "--fit", "letterbox").stderr
    shown = user.client("models", "show", "yolo").stdout
    assert "pixels to (0.0, 1.0), letterbox" in shown
    assert "yolo_v8, normalised" in shown
    assert user.client("models", "rm", "yolo").returncode == 0


def test_both_clients_give_typed_objects(spotter: RunningAgent) -> None:
    """Options reach the agent; the answer names its host and tells the network apart from the stages."""
    image = encoded(Image.fromarray(detectors.spots((64, 64), SPOTS)))

    async def one() -> list[Detection]:
        async with AsyncEdgeClient(spotter.host) as client:
            return (await client.detect(image, model="spots", min_score=0.9)).detections

    with EdgeClient(spotter.host) as client:
        answer = client.detect(image, model="spots", min_score=0.9)
        best = client.detect(image, model="spots", min_score=0.9, max_detections=1)
    assert {(each.label, each.box_px.right) for each in answer.detections} == {("red", 8), ("blue", 64)}
    assert answer.detections == asyncio.run(one())
    assert best.detections == answer.detections[:1]
    assert (answer.host, answer.exchange_ms >= answer.reply.timing_ms.total) == ("test", True)


REPLY = {
    "request_id": "0123456789",
    "model": {"name": "spots", "digest": "sha256:" + "0" * 64},
    "runtime": {"name": "litert", "version": "1", "device": "CPU", "delegate": None, "threads": 1},
    "image": {
        "format": "PNG",
        "width": 64,
        "height": 64,
        "decoded_width": 64,
        "decoded_height": 64,
        "decode": "full",
        "exif_orientation": 1,
    },
    "timing_ms": {"queue": 0, "decode": 0, "preprocess": 0, "inference": 0, "postprocess": 0, "total": 0},
}
FOUND = {"index": 0, "label": "red", "score": 0.5, "box_px": {"left": 0, "top": 0, "right": 9, "bottom": 9}}


@contextmanager
def telling(**found: object) -> Iterator[Host]:
    """An agent that tells of one object with these fields."""
    body = json.dumps({**REPLY, "detections": [{**FOUND, **found}]}).encode()
    with answering(http_reply("200 OK", body, b"content-type: application/json")) as (host, _):
        yield host


def test_the_scripted_reply_is_one_that_agents_send() -> None:
    """Else the next tests would be about something else."""
    DetectReply.model_validate({**REPLY, "detections": [FOUND]})


@pytest.mark.parametrize(
    "found",
    [
        {"score": float("nan")},
        {"score": 7},
        {"score": -0.1},
        {"index": -1},
        {"index": 10**12},
        {"label": 5},
        *({"box_px": {**FOUND["box_px"], "left": value}} for value in (float("nan"), float("inf"), -1, 1e300, "1x")),  # type: ignore[dict-item]
    ],
)
def test_numbers_that_no_picture_has_are_refused(found: dict[str, object]) -> None:
    """Neither drawing nor tables ever see them."""
    with telling(**found) as host, EdgeClient(host) as client, pytest.raises(BadAnswer):
        client.detect(b"x", model="spots")


def test_too_many_objects_are_refused() -> None:
    """An agent may tell of 300."""
    body = json.dumps({**REPLY, "detections": [FOUND] * 301}).encode()
    with (
        answering(http_reply("200 OK", body, b"content-type: application/json")) as (host, _),
        EdgeClient(host) as client,
        pytest.raises(BadAnswer),
    ):
        client.detect(b"x", model="spots")


def test_hostile_labels_and_boxes_are_shown_and_drawn_as_text(home: Home) -> None:
    """Escape sequences and markup stay text, a box turned around is no line on the picture."""
    (home.folder / "scene.png").write_bytes(encoded(Image.new("RGB", (64, 64), "white")))
    box = {"left": 60, "top": 60, "right": 2, "bottom": 2**31 - 1}
    with telling(label="\x1b[2J[red]\nx", box_px=box) as host:
        home.hosts.put(Host("odd", host.url))
        done = home.client("detect", "scene.png", "--model", "x", "--host", "odd", "--draw", "out.png")
    assert (done.returncode, done.stderr) == (0, "out.png shows the boxes\n")
    assert r"\x1b[2J[red]\nx" in done.stdout
    with Image.open(home.folder / "out.png") as drawn:
        assert drawn.convert("L").getextrema() == (255, 255)
