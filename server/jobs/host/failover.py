"""What runs the model now: the CPU first, an accelerator once it is ready, the CPU again if it fails."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from contract.devices import DeviceStep
from server.jobs.host.engines import Engine, check_agreement, open_engine
from server.jobs.host.events import Events
from server.jobs.record.events import DeviceReport
from server.jobs.record.orders import BenchmarkOrder, DeviceOrder
from server.runtimes.base import ModelFault, ModelFiles


class Failover:
    """Engines of a benchmark. Streams run whatever is current; each stream runs on one thread."""

    def __init__(self, order: BenchmarkOrder, files: ModelFiles, events: Events) -> None:
        """Load what the benchmark begins with, while the others compile. Raises ModelFault and JobFailed."""
        self._order, self._files, self._events = order, files, events
        self._started_ns = time.perf_counter_ns()
        self._lock = threading.Lock()
        self._counts: list[Counter[str]] = [Counter() for _ in range(order.streams)]
        *accelerators, base = order.candidates
        self._based = threading.Event()
        self._decided = threading.Thread(target=self._compile, args=(accelerators,), daemon=True)
        if accelerators:
            self._decided.start()
        try:
            self.base = self._current = open_engine(order, base, files)
        finally:
            self._based.set()
        self.report(DeviceStep.STARTED, base)

    @property
    def undecided(self) -> bool:
        """Whether an accelerator is being made ready."""
        return self._decided.is_alive()

    @property
    def current(self) -> Engine:
        """What runs the model now."""
        return self._current

    def runner(self, stream: int) -> Callable[[int], None]:
        """What a stream calls with the number of each iteration; raises ModelFault when nothing is left to run on."""
        if len(self._order.candidates) == 1:
            run, groups, count = self.base.streams[stream].run, self.base.groups, len(self.base.groups)
            return lambda number: run(groups[number % count])
        return lambda number: self._run(stream, number)

    def reset_counts(self) -> None:
        """Count iterations from here on."""
        for counter in self._counts:
            counter.clear()

    def counts(self) -> dict[str, int]:
        """Iterations by engine, where there is a choice."""
        total: Counter[str] = Counter()
        for counter in self._counts:
            total.update(counter)
        return dict(total)

    def report(self, step: DeviceStep, candidate: DeviceOrder, detail: str | None = None) -> None:
        """Write down what happened to a device."""
        at_s = (time.perf_counter_ns() - self._started_ns) / 1e9
        report = DeviceReport(at_s=at_s, step=step, runtime=candidate.runtime, device=candidate.device, detail=detail)
        with self._lock:
            self._events.write(report)

    def _run(self, stream: int, number: int) -> None:
        while True:
            engine = self._current
            try:
                engine.streams[stream].run(engine.groups[number % len(engine.groups)])
            except ModelFault as fault:
                if engine is self.base:
                    raise
                self._fall_back(engine, str(fault))
            else:
                self._counts[stream][engine.name] += 1
                return

    def _fall_back(self, engine: Engine, why: str) -> None:
        """Go back to the CPU; several streams may notice at once."""
        with self._lock:
            noticed, self._current = self._current is engine, self.base
        if noticed:
            self.report(DeviceStep.LOST, DeviceOrder(engine.runtime.name, engine.device, True), why)

    def _compile(self, accelerators: Sequence[DeviceOrder]) -> None:
        """Make accelerators ready until one is."""
        for candidate in accelerators:
            self.report(DeviceStep.COMPILING, candidate)
            try:
                engine = open_engine(self._order, candidate, self._files)
                self._based.wait()
                check_agreement(engine, self.base)
            except Exception as fault:  # drivers raise what they like; the CPU goes on
                self.report(DeviceStep.REJECTED, candidate, f"{fault}" or type(fault).__name__)
                continue
            self._current = engine
            self.report(DeviceStep.HANDED_OVER, candidate, engine.model.execution.detail)
            return
