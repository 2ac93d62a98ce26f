"""What a test can set on the loopback service to see how its user takes it."""

from dataclasses import dataclass, field


@dataclass
class Fault:
    """Makes the next calls of one operation fail, such as `zun.create`; see `requests.OPERATIONS` for the names.

    What is called `zun.unfinished` makes an execute call end without waiting for its program, which goes on.
    """

    operation: str
    status: int | None = 500
    """What is answered; None answers truthfully, after the delay."""
    after: bool = False
    """The operation takes effect, and only the answer says that it did not."""
    delay_s: float = 0.0
    """How long the answer is held back."""
    times: int = 1
    skip: int = 0
    """How many calls are served before."""
    every: int = 1
    """Of so many calls one meets it, beginning with the first."""
    met: int = 0


@dataclass
class Knobs:
    """How the service behaves; changed while it runs."""

    start_delay_s: float = 0.05
    """From a create call to Running."""
    address_delay_s: float = 0.0
    """From Running to the address."""
    deletion_delay_s: float = 0.05
    """From a delete call to 404."""
    stuck_creating: str | None = None
    """New containers stay in Creating with this as their status_detail."""
    error_reason: str | None = None
    """New containers end in Error with this reason."""
    tells_why: bool = False
    """Whether an image that cannot be had is told of; public Zun never does, and Chameleon's does now and then."""
    exec_timeout_s: float = 5.0
    body_limit_bytes: int = 12 * 1024 * 1024
    clock_ahead_s: float = 0.0
    """How far the site's clock is ahead of this machine's; leases start and end by it."""
    token_lifetime_s: float = 3600.0
    credential_deleted: bool = False
    """The application credential is gone; `Testbed.delete_credential` also ends what was given out for it."""
    force_delete: bool = True
    """Whether project members may delete with force, as the site's policy has it; upstream only admins may."""
    lose_uploads: bool = False
    """put_archive answers 200 and writes nothing, as it does when tar fails."""
    lease_delay_s: float = 0.1
    """From a lease's start to the moment at which Blazar looks at it; `now` has started already."""
    lease_starting_s: float = 0.1
    """How long a lease is STARTING, which one that a test made itself is not."""
    longest_lease_s: float | None = None
    """The most that a lease may last."""
    hours_left: float | None = None
    """Of the project's allocation; an hour on a device costs one. None for more than enough."""
    devices_for_users: bool = False
    """Whether Blazar shows its devices and who has them to others than administrators."""
    faults: list[Fault] = field(default_factory=list)

    def fail(self, operation: str, status: int | None = 500, **how: object) -> None:
        """Let the next call of an operation fail."""
        self.faults.append(Fault(operation, status, **how))  # type: ignore[arg-type]

    def next_fault(self, operation: str) -> Fault | None:
        """The fault that the call that is made now meets."""
        for fault in self.faults:
            if fault.operation == operation and fault.skip > 0:
                fault.skip -= 1
            elif fault.operation == operation and fault.times > 0:
                fault.met += 1
                if (fault.met - 1) % fault.every:
                    continue
                fault.times -= 1
                return fault
        return None
