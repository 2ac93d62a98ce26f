"""Names that the other side chose never lead out of the folder that was meant."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from client.files.inside import UnsafeName, inner_path, inside
from client.sdk import calls, job_calls
from contract import paths
from contract.jobs import Job

OUTSIDE = ("", ".", "..", "/etc/passwd", "../up", "a/b", "a\\b", "a\0b", "a\nb", "\x1b[2J", "\u202ea", "\ud800")
AWKWARD = (".hidden", "-rf", "~root", "CON", "nul.txt", "COM1", "a" * 201, "ä" * 101)


@pytest.mark.parametrize("name", [*OUTSIDE, *AWKWARD])
def test_a_name_that_could_be_more_than_a_name_is_refused(tmp_path: Path, name: str) -> None:
    """Separators, parents, what cannot be seen, what is hidden or reserved, what is too long."""
    with pytest.raises(UnsafeName) as caught:
        inside(tmp_path, name)
    assert caught.value.exit_code == 6
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["0123456789abcdef", "edge1-2.csv", "größe", "a b"])
def test_a_plain_name_is_taken(tmp_path: Path, name: str) -> None:
    """The path is the folder's and the name's."""
    assert inside(tmp_path, name) == tmp_path / name


def test_no_link_is_followed(tmp_path: Path) -> None:
    """Also one that leads to a place that is not there yet."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeName, match="is a link"):
        inside(tmp_path, "link")


@pytest.mark.parametrize("name", ["/a", "a/../b", "a\\b", "a\0b", "a/" * 300, "a" * 256, "a/" * 200 + "b" * 200 * 20])
def test_an_inner_path_stays_below(name: str) -> None:
    """What archives name their members."""
    with pytest.raises(UnsafeName):
        inner_path(name)


def test_a_program_may_call_its_files_as_it_likes() -> None:
    """Hidden and odd names do no harm in a folder of their own."""
    for name in (".cache/x", "-rf", "aux", "a\nb", "\udcff"):
        assert str(inner_path(name)) == name


@pytest.mark.parametrize("id", ["/home/u/.config/autostart", "/../important", "..", "", "a/b", "a" * 65, "x\n", "-x"])
def test_a_job_has_an_id_that_can_be_a_name(id: str) -> None:
    """The contract refuses others, so that no answer with one is ever used."""
    document = {
        "id": id,
        "number": 1,
        "request": {"kind": "command", "spec": {"argv": ["x"]}},
        "state": "running",
        "created_at": "2026-01-01T00:00:00Z",
    }
    with pytest.raises(ValidationError, match="id"):
        Job.model_validate(document)


def test_names_stay_one_part_of_an_address() -> None:
    """Whatever a user asks for, no other path of the agent is meant by it."""
    assert job_calls.job("a/../b?c#d").path == "/v1/jobs/a%2F..%2Fb%3Fc%23d"
    assert calls.located(paths.BLOB, digest="sha256:00") == "/v1/blobs/sha256:00"
    for name in ("", ".", "..", "a\nb", "x" * 501):
        with pytest.raises(calls.BadName):
            job_calls.delete_job(name)
