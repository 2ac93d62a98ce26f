"""The faults: what goes wrong on the site, or with `provision` itself."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from provisioning.providers.chi.spec import STOCK_IMAGE
from tests.chi_at_edge.containers import Pod
from tests.chi_at_edge.state import AGENT_IMAGE, Testbed

FOR_EVER = 1000
STALL_S = 6.0
SHORT_DELETE = {"EDGERUN_CHI_DELETE_TIMEOUT": "3"}
SHORT_TIMEOUT = {"EDGERUN_CHI_TIMEOUT": "2"}
STEPS = ("blazar.list", "zun.list", "zun.create", "zun.get", "zun.execute", "neutron.networks", "neutron.create")
DOWN_STEPS = ("neutron.list", "neutron.delete", "zun.list", "zun.delete", "zun.get")
EFFECTS = ("zun.create", "zun.execute", "neutron.create")
ENDS = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "SIGHUP",
    signal.SIGKILL: "kill -9",
}
Prepare = Callable[[Testbed], object]


def _nothing(_: Testbed) -> None:
    pass


@dataclass(frozen=True)
class Case:
    """One fault."""

    name: str
    before_up: Prepare = _nothing
    before_down: Prepare = _nothing
    arguments: tuple[str, ...] = ()
    lease: tuple[str, ...] = ("--lease", "demo")
    image: str = AGENT_IMAGE
    variables: dict[str, str] = field(default_factory=dict)
    ended_at: str | None = None
    """The operation of `up` during which the signal comes."""
    down_ended_at: str | None = None
    """The operation of `down` during which it comes instead."""
    end: signal.Signals = signal.SIGINT
    down_arguments: tuple[str, ...] = ()
    down_variables: dict[str, str] = field(default_factory=dict)
    recover: Prepare = _nothing
    """How the site recovers before the second `down`, besides that nothing is injected any more."""


def every_case() -> list[Case]:
    """All faults, in the order of the table."""
    groups = (_no_fault(), _failing_steps(), _execs(), _stalls(), _containers(), _addresses(), _files(), _tokens())
    return [case for group in (*groups, _leases(), _own_lease(), _down(), _ended()) for case in group]


def _no_fault() -> Iterator[Case]:
    yield Case("no fault")


def _failing_steps() -> Iterator[Case]:
    for step in ("keystone.token", *STEPS, "neutron.list"):
        yield Case(f"{step} answers 504 once", lambda bed, step=step: bed.knobs.fail(step, 504))  # type: ignore[misc]
        if step not in EFFECTS:
            yield Case(f"{step} answers 500", lambda bed, step=step: bed.knobs.fail(step, 500, times=FOR_EVER))  # type: ignore[misc]
    for step in EFFECTS:
        for after, when in ((False, "before it took effect"), (True, "after it took effect")):
            yield Case(f"{step} answers 500 {when}", lambda bed, s=step, a=after: bed.knobs.fail(s, 500, after=a))  # type: ignore[misc]


def _execs() -> Iterator[Case]:
    for image, what in ((AGENT_IMAGE, "an image with the agent"), (STOCK_IMAGE, "a stock image")):
        for status in (500, 409, 503):
            fail: Prepare = lambda bed, s=status: bed.knobs.fail("zun.execute", s, times=FOR_EVER, every=2)  # type: ignore[misc]  # noqa: E731
            yield Case(f"every exec answers {status} once, in {what}", fail, image=image)
        unfinished: Prepare = lambda bed: bed.knobs.fail("zun.unfinished", None, times=FOR_EVER, every=2)  # noqa: E731
        yield Case(f"every exec answers before its end once, in {what}", unfinished, image=image)


def _stalls() -> Iterator[Case]:
    for step in ("keystone.token", *STEPS):
        stall: Prepare = lambda bed, step=step: bed.knobs.fail(step, None, after=True, delay_s=STALL_S)  # type: ignore[misc]  # noqa: E731
        yield Case(f"{step} stalls after it took effect", stall, variables=SHORT_TIMEOUT)


def _containers() -> Iterator[Case]:
    short = {"EDGERUN_CHI_START_TIMEOUT": "2"}
    yield Case("stuck in Creating", _set("stuck_creating", "ContainerCreating"), variables=short)
    yield Case("Error with a reason", _set("error_reason", "0/3 nodes are available: Insufficient memory"))
    yield Case("image that does not exist, of which nothing is said", image="nosuch/image:1", variables=short)
    yield Case("image that does not exist", _set("tells_why", True), image="nosuch/image:1")
    yield Case("agent that crashes", image="crashing/agent:1")
    yield Case("pod restarts during up", lambda bed: _after("neutron.create", bed, lambda: _pod(bed).restart()))
    yield Case("container vanishes during up", lambda bed: _after("zun.create", bed, lambda: _vanish(bed)))


def _addresses() -> Iterator[Case]:
    yield Case("address of the pod comes late", _set("address_delay_s", 1.5))
    yield Case("no floating address is free", lambda bed: [bed.allocate("somebody else's") for _ in range(3)])
    yield Case("floating address vanishes before down", before_down=_lose_addresses)


def _files() -> Iterator[Case]:
    for status, after in ((504, False), (504, True), (500, False), (500, True)):
        when = "after it took effect" if after else "before it took effect"
        fail: Prepare = lambda bed, s=status, a=after: bed.knobs.fail("zun.put_archive", s, after=a)  # type: ignore[misc]  # noqa: E731
        yield Case(f"zun.put_archive answers {status} {when}", fail, image=STOCK_IMAGE)
    yield Case("uploads are lost", _set("lose_uploads", True), image=STOCK_IMAGE)
    yield Case("uploads over 1 MB are refused", _set("body_limit_bytes", 1_000_000), image=STOCK_IMAGE)
    yield Case("commands are cut off after 0.2 s", _set("exec_timeout_s", 0.2))
    yield Case("commands are never waited for", _set("exec_timeout_s", 0.0))


def _tokens() -> Iterator[Case]:
    yield Case("token expires during up", lambda bed: _after("zun.create", bed, bed.tokens.clear))
    yield Case("token expires before down", before_down=lambda bed: bed.tokens.clear())
    there: Prepare = _set("credential_deleted", False)
    yield Case(
        "credential is deleted during up", lambda bed: _after("zun.create", bed, bed.delete_credential), recover=there
    )
    yield Case("credential is deleted before down", before_down=lambda bed: bed.delete_credential(), recover=there)
    yield Case("wrong secret", variables={"OS_APPLICATION_CREDENTIAL_SECRET": "wrong"})
    yield Case("no credentials", variables={"OS_APPLICATION_CREDENTIAL_ID": ""})
    yield Case("wrong region", variables={"OS_REGION_NAME": "CHI@Nowhere"})
    yield Case("no site at the address", variables={"OS_AUTH_URL": "http://127.0.0.1:9/v3"})


def _leases() -> Iterator[Case]:
    other = ("--lease", "other")
    yield Case(
        "lease that starts in a moment", lambda bed: bed.add_lease("other", "PENDING", starts_in_s=1), arguments=other
    )
    yield Case(
        "lease that starts tomorrow", lambda bed: bed.add_lease("other", "PENDING", starts_in_s=86400), arguments=other
    )
    yield Case("lease that ended", lambda bed: bed.add_lease("other", hours=-1), arguments=other)
    yield Case("lease with a minute left", lambda bed: bed.add_lease("other", hours=1 / 60), arguments=other)
    yield Case(
        "lease without a device", lambda bed: bed.add_lease("other", resource_types=("physical:host",)), arguments=other
    )
    yield Case("two leases of the name", lambda bed: bed.add_lease("demo"))
    yield Case("lease is extended during up", lambda bed: _after("zun.create", bed, lambda: _extend_leases(bed)))
    yield Case("lease is being extended when up begins", lambda bed: _extend_leases(bed))
    yield Case("lease ends during up", lambda bed: _after("zun.create", bed, lambda: _end_leases(bed)))
    yield Case("lease ends before down", before_down=lambda bed: _end_leases(bed))


def _own_lease() -> Iterator[Case]:
    """`up` makes the lease too, and `down` is asked to give it back."""

    def case(name: str, before_up: Prepare = _nothing, **more: Any) -> Case:
        lease = ("--device-type", "raspberrypi4-64", "--for", "2h")
        return Case(f"--for: {name}", before_up, lease=lease, down_arguments=("--with-lease",), **more)

    def fails(step: str, status: int, **how: Any) -> Prepare:
        return lambda bed: bed.knobs.fail(step, status, **how)

    yield case("no fault")
    yield case("no device is free", lambda bed: bed.add_lease("other", count=3))
    yield case("blazar.create answers 500 before it took effect", fails("blazar.create", 500))
    yield case("blazar.create answers 504 after it took effect", fails("blazar.create", 504, after=True))
    stall: Prepare = lambda bed: bed.knobs.fail("blazar.create", None, after=True, delay_s=STALL_S)  # noqa: E731
    yield case("blazar.create stalls after it took effect", stall, variables=SHORT_TIMEOUT)
    yield case("Error with a reason", _set("error_reason", "0/3 nodes are available: Insufficient memory"))
    for end in (signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
        for step in ("blazar.create", "zun.create"):
            yield case(f"{end.name} at {step}", ended_at=step, end=end)
    for times, how in ((1, "once"), (FOR_EVER, "always")):
        prepare = fails("blazar.delete", 500, times=times)
        yield case(f"down: blazar.delete answers 500 {how}", before_down=prepare)
    yield case("down: lease is gone before", before_down=lambda bed: _end_leases(bed))


def _down() -> Iterator[Case]:
    yield Case("down may not use force", before_down=_set("force_delete", False))
    yield Case(
        "nobody may use force on what is stuck in Creating",
        lambda bed: (_set("stuck_creating", "ContainerCreating")(bed), _set("force_delete", False)(bed)),
        variables={"EDGERUN_CHI_START_TIMEOUT": "2"},
        recover=_set("force_delete", True),
    )
    for step in DOWN_STEPS:
        for times, how in ((1, "once"), (FOR_EVER, "always")):
            fail: Prepare = lambda bed, s=step, t=times: bed.knobs.fail(s, 500, times=t)  # type: ignore[misc]  # noqa: E731
            yield Case(f"down: {step} answers 500 {how}", before_down=fail, down_variables=SHORT_DELETE)
    for step in ("neutron.delete", "zun.delete"):
        lost: Prepare = lambda bed, s=step: bed.knobs.fail(s, 504, after=True)  # type: ignore[misc]  # noqa: E731
        yield Case(f"down: {step} answers 504 after it took effect", before_down=lost)


def _ended() -> Iterator[Case]:
    for end, name in ENDS.items():
        for step in ("keystone.token", *STEPS):
            yield Case(f"{name} at {step}", ended_at=step, end=end)
        yield Case(f"{name} at zun.put_archive", image=STOCK_IMAGE, ended_at="zun.put_archive", end=end)
        for step in ("keystone.token", *DOWN_STEPS):
            yield Case(f"down: {name} at {step}", down_ended_at=step, end=end)


def _set(knob: str, value: object) -> Prepare:
    return lambda bed: setattr(bed.knobs, knob, value)


def _after(operation: str, bed: Testbed, action: Callable[[], object]) -> None:
    """Do something shortly after the first call of an operation was answered."""

    def watch() -> None:
        while not bed.calls(operation):
            time.sleep(0.01)
        time.sleep(0.05)
        action()

    threading.Thread(target=watch, daemon=True).start()


def _own(bed: Testbed) -> list[str]:
    return [key for key, each in bed.containers.items() if each.record["name"] == "edge1"]


def _pod(bed: Testbed) -> Pod:
    return bed.containers[_own(bed)[0]].pod


def _vanish(bed: Testbed) -> None:
    with bed.lock:
        bed.forget(bed.containers[_own(bed)[0]])


def _lose_addresses(bed: Testbed) -> None:
    with bed.lock:
        for key, address in list(bed.addresses.items()):
            if address.description.startswith("edgerun"):
                address.unbind()
                del bed.addresses[key]


def _extend_leases(bed: Testbed) -> None:
    """As Blazar does it: the lease is UPDATING for a moment."""
    for lease in bed.leases.values():
        lease.status = "UPDATING"
        threading.Timer(1.0, setattr, (lease, "status", "ACTIVE")).start()
        lease.end += timedelta(hours=1)


def _end_leases(bed: Testbed) -> None:
    for lease in bed.leases.values():
        lease.end = lease.start
