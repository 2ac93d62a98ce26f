"""What is asked of Blazar, and which device of a lease an agent gets; python-chi runs in this process."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from blazarclient.exception import BlazarClientException

from provisioning.errors import LeftBehind, ProvisioningError
from provisioning.providers.chi import lease_changes
from provisioning.providers.chi.errors import NotAdmitted
from provisioning.providers.chi.lease_changes import Wanted, delete_lease, make_lease, set_end
from provisioning.providers.chi.leases import device_reservation, find_lease
from provisioning.providers.chi.session import open_site
from tests.chi_at_edge.leases import Reserved
from tests.chi_at_edge.state import Testbed
from tests.provisioning.trial import NOTHING, Trial

PI = "raspberrypi4-64"
WANTED = Wanted("mine", PI, 3 * 3600)


def test_a_reservation_has_the_form_of_python_chi() -> None:
    """Its own helper makes the same, one device at a time."""
    script = f"""
import json
from chi.lease import add_device_reservation
made = []
for _ in range(2):
    add_device_reservation(made, count=1, machine_name={PI!r})
print(json.dumps(made))
"""
    theirs = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert Wanted("mine", PI, 3600, count=2).reservations() == json.loads(theirs)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"start": "2026-11-22T14:00:00"}, "is an invalid date. Required format: %Y-%m-%d %H:%M"),
        ({"end": "2020-01-01 00:00"}, "End date must be later than start date"),
        ({"start": "2020-01-01 00:00"}, "Start date must be later than current date"),
        ({"reservations": [{"resource_type": "physical:host", "min": 1, "max": 1}]}, "is not supported"),
        ({"reservations": [{"resource_type": "device", "min": 1}]}, "Missing parameter max"),
        ({"reservations": [{"resource_type": "device", "min": 2, "max": 1}]}, "Max must be equal to or larger"),
        ({"reservations": [{"resource_type": "device", "min": 1, "max": 1}]}, "Missing parameter resource_properties"),
        (
            {"reservations": [{"resource_type": "device", "min": 1, "max": 1, "resource_properties": '["=="]'}]},
            "Malformed requirements",
        ),
        ({"reservations": [{"resource_type": "device", "amount": 1}]}, "Malformed parameter amount"),
    ],
)
def test_the_site_on_loopback_is_as_strict_as_blazar(
    logged_in: Testbed, changed: dict[str, object], complaint: str
) -> None:
    """What Blazar refuses is refused, and no lease is made."""
    end = f"{datetime.now(UTC) + timedelta(hours=3):%Y-%m-%d %H:%M}"
    asked = {"name": "mine", "start": "now", "end": end, "reservations": WANTED.reservations(), "events": []}
    with pytest.raises(BlazarClientException, match=complaint):
        open_site().blazar.lease.create(**{**asked, **changed})
    assert [lease.name for lease in logged_in.leases.values()] == ["demo"]


@pytest.mark.parametrize("ahead_h", [5, -9])
def test_a_wrong_clock_here_makes_no_other_lease(logged_in: Testbed, ahead_h: int) -> None:
    """The site's clock counts, for its start, its end and the waiting; whose is off is said."""
    logged_in.knobs.clock_ahead_s = ahead_h * 3600
    said: list[str] = []
    made = make_lease(open_site(), WANTED, said.append, wait=True)
    assert made.status == "ACTIVE"
    assert timedelta(hours=3) <= made.ends_at - made.starts_at <= timedelta(hours=3, minutes=1)
    assert said[0].startswith("this machine's clock is")


def test_a_lease_that_cannot_be_deleted_is_named(logged_in: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site that stumbles for long, and one that does not let us; one that is gone already is fine."""
    monkeypatch.setattr(lease_changes, "DELETE_PATIENCE_S", 0.5)
    site = open_site()
    lease = find_lease(site, "demo")
    logged_in.knobs.fail("blazar.delete", 500, times=100)
    with pytest.raises(LeftBehind, match="lease demo is still there") as caught:
        delete_lease(site, lease)
    assert caught.value.hint == f"`provision lease delete {lease.id}` tries again"
    logged_in.knobs.faults.clear()
    logged_in.knobs.fail("blazar.delete", 403)
    with pytest.raises(NotAdmitted):
        delete_lease(site, lease)
    logged_in.knobs.fail("blazar.delete", 500, after=True)
    delete_lease(site, lease)
    delete_lease(site, lease)
    assert logged_in.leases == {}


def test_a_lease_can_be_shortened_to_an_end(logged_in: Testbed) -> None:
    """The end is whole; the devices are there anyway."""
    end = (datetime.now(UTC) + timedelta(hours=1)).replace(second=0, microsecond=0)
    site = open_site()
    assert set_end(site, find_lease(site, "demo"), end).ends_at == end


def test_devices_of_a_lease_are_taken_in_turn(logged_in: Testbed) -> None:
    """Two reservations of one device, and one of two, as the dashboard makes it; then one must be chosen."""
    site = open_site()
    two = [each.id for each in find_lease(site, logged_in.add_lease("a", resource_types=("device",) * 2).id).devices]
    assert device_reservation(find_lease(site, "a"), None).id == two[0]
    assert device_reservation(find_lease(site, "a"), None, [two[0], None, "other"]).id == two[1]
    with pytest.raises(ProvisioningError, match="agents run on all 2 devices of lease a"):
        device_reservation(find_lease(site, "a"), None, two)
    assert device_reservation(find_lease(site, "a"), two[0], two).id == two[0]
    one = find_lease(site, logged_in.add_lease("b", count=2).id)
    assert (one.held, one.devices[0].count) == (f"2 {PI}", 2)
    assert device_reservation(one, None, [one.devices[0].id] * 3) == one.devices[0]


def test_a_device_by_several_properties_has_its_kind(logged_in: Testbed) -> None:
    """As the dashboard asks for a device that was chosen there."""
    lease = logged_in.add_lease("chosen")
    query = f'["and", ["==", "$machine_name", "{PI}"], ["==", "$uid", "1"]]'
    lease.reservations = {key: Reserved("device", query) for key in lease.reservations}
    assert find_lease(open_site(), "chosen").held == PI


def test_a_second_agent_on_a_device_is_warned_of(logged_in: Testbed) -> None:
    """Where a lease has one device, both run there; where one reservation has two, a third does."""
    first, second = Trial(logged_in), Trial(logged_in, name="edge2")
    first.up()
    second.up()
    assert not [line for line in first.said if "warning" in line]
    (warning,) = [line for line in second.said if "warning" in line]
    assert warning.startswith("warning: edge1 runs on the same device")
    first.down()
    second.down()
    logged_in.add_lease("both", count=2)
    trials = [Trial(logged_in, name=name, lease="both") for name in ("one", "two", "three")]
    for trial in trials:
        trial.up()
    warned = [[line for line in trial.said if "warning" in line] for trial in trials]
    assert (warned[:2], len(warned[2])) == ([[], []], 1)
    for trial in trials:
        trial.down()
    assert logged_in.left() == NOTHING
