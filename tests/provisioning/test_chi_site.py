"""What python-chi 1.2.10 and its site do wrong, and what the provider makes of it; python-chi runs in this process."""

import json
import time
from pathlib import Path

import pytest

from provisioning.deployments import DeploymentPhase, Deployments
from provisioning.errors import LeftBehind, ProvisioningError
from provisioning.providers.chi.addresses import Addresses
from provisioning.providers.chi.commands import orphaned
from provisioning.providers.chi.containers import Containers
from provisioning.providers.chi.session import open_site
from tests.chi_at_edge.state import Testbed
from tests.provisioning.trial import NOTHING, Trial, creates

# Containers


def test_a_create_whose_answer_is_lost_is_not_repeated(trial: Trial) -> None:
    """The container is found by its label and used: one create, one container."""
    trial.testbed.knobs.fail("zun.create", 504, after=True)
    trial.up()
    assert creates(trial.testbed) == (1, 1)
    trial.down()
    assert trial.testbed.left() == NOTHING


def test_a_create_that_failed_is_not_repeated(trial: Trial) -> None:
    """One create, and nothing left."""
    trial.testbed.knobs.fail("zun.create", 500)
    trial.fails("creating the container")
    assert creates(trial.testbed) == (1, 0)


def test_error_ends_the_wait_with_its_reason(trial: Trial) -> None:
    """python-chi's wait ends without an exception."""
    trial.testbed.knobs.error_reason = "0/3 nodes are available"
    trial.fails("the container is Error: 0/3 nodes are available")


def test_an_image_that_cannot_be_had_does_not_wait_for_ever(
    logged_in: Testbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pod stays in Creating; what it says there tells."""
    monkeypatch.setattr("provisioning.providers.chi.containers.HOPELESS_AFTER_S", 0.5)
    logged_in.knobs.tells_why = True
    Trial(logged_in, image="nosuch/image:1").fails("ImagePullBackOff")


def test_an_image_of_which_the_site_says_nothing(logged_in: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it says nothing is said soon, with what it may be, and the end names the image."""
    monkeypatch.setattr("provisioning.providers.chi.containers.SILENCE_S", 0.3)
    monkeypatch.setenv("EDGERUN_CHI_START_TIMEOUT", "1.5")
    trial = Trial(logged_in, image="nosuch/image:1")
    failed = trial.fails("still Creating: the site does not say why")
    assert "is there an image nosuch/image:1" in (failed.hint or "")
    assert any("nosuch/image:1 may be misspelt, private, or for another architecture" in line for line in trial.said)


def test_stuck_in_creating_ends(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time it is given, with what the site says."""
    monkeypatch.setenv("EDGERUN_CHI_START_TIMEOUT", "1")
    trial.testbed.knobs.stuck_creating = "ContainerCreating"
    trial.fails("still Creating: ContainerCreating")


def test_a_program_that_crashes_is_no_running_container(logged_in: Testbed) -> None:
    """The pod is restarted until Kubernetes gives up; the wait for the agent ends then."""
    Trial(logged_in, workers="nonsense").fails("the agent did not start: its container is Error")


def test_an_address_that_comes_late_is_waited_for(trial: Trial) -> None:
    """python-chi would have leaked a floating address here."""
    trial.testbed.knobs.address_delay_s = 1.0
    trial.up()
    trial.down()
    assert trial.testbed.left() == NOTHING


def test_what_is_in_error_is_replaced(trial: Trial) -> None:
    """A container of ours in Error is deleted before another one is made; others' stay."""
    trial.testbed.knobs.error_reason = "broken"
    with pytest.raises(ProvisioningError):
        trial.up()
    trial.testbed.knobs.error_reason = None
    trial.up()
    assert trial.testbed.left()[0] == ["edge1"]
    trial.down()
    assert trial.testbed.left() == NOTHING


def test_delete_without_the_right_to_force_stops_first(trial: Trial) -> None:
    """Upstream policy allows force to administrators only."""
    trial.up()
    trial.testbed.knobs.force_delete = False
    trial.down()
    assert trial.testbed.left() == NOTHING
    assert [entry.status for entry in trial.testbed.calls("zun.delete")] == [403, 204]


def test_what_only_force_ends_and_may_not_be_forced(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is said soon and why, `orphans` lists it, and once it runs `down` removes it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("provisioning.providers.chi.containers.FORBIDDEN_TIMEOUT_S", 0.5)
    monkeypatch.setenv("EDGERUN_CHI_START_TIMEOUT", "0.5")
    knobs = trial.testbed.knobs
    knobs.stuck_creating, knobs.force_delete = "ContainerCreating", False
    with pytest.raises(ProvisioningError, match="still Creating"):
        trial.up()
    with pytest.raises(LeftBehind, match="only administrators delete it then"):
        trial.down()
    (container,) = trial.testbed.containers.values()
    trial.deployment.phase = DeploymentPhase.REMOVING
    Deployments().save(trial.deployment)
    (row,) = orphaned(open_site())
    assert (row["id"], "Creating ContainerCreating; `provision down edge1` goes on") == (row["id"], row["state"])
    knobs.stuck_creating = None
    container.record["status"] = "Running"
    trial.down()
    assert trial.testbed.left() == NOTHING


def test_a_site_that_shows_no_container_lists_them_all_the_same(trial: Trial) -> None:
    """What is gone is seen in the list when looking at it alone fails."""
    trial.up()
    trial.testbed.knobs.fail("zun.get", 500, times=1000)
    trial.down()
    assert trial.testbed.left() == NOTHING


def test_a_container_that_stays_is_said(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is given back all the same, and `down` can be tried again."""
    monkeypatch.setenv("EDGERUN_CHI_DELETE_TIMEOUT", "0.5")
    trial.up()
    trial.testbed.knobs.deletion_delay_s = 600
    with pytest.raises(LeftBehind, match="is still there"):
        trial.down()
    assert trial.testbed.left()[1] == []
    (container,) = trial.testbed.containers.values()
    container.deleted_at = time.monotonic()
    trial.down()
    assert trial.deployment.resources == {}


def test_the_spec_replaces_the_entrypoint(logged_in: Testbed) -> None:
    """`command` alone becomes arguments of whatever entrypoint the image has."""
    trial = Trial(logged_in, **{"device-profile": ["pi_camera"], "allow-commands": "on"})
    trial.up()
    body = json.loads(logged_in.calls("zun.create")[0].body)
    assert body["entrypoint"] == ["sh", "-c"]
    assert body["command"][1:] == ["sh", "--port", "8080", "--allow-commands", "on"]
    assert body["device_profiles"] == ["pi_camera"]
    assert (body["labels"]["edgerun-name"], "platform_version" in body) == ("edge1", False)
    trial.down()


# Addresses


def test_no_free_address_is_said(trial: Trial) -> None:
    """And nobody's address is taken instead, as python-chi's helper would."""
    others = [trial.testbed.allocate("somebody else's") for _ in range(3)]
    with pytest.raises(ProvisioningError, match="no floating address is free"):
        trial.up()
    trial.down()
    assert trial.testbed.left() == ([], [each.address for each in others if each])


def test_an_address_whose_answer_is_lost_is_not_leaked(trial: Trial) -> None:
    """It is found by its description and used."""
    trial.testbed.knobs.fail("neutron.create", 504, after=True)
    trial.up()
    assert creates(trial.testbed) == (1, 1)
    trial.down()
    assert trial.testbed.left() == NOTHING


def test_an_address_that_vanished_is_said_and_replaced(trial: Trial) -> None:
    """`status` tells, and `up` or `repair` takes another one."""
    trial.up()
    for address in list(trial.testbed.addresses.values()):
        address.unbind()
    trial.testbed.addresses.clear()
    assert trial.provider.status(trial.deployment).detail.startswith("its floating address is gone")
    trial.up()
    assert creates(trial.testbed) == (1, 2)
    trial.down()
    assert trial.testbed.left() == NOTHING


def test_a_silent_address_is_bound_again(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attached but dead happens on the testbed."""
    monkeypatch.setattr("provisioning.providers.chi.provider.REBIND_AFTER_S", 0.2)
    trial.up()
    (address,) = trial.testbed.addresses.values()
    for forwarder in address.forwarders:
        forwarder.close()
    trial.up()
    assert len(trial.testbed.calls("neutron.update")) == 2
    assert creates(trial.testbed) == (1, 1)
    trial.down()


def test_a_release_that_fails_is_said(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """The container goes all the same; the address is given back by the next `down`."""
    trial.up()
    monkeypatch.setenv("EDGERUN_CHI_PATIENCE", "0.5")
    trial.testbed.knobs.fail("neutron.delete", 500, times=1000)
    with pytest.raises(LeftBehind, match="is still taken"):
        trial.down()
    assert trial.testbed.left()[0] == []
    trial.testbed.knobs.faults.clear()
    trial.down()
    assert trial.testbed.left() == NOTHING


# Files and commands


def test_reads_are_tried_again(trial: Trial) -> None:
    """A 504 now and then is weather."""
    for operation in ("blazar.list", "zun.list", "zun.get", "neutron.list", "neutron.networks"):
        trial.testbed.knobs.fail(operation, 504)
    trial.up()
    trial.down()
    assert trial.testbed.left() == NOTHING


def test_only_what_changed_goes_up_again(trial: Trial, tmp_path: Path) -> None:
    """By digest."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / name).write_bytes(name.encode() * 100_000)
    trial.up()
    trial.provider.push(trial.deployment, folder, "there/")
    before = len(trial.testbed.log)
    trial.provider.push(trial.deployment, folder, "there/")
    sent = [entry for entry in trial.testbed.log[before:] if entry.operation == "zun.put_archive"]
    assert sum(len(entry.body) for entry in sent) < 20_000
    (folder / "two").write_text("changed")
    trial.provider.push(trial.deployment, folder, "there/")
    trial.provider.pull(trial.deployment, "there/data", tmp_path / "back")
    assert (tmp_path / "back" / "two").read_text() == "changed"
    trial.down()


def test_a_lost_upload_is_noticed(trial: Trial, tmp_path: Path) -> None:
    """The site answers 200 when tar failed."""
    trial.up()
    trial.testbed.knobs.lose_uploads = True
    (tmp_path / "file").write_text("content")
    with pytest.raises(ProvisioningError, match="did not arrive whole"):
        trial.provider.push(trial.deployment, tmp_path / "file", "file")
    trial.down()


def test_a_site_that_takes_little_gets_smaller_parts(trial: Trial, tmp_path: Path) -> None:
    """413 is answered with a quarter of the size."""
    trial.up()
    trial.testbed.knobs.body_limit_bytes = 2_000_000
    (tmp_path / "file").write_bytes(bytes(range(256)) * 20_000)
    trial.provider.push(trial.deployment, tmp_path / "file", "file")
    trial.provider.pull(trial.deployment, "file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()
    trial.down()


def test_a_command_that_is_too_long_is_refused_here(trial: Trial) -> None:
    """It travels in a URL."""
    trial.up()
    containers = Containers(open_site())
    with pytest.raises(ProvisioningError, match="too long"):
        containers.execute(trial.deployment.resources["container"], "echo", "x" * 5000)
    trial.down()
    assert Addresses(open_site()).every() == []
