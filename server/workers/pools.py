"""All worker pools of the agent: one a runtime, the default one from the start, others when first asked for."""

import asyncio
from collections.abc import Mapping

from contract.codes import ErrorCode
from server.errors import AgentError
from server.resources import allowed_resources
from server.runtimes import KNOWN, forks, formats_of, installed_runtimes
from server.runtimes.devices import Devices
from server.runtimes.selection import CPU, NoDevice, choose
from server.settings import Settings
from server.workers.admission import BODIES_MAX, Admission
from server.workers.arena import Arena, MemoryBudget
from server.workers.gate import DeviceGate
from server.workers.messages import ModelSpec
from server.workers.pool import Pool, PoolOptions
from server.workers.process import DEPTH
from server.workers.starting import WorkerOptions


class Pools:
    """Finds the pool of a runtime, starting it when needed."""

    def __init__(self, settings: Settings, devices: Devices | None = None) -> None:
        """Raises AgentError DEVICE_UNAVAILABLE where the default runtime cannot use the device of the settings."""
        self._settings = settings
        self.devices = devices or Devices()
        self._default_model: ModelSpec | None = None
        self.installed: Mapping[str, str] = installed_runtimes()
        self.gate = DeviceGate(self.in_flight)
        self.arena = Arena(settings.max_image_bytes, BODIES_MAX, MemoryBudget(settings.max_held_bytes))
        self.admission = Admission(
            DEPTH * settings.worker_count,
            settings.queue,
            settings.queue_timeout_s,
            self.arena.budget,
            self.gate.check_free,
        )
        self._pools = {settings.runtime: self._pool(settings.runtime)}

    @property
    def default_runtime(self) -> str:
        """The one of requests which name none."""
        return self._settings.runtime

    @property
    def default(self) -> Pool:
        """The pool that answers requests which name no runtime."""
        return self._pools[self._settings.runtime]

    def in_flight(self) -> int:
        """Pictures in work or waiting on the whole agent."""
        return sum(pool.in_flight for pool in self._pools.values())

    def running(self) -> Mapping[str, Pool]:
        """The pools that were started, by runtime."""
        return self._pools

    def require(self, runtime: str) -> None:
        """Raise AgentError for a runtime that is not installed."""
        if runtime not in self.installed:
            here = f"installed here: {', '.join(self.installed) or 'none'}"
            if runtime not in KNOWN:
                detail = f"{runtime!r} is not a runtime edgerun knows"
                raise AgentError(ErrorCode.RUNTIME_UNAVAILABLE, detail, hint=here)
            extra = KNOWN[runtime].extra
            how = f"; the extra `{extra}` brings it: provision up --with {extra}" if extra else ""
            detail = f"{runtime!r} is not installed on this agent"
            raise AgentError(ErrorCode.RUNTIME_UNAVAILABLE, detail, hint=f"{here}{how}")

    async def pool(self, runtime: str | None) -> Pool:
        """The pool of a runtime, the default one for None; raises AgentError for one that is not installed."""
        name = runtime or self._settings.runtime
        self.require(name)
        if name not in self._pools:
            pool = await asyncio.to_thread(self._pool, name)
            if name in self._pools:  # somebody else was faster
                return self._pools[name]
            self._pools[name] = pool
            await pool.start()
            if self._default_model is not None and self._default_model.source.format in formats_of(name):
                pool.prepare(self._default_model)
        return self._pools[name]

    def uses_delegates(self, runtime: str) -> bool:
        """False once a delegate of the runtime crashed a worker here."""
        return runtime not in self._pools or self._pools[runtime].uses_delegates

    def prepare(self, model: ModelSpec) -> None:
        """Have all workers load the model that most requests will ask for."""
        self._default_model = model
        for name, pool in self._pools.items():
            if model.source.format in formats_of(name):
                pool.prepare(model)

    def clear_quarantine(self, digest: str) -> None:
        """Give a model that was uploaded anew another chance."""
        for pool in self._pools.values():
            pool.clear_quarantine(digest)

    async def stop(self) -> None:
        """End all workers."""
        await asyncio.gather(*(pool.stop() for pool in self._pools.values()))

    def _pool(self, runtime: str) -> Pool:
        return Pool(_options(self._settings, runtime, self._devices_of(runtime)), self.arena, self.in_flight)

    def _devices_of(self, runtime: str) -> tuple[str, ...]:
        """The devices of a runtime, best first, as the settings want them; asking for them takes a second."""
        if self._settings.device == CPU or runtime not in self.installed:
            return (CPU,)
        try:
            choice = choose(self._settings.device, self.devices.of([runtime]), {})
        except NoDevice as none:
            raise AgentError(ErrorCode.DEVICE_UNAVAILABLE, str(none)) from none
        return tuple(candidate.device for candidate in choice.candidates)


def _options(settings: Settings, runtime: str, devices: tuple[str, ...]) -> PoolOptions:
    return PoolOptions(
        size=settings.worker_count,
        request_timeout_s=settings.request_timeout_s,
        busy_threads=settings.threads or 1,
        lone_threads=settings.threads or allowed_resources().whole_cpus,
        worker=WorkerOptions(runtime, True, settings.worker_memory_limit_bytes, devices),
        shared=settings.worker_count > 1 and forks(runtime),  # of one alone the template would only take memory
    )
