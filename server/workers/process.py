"""One worker process as the agent sees it: started, spoken to, watched, ended."""

import asyncio
import logging
import os
import signal
import socket
import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from contract.codes import ErrorCode
from server.processes.children import exit_text
from server.resources import private_bytes
from server.workers.arena import Arena
from server.workers.messages import (
    ANSWERED_BY,
    MAX_MESSAGE_BYTES,
    Answer,
    Born,
    Failed,
    Hello,
    Infer,
    Inferred,
    Order,
    Work,
    decode_answer,
    encode_order,
)
from server.workers.results import ResultMemory
from server.workers.starting import ForkedWorker, Starter, WorkerOptions

log = logging.getLogger(__name__)

DEPTH = 2
"""Orders a worker holds: one it works on and one that waits in its hands, so it never idles between two."""

STDERR_LINES_KEPT = 20
REAP_INTERVAL_S = 0.005
GOODBYE_S = 2.0
READ_BYTES = 16 * 1024


@dataclass
class PendingOrder:
    """An order and whoever waits for its answer."""

    order: Order
    future: asyncio.Future[Answer]
    head_since: float = 0.0
    """When the worker could begin with it, on the monotonic clock."""


class Keeper(Protocol):
    """Who is told what becomes of a worker."""

    def on_worker_ready(self, worker: "WorkerProcess", hello: Hello) -> None:
        """A worker is up and has told what it runs."""

    def on_answer(self) -> None:
        """A worker has room for another picture."""

    def on_worker_exit(self, worker: "WorkerProcess") -> None:
        """A worker is gone; `held` is what it leaves undone."""


class WorkerProcess:
    """A child process with a datagram socket for orders and answers, which reads requests from shared memory.

    The worker answers in the order it was asked, so the first held order is the one it is working on.
    """

    def __init__(self, starter: Starter, options: WorkerOptions, arena: Arena) -> None:
        self.held: deque[PendingOrder] = deque()
        self.hello: Hello | None = None
        self.started_at = time.monotonic()
        self.killed: tuple[ErrorCode, str] | None = None
        """Why it was killed; None while it lives or when it ended by itself."""
        self._reaping = False
        self._work = 0
        self._results = ResultMemory(DEPTH)
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES_KEPT)
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        self._stderr_fd, stderr = os.pipe()
        os.set_blocking(self._stderr_fd, False)
        try:
            self._process = starter.start(options, (theirs.fileno(), arena.fd, self._results.fd), stderr)
        finally:
            theirs.close()
            os.close(stderr)

    @property
    def pid(self) -> int | None:
        """Process id, None as long as it is not known."""
        return self._process.pid

    @property
    def ready(self) -> bool:
        """Whether it has said hello and can be given orders."""
        return self.hello is not None and self.killed is None

    @property
    def has_room(self) -> bool:
        """Whether another request can be put into its hands."""
        return self._work < DEPTH and self.hello is not None and self.killed is None

    def attach(self, keeper: Keeper) -> None:
        """Begin to listen, within the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._keeper = keeper
        self._loop.add_reader(self._socket, self._read)
        self._loop.add_reader(self._stderr_fd, self._read_stderr)

    def give(self, job: PendingOrder) -> None:
        """Put a job into the worker's hands; one that somebody waits for needs `has_room`."""
        job.head_since = time.monotonic()
        self.held.append(job)
        self._work += isinstance(job.order, Work)
        if isinstance(job.order, Infer):
            job.order.result_offset = self._results.next_offset()
        try:
            self._socket.send(encode_order(job.order))
        except OSError:  # it just died: the reader notices, and `held` tells what was lost
            log.debug("worker %s is gone", self.pid)

    def busy_s(self) -> float:
        """Seconds the order at the head has been worked on; 0 when there is none."""
        return time.monotonic() - self.held[0].head_since if self.held else 0.0

    def age_s(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.started_at

    def private_bytes(self) -> int:
        """Memory of its own, 0 when the process is gone."""
        return (self.pid and private_bytes(self.pid)) or 0

    def kill(self, code: ErrorCode, because: str) -> None:
        """End the process at once; its end is noticed like any other."""
        if self.killed is None:
            self.killed = code, because
            self._process.kill()

    def dismiss(self) -> None:
        """Hang up, so that an idle worker ends by itself."""
        self.killed = self.killed or (ErrorCode.SHUTTING_DOWN, "dismissed")
        self._socket.shutdown(socket.SHUT_RDWR)

    def exit_reason(self) -> tuple[ErrorCode, str]:
        """How it ended: as a code for the request it was working on, and in words."""
        code, how = self.killed or (ErrorCode.WORKER_LOST, exit_text(self._process.returncode))
        return code, f"{how}; its last words: {self._stderr[-1]}" if self._stderr and not self.killed else how

    @property
    def crashed(self) -> bool:
        """Whether it ended by a fault of its own code, not by anybody's will."""
        faults = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT)
        return self._process.returncode in [-fault for fault in faults]

    def _read(self) -> None:
        try:
            datagram = self._socket.recv(MAX_MESSAGE_BYTES)
        except BlockingIOError:
            return
        except ConnectionResetError:
            # It died with orders unread. That is told once, before the answers it had sent; and the event loop
            # tells nothing more of a socket in error, so all that is left must be read now.
            while not self._reaping:
                self._read()
            return
        if datagram:
            self._decode(datagram)
        else:
            self._loop.remove_reader(self._socket)
            self._reaping = True
            self._reap(time.monotonic() + GOODBYE_S)

    def _decode(self, datagram: bytes) -> None:
        try:
            self._take(decode_answer(datagram))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            self.kill(ErrorCode.WORKER_LOST, f"it sent an answer nobody can read ({error})")

    def _take(self, answer: Answer) -> None:
        if isinstance(answer, Hello):
            self.hello = answer
            self._keeper.on_worker_ready(self, answer)
        elif isinstance(answer, Born):
            if not isinstance(self._process, ForkedWorker):
                raise ValueError("its process id is known")
            self._process.introduce(answer.pid)
        else:
            if answer.id != self.held[0].order.id:
                raise ValueError(f"answer {answer.id} out of turn")
            if not isinstance(answer, (ANSWERED_BY[type(self.held[0].order)], Failed)):
                raise ValueError(f"{type(answer).__name__} to {type(self.held[0].order).__name__}")
            if isinstance(answer, Inferred):
                self._fetch(answer)
            job = self.held.popleft()
            self._work -= isinstance(job.order, Work)
            if self.held:
                self.held[0].head_since = time.monotonic()
            if not job.future.done():
                job.future.set_result(answer)
            self._keeper.on_answer()

    def _fetch(self, answer: Inferred) -> None:
        """Copy an answer's body out before the worker may write there again; raises ValueError for a wrong one."""
        order = self.held[0].order
        if not isinstance(order, Infer):
            raise ValueError("an answer with a body to an order without one")
        answer.body = self._results.take(order.result_offset, answer.size)

    def _read_stderr(self) -> None:
        try:
            text = os.read(self._stderr_fd, READ_BYTES)
        except BlockingIOError:
            return
        for line in text.decode(errors="replace").splitlines():
            self._stderr.append(line)
            log.debug("worker %s: %s", self.pid, line)
        if not text:
            self._loop.remove_reader(self._stderr_fd)

    def _reap(self, deadline: float) -> None:
        """The socket closed: wait for the process to be gone, then report and release what is left."""
        if self._process.poll() is None:
            if time.monotonic() > deadline:  # it hung up but did not end
                self._process.kill()
            self._loop.call_later(REAP_INTERVAL_S, self._reap, deadline)
            return
        self._read_stderr()
        self._loop.remove_reader(self._stderr_fd)
        os.close(self._stderr_fd)
        self._socket.close()
        self._results.close()
        self._keeper.on_worker_exit(self)
