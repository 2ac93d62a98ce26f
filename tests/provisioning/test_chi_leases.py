"""Leases and credentials that do not do: each is said, and nothing is made."""

import threading

import pytest

from provisioning.errors import ProvisioningError
from provisioning.provider import State
from provisioning.providers.chi.errors import NotAdmitted, SiteUnreachable
from provisioning.providers.chi.leases import LEAST_TIME_S, device_reservation, find_lease, usable_lease
from provisioning.providers.chi.session import open_site
from tests.chi_at_edge.state import Testbed
from tests.provisioning.trial import NOTHING, Trial, creates


def test_a_lease_is_found_by_id_or_name(logged_in: Testbed) -> None:
    """python-chi's own lease helpers raise AttributeError and TypeError."""
    site = open_site()
    (lease,) = logged_in.leases.values()
    assert find_lease(site, "demo") == find_lease(site, lease.id)
    assert device_reservation(find_lease(site, "demo"), None).id in lease.reservations


def test_a_name_that_several_leases_have_is_said(logged_in: Testbed) -> None:
    """python-chi calls it not found; ended leases of the name do not count."""
    other = logged_in.add_lease("demo", status="TERMINATED", hours=-1)
    site = open_site()
    assert find_lease(site, "demo").id != other.id
    logged_in.add_lease("demo")
    with pytest.raises(ProvisioningError, match="2 leases are named 'demo'"):
        find_lease(site, "demo")


def test_a_lease_that_starts_now_is_waited_for(logged_in: Testbed) -> None:
    """PENDING for a moment is no failure."""
    logged_in.add_lease("soon", status="PENDING", starts_in_s=1.0)
    said: list[str] = []
    assert usable_lease(open_site(), "soon", said.append).status == "ACTIVE"
    assert said[0] == "lease soon is PENDING: waiting until it is active"


@pytest.mark.parametrize(("ahead_h", "word"), [(5, "behind"), (-5, "ahead of")])
def test_a_wrong_clock_here_is_said_and_does_not_count(logged_in: Testbed, ahead_h: int, word: str) -> None:
    """Leases start and end by the site's."""
    logged_in.knobs.clock_ahead_s = ahead_h * 3600
    logged_in.add_lease("other")
    said: list[str] = []
    lease = usable_lease(open_site(), "other", said.append)
    assert abs(lease.left_s - 4 * 3600) < 60
    assert said == [f"this machine's clock is 5 h 0 min {word} the site's; times of leases are by the site's"]


@pytest.mark.parametrize("status", ["UPDATING", "STARTING"])
def test_a_lease_in_transition_is_waited_for_and_beats_an_ended_namesake(logged_in: Testbed, status: str) -> None:
    """It is what the name means; an extension makes it UPDATING for a moment."""
    logged_in.add_lease("same", status="TERMINATED", hours=-1)
    meant = logged_in.add_lease("same", status=status)
    timer = threading.Timer(1.5, setattr, (meant, "status", "ACTIVE"))
    timer.start()
    assert usable_lease(open_site(), "same", lambda _: None).id == meant.id
    timer.join()


@pytest.mark.parametrize(
    ("lease", "complaint"),
    [
        ({"status": "PENDING", "starts_in_s": 7200.0}, "is PENDING"),
        ({"status": "TERMINATED", "hours": -1.0}, "is TERMINATED"),
        ({"status": "ERROR"}, "is ERROR"),
        ({"hours": LEAST_TIME_S / 2 / 3600}, "too soon to start anything"),
        ({"resource_types": ("physical:host",)}, "holds no device but physical:host"),
    ],
)
def test_a_lease_that_does_not_do_is_refused_first(
    logged_in: Testbed, lease: dict[str, object], complaint: str
) -> None:
    """Nothing is made on it."""
    logged_in.add_lease("other", **lease)  # type: ignore[arg-type]
    Trial(logged_in, lease="other").fails(complaint)
    assert creates(logged_in) == (0, 0)


def test_one_of_several_devices_can_be_chosen(logged_in: Testbed) -> None:
    """By the id of its reservation."""
    lease = logged_in.add_lease("two", resource_types=("device", "device"))
    chosen = list(lease.reservations)[1]
    assert device_reservation(find_lease(open_site(), "two"), chosen).id == chosen


def test_little_time_is_said(logged_in: Testbed) -> None:
    """With a warning that results are lost with the device."""
    logged_in.add_lease("short", hours=0.25)
    said: list[str] = []
    usable_lease(open_site(), "short", said.append)
    assert "ends in 14 min: fetch results before" in said[0]


def test_a_lease_that_ends_takes_the_container_and_not_the_address(trial: Trial) -> None:
    """`status` says so, and `down` gives the address back."""
    trial.up()
    (lease,) = trial.testbed.leases.values()
    lease.end = lease.start
    status = trial.provider.status(trial.deployment)
    assert (status.state, status.detail) == (State.ABSENT, "the container is gone; lease is TERMINATED")
    assert len(trial.testbed.addresses) == 1
    trial.down()
    assert trial.testbed.left() == NOTHING


def test_wrong_credentials_are_said(logged_in: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    """zunclient alone would say "Not authorized" for any failure."""
    monkeypatch.setenv("OS_APPLICATION_CREDENTIAL_SECRET", "wrong")
    with pytest.raises(NotAdmitted, match="credentials are not accepted"):
        open_site()


def test_a_wrong_region_is_said(logged_in: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not a matter of authorization."""
    monkeypatch.setenv("OS_REGION_NAME", "CHI@Nowhere")
    with pytest.raises(ProvisioningError, match="CHI@Nowhere region not found"):
        open_site()


def test_a_project_beside_an_application_credential_does_no_harm(
    logged_in: Testbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keystone refuses a scope there, and openrc files of other tools leave one in the environment."""
    monkeypatch.setenv("OS_PROJECT_NAME", "some-project")
    monkeypatch.setenv("OS_PROJECT_DOMAIN_NAME", "chameleon")
    monkeypatch.setenv("OS_APPLICATION_CREDENTIAL_ID", "loopback")
    assert find_lease(open_site(), "demo").name == "demo"


def test_an_expired_token_is_renewed(trial: Trial) -> None:
    """In the middle of the work."""
    trial.up()
    trial.testbed.tokens.clear()
    assert trial.provider.status(trial.deployment).state is State.RUNNING
    trial.testbed.tokens.clear()
    trial.down()
    assert trial.testbed.left() == NOTHING


def test_an_unreachable_site_is_said(logged_in: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own exit code."""
    monkeypatch.setenv("OS_AUTH_URL", "http://127.0.0.1:9/v3")
    with pytest.raises(SiteUnreachable, match="does not answer") as caught:
        open_site()
    assert caught.value.exit_code == 3
