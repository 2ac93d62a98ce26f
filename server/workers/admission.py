"""Whose picture is taken in next: who has waited longest, and only as many as keep the workers busy.

Decided when a request's headers are complete, before its body is read. What cannot be admitted waits in the kernel's
buffers, where it costs this process nothing, and is refused when it has waited too long.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from starlette.requests import ClientDisconnect

from contract.codes import ErrorCode
from server.errors import AgentError
from server.workers.arena import MemoryBudget

BODIES_MAX = 64
"""Bodies in memory or on their way there, the slow ones included."""
PLACES_A_HAND = 4
"""For each picture in a worker's hands so many in memory or on their way there, itself included. With fewer, workers
wait for bodies that come in the small portions of a connection that was not read from for a while."""
SLOW_AFTER_S = 0.05
"""A body that takes longer to arrive does not keep the next one waiting: its sender or the network is slow."""
RECEIVE_MAX_S = 120.0
"""Longest time a picture may take to arrive, however steadily it comes."""
TICK_S = 0.025
"""How often waiting requests are looked at, while there are any."""


class Sender(Protocol):
    """The connection that a body comes from."""

    @property
    def gone(self) -> bool:
        """Whether the other side has closed it."""

    @property
    def received_bytes(self) -> int:
        """Bytes of the body that have come in."""

    def cut_off(self) -> None:
        """Refuse the rest of the body: it comes too slowly."""


class Place:
    """The right to bring one body into memory, until the context ends."""

    __slots__ = ("_admission", "counts", "sender", "since", "waited_ns")

    def __init__(self, admission: "Admission", sender: Sender | None, waited_ns: int) -> None:
        self._admission = admission
        self.sender = sender
        """None once the body is there."""
        self.since = time.monotonic()
        self.counts = True
        """Whether others wait because of it."""
        self.waited_ns = waited_ns

    def received(self) -> None:
        """The body is there, and waits for a worker."""
        self.sender = None
        if not self.counts:
            self.counts = True
            self._admission.count(1)

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *exception: object) -> None:
        self._admission.leave(self)


class _Waiting:
    """A request in the queue."""

    __slots__ = ("arrived", "place", "sender")

    def __init__(self, sender: Sender | None) -> None:
        self.arrived = time.monotonic()
        self.sender = sender
        self.place: asyncio.Future[Place] = asyncio.get_running_loop().create_future()


class Admission:
    """The queue in front of all workers. All methods belong to the event loop's thread."""

    def __init__(
        self, hands: int, queue_length: int, wait_max_s: float, budget: MemoryBudget, check: Callable[[], None]
    ) -> None:
        """`hands`: pictures that the workers hold; `check` raises AgentError while no picture may be taken at all."""
        self._hands = hands
        self._places_max = min(PLACES_A_HAND * hands, hands + queue_length)
        self._queue_length = queue_length
        self._wait_max_s = wait_max_s
        self._budget = budget
        self._check = check
        self._places: set[Place] = set()
        self._counting = 0
        self._waiting: deque[_Waiting] = deque()
        self._tick: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return len(self._waiting)

    @property
    def admitted(self) -> int:
        """Bodies in memory or on their way there, and in workers' hands."""
        return len(self._places)

    async def enter(self, sender: Sender | None) -> Place:
        """A place, at once or when it is this request's turn; no sender: its bytes are here already. Raises AgentError.

        OVERLOADED when it waited too long, QUEUE_FULL when too many wait; ClientDisconnect when the sender gave up.
        """
        if not self._waiting and self._has_room() and (sender is None or not self._budget.half_used):
            return self._take(sender, 0)
        if self._counting + len(self._waiting) >= self._hands + self._queue_length:
            raise AgentError(ErrorCode.QUEUE_FULL, f"{len(self._waiting)} requests wait already")
        waiting = _Waiting(sender)
        self._waiting.append(waiting)
        if self._tick is None:
            self._schedule()
        try:
            return await waiting.place
        except asyncio.CancelledError:
            if waiting.place.done() and not waiting.place.cancelled() and waiting.place.exception() is None:
                self.leave(waiting.place.result())
            raise

    def leave(self, place: Place) -> None:
        """A body is not in memory any more."""
        self._places.discard(place)
        if place.counts:
            self.count(-1)

    def count(self, change: int) -> None:
        """Places that others wait for became more or fewer."""
        self._counting += change
        if self._waiting:
            self._admit()

    def cut_off_late(self) -> None:
        """End the bodies that take too long to arrive; to be called about once a second."""
        late = time.monotonic() - RECEIVE_MAX_S
        for place in [place for place in self._places if place.since < late]:
            if place.sender is not None:
                place.sender.cut_off()

    def _has_room(self) -> bool:
        return self._counting < self._places_max and len(self._places) < BODIES_MAX

    def _take(self, sender: Sender | None, waited_ns: int) -> Place:
        place = Place(self, sender, waited_ns)
        self._places.add(place)
        self._counting += 1
        return place

    def _admit(self) -> None:
        while self._has_room() and (waiting := self._next()) is not None:
            if waiting.place.done():  # cancelled
                continue
            if waiting.sender is not None and waiting.sender.gone:
                waiting.place.set_exception(ClientDisconnect())
                continue
            waited_ns = int((time.monotonic() - waiting.arrived) * 1e9)
            waiting.place.set_result(self._take(waiting.sender, waited_ns))

    def _next(self) -> _Waiting | None:
        """Who has waited longest; while memory is short, of those whose bytes are in it already."""
        if not self._waiting:
            return None
        if not self._budget.half_used:
            return self._waiting.popleft()
        found = next((waiting for waiting in self._waiting if waiting.sender is None), None)
        if found is not None:
            self._waiting.remove(found)
        return found

    def _schedule(self) -> None:
        self._tick = asyncio.get_running_loop().call_later(TICK_S, self._look)

    def _look(self) -> None:
        """Refuse who waited too long, and let nobody wait for slow senders."""
        self._tick = None
        now = time.monotonic()
        self._refuse_old(now)
        for place in self._places:
            if place.counts and place.sender is not None and now - place.since > SLOW_AFTER_S:
                place.counts = False
                self._counting -= 1
        if self._waiting and len(self._places) >= BODIES_MAX:
            self._cut_off_slowest(now)
        self._admit()
        if self._waiting:
            self._schedule()

    def _refuse_old(self, now: float) -> None:
        try:
            self._check()
            refusal, limit = None, now - self._wait_max_s
        except AgentError as error:
            refusal, limit = error, now
        while self._waiting and self._waiting[0].arrived <= limit:
            waiting = self._waiting.popleft()
            if not waiting.place.done():
                detail = f"it waited {now - waiting.arrived:.1f} s for its turn"
                waiting.place.set_exception(refusal or AgentError(ErrorCode.OVERLOADED, detail))

    def _cut_off_slowest(self, now: float) -> None:
        """Make room: of the bodies that arrive slowly, the slowest goes."""
        arriving = [place for place in self._places if place.sender is not None and not place.counts]
        if arriving:
            slowest = min(arriving, key=lambda place: _rate(place, now))
            assert slowest.sender is not None
            slowest.sender.cut_off()


def _rate(place: Place, now: float) -> float:
    assert place.sender is not None
    return place.sender.received_bytes / (now - place.since)
