"""The workers of one runtime: a queue in front, supervision behind.

A worker that crashes, hangs or outgrows its memory is replaced. Only the request it was working on fails; the
one that waited in its hands goes back to the head of the queue.
"""

import asyncio
import contextlib
import itertools
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from contract.codes import ErrorCode
from server.errors import AgentError
from server.workers.arena import Arena
from server.workers.messages import (
    Answer,
    Done,
    Failed,
    Hello,
    Infer,
    Inferred,
    ModelSpec,
    Predict,
    Predicted,
    Prepare,
    Work,
)
from server.workers.process import PendingOrder, WorkerProcess
from server.workers.starting import Starter, WorkerOptions

log = logging.getLogger(__name__)

SUPERVISION_INTERVAL_S = 0.5
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 2.5
STOP_POLL_S = 0.01
RESTART_DELAYS_S = (0.0, 0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Wait before the next start, by how many workers in a row died before saying hello."""
STARTS_BEFORE_GIVING_UP = 3
"""Failed starts in a row after which waiting requests are told so."""
CRASHES_TOLERATED = 3
"""Crashes of workers on one model before it is refused."""


@dataclass(frozen=True)
class PoolOptions:
    """How a pool is run."""

    size: int
    request_timeout_s: float
    busy_threads: int
    """Threads of an inference while others run."""
    lone_threads: int
    """Threads of an inference while the device does nothing else."""
    worker: WorkerOptions
    shared: bool = False
    """Whether its workers are forked from one process."""


class Pool:
    """Runs models of one runtime on supervised worker processes."""

    def __init__(self, options: PoolOptions, arena: Arena, in_flight: Callable[[], int]) -> None:
        """`in_flight` counts the requests of the whole agent, this pool's included."""
        self._options = options
        self._arena = arena
        self._worker_options = options.worker
        self._starter = Starter(options.worker.runtime, shared=options.shared)
        self._agent_in_flight = in_flight
        self._queue: deque[PendingOrder] = deque()
        self._workers: list[WorkerProcess] = []
        self._ids = itertools.count(1)
        self._failed_starts = 0
        self._last_end = ""
        self._crashes: Counter[str] = Counter()
        self._default: ModelSpec | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._stopping = False
        self.exits: Counter[ErrorCode] = Counter()
        """Workers that ended without being told to, by the reason."""
        self.hello: Hello | None = None
        """What the first worker said of itself."""
        self.in_flight = 0
        """Requests in workers' hands and waiting."""

    def spawn_first(self) -> None:
        """Start the first worker; may be called before there is an event loop, to use the time until there is."""
        self._workers.append(WorkerProcess(self._starter, self._worker_options, self._arena))

    async def start(self) -> None:
        """Begin to supervise; returns before the workers are ready."""
        if not self._workers:
            self.spawn_first()
        self._workers[0].attach(self)
        self._supervisor = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """Dismiss the workers and wait until all are gone. Requests must have been finished before."""
        self._stopping = True
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
        for worker in self._workers:
            worker.dismiss()
        self._starter.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                while self._workers or not self._starter.ended:
                    await asyncio.sleep(STOP_POLL_S)

    @property
    def ready(self) -> bool:
        """Whether at least one worker can take a request."""
        return any(worker.ready for worker in self._workers)

    @property
    def uses_delegates(self) -> bool:
        """False once a delegate crashed a worker before it said hello."""
        return self._worker_options.delegates

    @property
    def workers(self) -> Sequence[WorkerProcess]:
        """The processes that are up, or starting."""
        return self._workers

    @property
    def runtime(self) -> str:
        """Its name."""
        return self._worker_options.runtime

    def check_able(self) -> None:
        """Raise AgentError when a request could only be refused, because workers cannot start."""
        if self._failed_starts >= STARTS_BEFORE_GIVING_UP and not self.ready:
            raise self._cannot_start()

    async def load(self, model: ModelSpec) -> None:
        """Have the workers that are up load a model, and wait until they have; raises AgentError."""
        self.check_able()
        self._check_quarantine(model)
        orders = [future for worker in self._workers if worker.ready for future in self._load(worker, model)]
        for answer in await asyncio.gather(*orders):
            if isinstance(answer, Failed):
                raise AgentError(answer.code, answer.detail)

    async def predict(self, order: Predict) -> Predicted:
        """Queue a picture that lies in the arena and wait for its answer; raises AgentError."""
        answer = await self._run(order)
        assert isinstance(answer, Predicted)
        return answer

    async def infer(self, order: Infer) -> Inferred:
        """Queue tensors that lie in the arena and wait for their answer; raises AgentError."""
        answer = await self._run(order)
        assert isinstance(answer, Inferred)
        return answer

    async def _run(self, order: Work) -> Done:
        self.check_able()
        self._check_quarantine(order.model)
        order.id = next(self._ids)
        job = PendingOrder(order, asyncio.get_running_loop().create_future())
        self.in_flight += 1
        try:
            self._queue.append(job)
            self._hand_out()
            answer = await job.future
        finally:
            self.in_flight -= 1
        if isinstance(answer, Failed):
            raise AgentError(answer.code, answer.detail)
        assert isinstance(answer, Done)
        return answer

    def prepare(self, model: ModelSpec) -> None:
        """Have the workers, also those to come, load a model before it is needed."""
        self._default = model
        for worker in self._workers:
            if worker.ready:
                self._prepare(worker)

    def clear_quarantine(self, digest: str) -> None:
        """Forget the crashes of a model that was uploaded anew."""
        self._crashes.pop(digest, None)

    def _check_quarantine(self, model: ModelSpec) -> None:
        if self._crashes[model.digest] >= CRASHES_TOLERATED:
            runtime = self._worker_options.runtime
            raise AgentError(ErrorCode.MODEL_QUARANTINED, f"it crashed {CRASHES_TOLERATED} workers of {runtime}")

    def _prepare(self, worker: WorkerProcess) -> None:
        if self._default is not None and self._crashes[self._default.digest] < CRASHES_TOLERATED:
            self._load(worker, self._default)

    def _load(self, worker: WorkerProcess, model: ModelSpec) -> list[asyncio.Future[Answer]]:
        # A lone request goes to the first worker, so only that one needs the interpreter with more threads.
        lone = {self._options.lone_threads} if worker is self._workers[0] else set()
        futures = []
        for threads in sorted({self._options.busy_threads} | lone):
            future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            worker.give(PendingOrder(Prepare(next(self._ids), model, threads), future))
            futures.append(future)
        return futures

    def _hand_out(self) -> None:
        """Give waiting requests to workers: to an idle one, else to the one that has been busy longest."""
        while self._queue:
            free = [worker for worker in self._workers if worker.has_room]
            if not free:
                return
            worker = free[0] if len(free) == 1 else max(free, key=lambda w: (not w.held, w.busy_s()))
            job = self._queue.popleft()
            assert isinstance(job.order, Work)
            job.order.threads = self._threads()
            worker.give(job)

    def _threads(self) -> int:
        lone, busy = self._options.lone_threads, self._options.busy_threads
        return lone if lone != busy and self._agent_in_flight() == 1 else busy

    def on_worker_ready(self, worker: WorkerProcess, hello: Hello) -> None:
        """A worker is up: load the default model there, start the next worker, hand out what waits."""
        self.hello = hello
        self._failed_starts = 0
        log.info(
            "worker %s is up: %s %s, %s", worker.pid, hello.runtime, hello.version, hello.delegate or "built-in kernels"
        )
        self._prepare(worker)
        self._fill()
        self._hand_out()

    def on_answer(self) -> None:
        """A worker has room again."""
        self._hand_out()

    def on_worker_exit(self, worker: WorkerProcess) -> None:
        """A worker is gone: fail what it worked on, save what waited in its hands, start another."""
        self._workers.remove(worker)
        code, self._last_end = worker.exit_reason()
        if self._stopping:
            return
        self.exits[code] += 1
        log.warning("worker %s is gone: %s", worker.pid, self._last_end)
        if worker.held:
            self._fail_current(worker, code)
        if worker.hello is None:
            self._failed_starts += 1
            if worker.crashed and self._worker_options.delegates:
                log.warning("%s crashed with its delegates: built-in kernels from now on", self._worker_options.runtime)
                self._worker_options = replace(self._worker_options, delegates=False)
        if self._failed_starts >= STARTS_BEFORE_GIVING_UP and not self.ready:
            self._give_up_on_waiting()
        delay = RESTART_DELAYS_S[min(self._failed_starts, len(RESTART_DELAYS_S) - 1)]
        asyncio.get_running_loop().call_later(delay, self._fill)
        self._hand_out()

    def _fail_current(self, worker: WorkerProcess, code: ErrorCode) -> None:
        current, *waiting = worker.held
        if worker.crashed:
            self._crashes[current.order.model.digest] += 1
        if not current.future.done():
            current.future.set_result(Failed(current.order.id, code, self._last_end))
        self._queue.extendleft(job for job in reversed(waiting) if isinstance(job.order, Work))
        for job in waiting:  # to load a model: somebody may wait to hear of it
            if isinstance(job.order, Prepare) and not job.future.done():
                job.future.set_result(Failed(job.order.id, code, self._last_end))

    def _fill(self) -> None:
        """Start workers up to the pool's size, the first alone: what it finds out serves the others."""
        wanted = self._options.size if self.ready else 1
        while len(self._workers) < wanted and not self._stopping:
            worker = WorkerProcess(self._starter, self._worker_options, self._arena)
            self._workers.append(worker)
            worker.attach(self)

    def _give_up_on_waiting(self) -> None:
        while self._queue:
            job = self._queue.popleft()
            if not job.future.done():
                job.future.set_result(Failed(job.order.id, ErrorCode.RUNTIME_UNAVAILABLE, self._cannot_start().detail))

    def _cannot_start(self) -> AgentError:
        runtime = self._worker_options.runtime
        detail = f"{self._failed_starts} workers of {runtime} in a row ended at the start; {self._last_end}"
        return AgentError(ErrorCode.RUNTIME_UNAVAILABLE, detail)

    async def _supervise(self) -> None:
        timeout_s, limit = self._options.request_timeout_s, self._worker_options.memory_bytes
        while True:
            await asyncio.sleep(SUPERVISION_INTERVAL_S)
            for worker in self._workers:
                if worker.hello is None and worker.age_s() > START_TIMEOUT_S:
                    worker.kill(ErrorCode.WORKER_TIMEOUT, f"it was not up after {START_TIMEOUT_S:g} s")
                elif worker.busy_s() > timeout_s:
                    worker.kill(ErrorCode.WORKER_TIMEOUT, f"it worked longer than {timeout_s:g} s on one request")
                elif (held := worker.private_bytes()) > limit:
                    detail = f"it held {held >> 20} MiB, {limit >> 20} MiB are allowed"
                    worker.kill(ErrorCode.WORKER_OUT_OF_MEMORY, detail)
