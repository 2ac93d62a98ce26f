"""The `client` command as a user runs it: output, exit codes, one-line errors."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from client.sdk.trust import fingerprint
from image_model.catalog import EMBEDDED_FOLDER, SAMPLES_FOLDER
from tests.agents import TOKEN, RunningAgent, running_agent
from tests.conftest import SuppliedModel
from tests.home import Home
from tests.images import digit

THREE = str(SAMPLES_FOLDER / "digit-3.png")
DIGITS = str(EMBEDDED_FOLDER / "digits.tflite")
SEVEN = str(SAMPLES_FOLDER / "digit-7.png")


def test_one_image_is_shown_in_detail(home: Home, secured_agent: RunningAgent) -> None:
    """Labels, scores and stage times on standard output, nothing else anywhere."""
    done = home.knows(secured_agent).client("classify", THREE, "--host", "edge1", "--top-k", "2")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "on edge1: digits (litert" in lines[0]
    assert lines[3].split() == ["1", "0.9961", "3"]
    assert [word for word in ("queue", "decode", "inference", "agent total", "network") if word in lines[-2]]


def test_json_is_one_document_with_the_reply_unchanged(home: Home, secured_agent: RunningAgent) -> None:
    """What the agent sent, the host, the file, and what the client saw."""
    done = home.knows(secured_agent).client("classify", THREE, "-o", "json")
    document = json.loads(done.stdout)
    assert document["schema_version"] == 1
    (result,) = document["results"]
    assert (result["host"], result["file"], result["predictions"][0]["label"]) == ("edge1", THREE, "3")
    assert set(result["timing_ms"]) >= {"queue", "decode", "preprocess", "inference", "postprocess", "total"}
    assert set(result["client_timing_ms"]) == {"connect", "exchange", "network"}


def test_several_images_and_hosts_make_a_table(home: Home, agent: RunningAgent, secured_agent: RunningAgent) -> None:
    """A row a picture and host, in the order named; csv has the same as numbers."""
    home.knows(agent, "a").knows(secured_agent, "b")
    done = home.client("classify", THREE, SEVEN, "--host", "a", "--host", "b")
    rows = [line.split()[:3] for line in done.stdout.splitlines()[1:]]
    assert rows == [[THREE, "a", "3"], [THREE, "b", "3"], [SEVEN, "a", "7"], [SEVEN, "b", "7"]]
    table = list(csv.DictReader(io.StringIO(home.client("classify", THREE, "--all", "-k", "1", "-o", "csv").stdout)))
    assert [(row["host"], row["label"]) for row in table] == [("a", "3"), ("b", "3")]
    assert all(float(row["inference_ms"]) >= 0 for row in table)


def test_folders_patterns_and_standard_input(home: Home, agent: RunningAgent) -> None:
    """Each way to name pictures finds them, sorted; a file named twice counts once."""
    home.knows(agent)
    folder = home.client("classify", str(SAMPLES_FOLDER), "-o", "json")
    labels = [result["predictions"][0]["label"] for result in json.loads(folder.stdout)["results"]]
    assert labels == [str(n) for n in range(10)]
    pattern = home.client("classify", str(SAMPLES_FOLDER / "digit-[37].png"), THREE, "-o", "json")
    assert len(json.loads(pattern.stdout)["results"]) == 2
    piped = home.client("classify", "-", "-o", "json", stdin=digit(8))
    assert json.loads(piped.stdout)["results"][0]["predictions"][0]["label"] == "8"
    nested = home.client("classify", str(EMBEDDED_FOLDER), "--recursive", "-o", "json")
    pictures = [path for path in EMBEDDED_FOLDER.rglob("*") if path.suffix in (".png", ".jpg")]
    assert len(json.loads(nested.stdout)["results"]) == len(pictures) > 10


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["classify", "nosuch.jpg"], 2, "no file 'nosuch.jpg'"),
        (["classify", "*.nosuch"], 2, "no file matches"),
        (["classify", "."], 2, "holds no"),
        (["classify", THREE, "--host", "nosuch"], 2, "known hosts: edge1"),
        (["classify", THREE, "--top-k", "0"], 2, "top-k"),
        (["classify", THREE, "--decode", "quick"], 2, "quick"),
        (["classify", THREE, "--host", "127.0.0.1:1"], 3, "cannot connect"),
        (["classify", THREE, "--host", "https://127.0.0.1:1"], 4, "no certificate is pinned"),
        (["classify", THREE, "--model", "nosuch"], 5, "digits"),
        (["classify", THREE, "--runtime", "magic"], 5, "installed here: litert, tflite"),
        (["clasify", THREE], 2, "Did you mean 'classify'?"),
        (["models", "pull", "nosuch"], 1, "the catalog has no model"),
        (["models", "pull", "digits"], 1, "part of every agent"),
        (["models", "path", "mobilenet_v2_1.0_224_quant"], 1, "client models pull"),
        (["models", "rm", "digits"], 5, "cannot be removed"),
        (["models", "push", THREE], 2, "none of .tflite, .xml, .onnx"),
        (["hosts", "use", "nosuch"], 2, "known hosts: edge1"),
        (["hosts", "add", "x", "ftp://x"], 2, "not an agent's address"),
        (["models", "push", DIGITS, "--input-range", "nan,1"], 2, "input_range"),
        (["run", "--env", "A B=\udcff", "--", "true"], 2, "env.A B"),
        (["classify", THREE, "--runtime", "a\x1bb"], 2, "runtime"),
    ],
)
def test_errors_are_a_line_and_an_exit_code(
    home: Home, agent: RunningAgent, arguments: list[str], code: int, complaint: str
) -> None:
    """Expected failures say what to do next and never show a traceback."""
    done = home.knows(agent).client(*arguments)
    assert done.returncode == code, done.stderr
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_image_among_good_ones(home: Home, agent: RunningAgent, tmp_path: Path) -> None:
    """The good ones are answered, the bad one is named, and the exit code tells."""
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    done = home.knows(agent).client("classify", THREE, str(bad), "-o", "json")
    assert done.returncode == 5
    first, second = json.loads(done.stdout)["results"]
    assert first["predictions"][0]["label"] == "3"
    assert second["error"]["problem"]["code"] == "not_an_image"
    assert str(bad) in done.stderr


def test_some_hosts_failing_has_its_own_exit_code(home: Home, agent: RunningAgent) -> None:
    """9 when one host answers and another does not; the answers are printed."""
    home.knows(agent)
    done = home.client("classify", THREE, "--host", "edge1", "--host", "127.0.0.1:1", "-o", "json")
    assert done.returncode == 9
    assert json.loads(done.stdout)["results"][0]["predictions"][0]["label"] == "3"
    listed = home.client("models", "ls", "--host", "edge1", "--host", "127.0.0.1:1")
    assert listed.returncode == 9
    assert "digits" in listed.stdout


def test_a_wrong_token_ends_with_4(home: Home, secured_agent: RunningAgent) -> None:
    """EDGERUN_TOKEN wins over the entry of the host that EDGERUN_HOST names, also when it is wrong."""
    done = home.knows(secured_agent).client("classify", THREE, EDGERUN_TOKEN="wrong", EDGERUN_HOST="edge1")
    assert done.returncode == 4
    assert "token" in done.stderr


def test_hostile_names_are_printed_as_text(home: Home, tmp_path: Path) -> None:
    """Markup in labels and file names is shown, not interpreted."""
    image = tmp_path / "[bold red]x.png"
    image.write_bytes(digit(3))
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"[link=http://x]{n}[/link]\n" for n in range(10)))
    with running_agent(tmp_path / "data", "--workers", "1") as agent:
        home.knows(agent)
        model = str(EMBEDDED_FOLDER / "digits.tflite")
        push = home.client("models", "push", model, "--name", "odd", "--labels", str(labels), "--input-range", "1,0")
        assert push.returncode == 0, push.stderr
        done = home.client("classify", str(image), "--model", "odd")
    assert "[bold red]x.png" in done.stdout
    assert "[link=http://x]3[/link]" in done.stdout


def test_a_known_model_is_fetched_pushed_and_answers(home: Home, tmp_path: Path, mobilenet: SuppliedModel) -> None:
    """pull fetches to this machine and pushes to the agent; then it is the default and sees a macaw."""
    name = mobilenet.entry.name
    parrot = tmp_path / "parrot.jpg"
    parrot.write_bytes(mobilenet.parrot)
    with running_agent(tmp_path / "data") as agent:
        home.knows(agent)
        pulled = home.client("models", "pull", name, "--host", "edge1", EDGERUN_MODEL_MIRROR=mobilenet.mirror)
        assert pulled.returncode == 0, pulled.stderr
        assert "runs on litert, tflite" in pulled.stderr
        done = home.client("classify", str(parrot), "--host", "edge1", "--model", name, "-o", "json")
        first, second = json.loads(done.stdout)["results"][0]["predictions"][:2]
        assert (first["label"], second["label"]) == ("macaw", "lorikeet")
        assert first["score"] > 0.99
        default = home.client("classify", str(parrot), "-o", "json")
        assert json.loads(default.stdout)["results"][0]["model"]["name"] == name
        assert home.client("models", "default", "digits").stdout == "digits\n"
        assert home.client("models", "default").stdout == "digits\n"
        assert home.client("models", "path", name, "parrot.jpg").stdout.strip().endswith("parrot.jpg")
        listed = home.client("models", "ls").stdout
        assert "mobilenet_v2_1.0_224_quant  classification  1x224x224x3  uint8  1001" in listed
        shown = home.client("models", "show", name).stdout
        assert "scale 0.0078125, zero point 128" in shown
        assert home.client("models", "rm", name).returncode == 0


def test_hosts_are_added_listed_used_and_forgotten(home: Home, secured_agent: RunningAgent) -> None:
    """A host added with the right fingerprint works at once; its token never shows."""
    assert secured_agent.host.certificate is not None
    print_of = fingerprint(secured_agent.host.certificate)
    url = secured_agent.url
    added = home.client("hosts", "add", "board", url, "--fingerprint", print_of, "--group", "lab", EDGERUN_TOKEN=TOKEN)
    assert added.returncode == 0, added.stderr
    assert home.client("hosts", "use", "board").returncode == 0
    listed = home.client("hosts", "ls", "-o", "json").stdout
    assert TOKEN not in listed
    (row,) = json.loads(listed)["hosts"]
    assert (row["name"], row["token"], row["certificate"], row["current"]) == ("board", "set", print_of, True)
    assert home.client("hosts", "test", "board").returncode == 0
    assert home.client("classify", THREE, "--host", "@lab").returncode == 0
    assert home.client("hosts", "rm", "board").returncode == 0
    assert home.client("hosts", "ls").stdout.strip() == "name  url  token  certificate  groups  provider  tunnel"


def test_a_wrong_fingerprint_pins_nothing(home: Home, secured_agent: RunningAgent) -> None:
    """Neither a wrong fingerprint nor nobody to ask leads to trust."""
    wrong = "sha256:" + "0" * 64
    refused = home.client("hosts", "add", "board", secured_agent.url, "--fingerprint", wrong, EDGERUN_TOKEN=TOKEN)
    unasked = home.client("hosts", "add", "board", secured_agent.url, EDGERUN_TOKEN=TOKEN)
    assert (refused.returncode, unasked.returncode) == (4, 4)
    assert home.hosts.hosts() == {}


def test_a_recreated_agent_is_trusted_anew_on_purpose_only(home: Home, tmp_path: Path) -> None:
    """After its certificate changed a host fails with 4 until `hosts trust` pins the new one."""
    with running_agent(tmp_path / "first", "--workers", "1", token=TOKEN) as agent:
        home.knows(agent)
    with running_agent(tmp_path / "second", "--workers", "1", token=TOKEN) as agent:
        assert agent.host.certificate is not None
        stale = home.hosts.named("edge1")
        home.hosts.put(type(stale)("edge1", agent.url, stale.certificate, TOKEN))
        changed = home.client("classify", THREE)
        assert changed.returncode == 4
        assert "client hosts trust edge1" in changed.stderr
        trusted = home.client("hosts", "trust", "edge1", "--fingerprint", fingerprint(agent.host.certificate))
        assert trusted.returncode == 0, trusted.stderr
        assert home.client("classify", THREE).returncode == 0


def test_doctor_finds_what_is_wrong(home: Home, secured_agent: RunningAgent) -> None:
    """0 when all is well; 1 with the failed check and a hint when not."""
    assert home.client("doctor").returncode == 0
    home.knows(secured_agent)
    well = home.client("doctor", "-o", "json")
    checks = json.loads(well.stdout)["checks"]
    assert well.returncode == 0
    assert [check["name"] for check in checks if check["subject"] == "edge1"] == [
        *("certificate", "reachable", "token", "ready", "sensors", "runtimes", "device", "version")
    ]
    ill = home.client("doctor", EDGERUN_TOKEN="wrong", EDGERUN_HOST="edge1")
    assert ill.returncode == 1
    assert "FAILED  edge1" in ill.stdout
    gone = home.client("doctor", "--host", "127.0.0.1:1")
    assert gone.returncode == 1


def test_help_everywhere(home: Home) -> None:
    """Each command explains itself, without boxes in pipes, and a bare `client` shows what there is."""
    for command in ([], ["classify"], ["doctor"], ["models"], ["models", "push"], ["hosts"], ["hosts", "add"]):
        done = home.client(*command, "--help")
        assert done.returncode == 0
        assert "Usage: client" in done.stdout
        assert "│" not in done.stdout
    assert "classify" in home.client().stdout + home.client().stderr
    assert home.client("--version").stdout.startswith("edgerun ")


def test_a_name_that_cannot_be_looked_at_is_one_line(home: Home, agent: RunningAgent) -> None:
    """Whatever the system says of it."""
    done = home.knows(agent).client("classify", "x" * 5000)
    assert (done.returncode, done.stdout) == (2, "")
    assert "File name too long" in done.stderr
    assert "Traceback" not in done.stderr


def test_several_hosts_may_stand_in_one_option(home: Home, agent: RunningAgent) -> None:
    """As several runtimes do."""
    home.knows(agent, "edge1")
    home.knows(agent, "edge2")
    done = home.client("models", "ls", "--host", "edge1, edge2", "-o", "csv")
    assert done.returncode == 0
    assert {"edge1", "edge2"} <= set(done.stdout.replace("\n", ",").split(","))


def test_a_table_has_the_same_columns_whatever_failed(home: Home, agent: RunningAgent) -> None:
    """A program that reads them need not know whether anything went well."""
    home.knows(agent)
    bad = home.folder / "bad.png"
    bad.write_bytes(b"no picture")
    headers = [
        home.client("classify", *files, "-o", "csv").stdout.splitlines()[0]
        for files in ((str(SEVEN),), (str(bad),), (str(SEVEN), str(bad)))
    ]
    assert headers[0].startswith("host,file,rank,")
    assert set(headers) == {headers[0]}


def test_a_closed_pipe_is_no_error(home: Home, agent: RunningAgent) -> None:
    """`client ... | head -1` ends quietly."""
    home.knows(agent)
    client = Path(sys.executable).with_name("client")
    images = " ".join([str(SAMPLES_FOLDER)] * 3)
    script = f"{client} classify {images} -k 100 -o csv | head -c 10; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], env=home.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
