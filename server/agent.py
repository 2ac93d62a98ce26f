"""Everything one agent consists of, put together from its settings."""

import asyncio
import math
import os
import platform
import secrets
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from contract.devices import RuntimeDevice
from contract.info import (
    API_VERSION,
    AgentBuild,
    AgentInfo,
    AllowedResources,
    DeviceInfo,
    Limits,
    RuntimeInfo,
    RuntimeList,
    SecurityInfo,
)
from contract.openinference import OPEN_INFERENCE
from contract.session import LIVE_PAGE
from contract.tokens import TOKEN_SCOPES
from contract.tokens import Access as AccessInfo
from contract.tokens import Scope as TokenScope
from server import __version__
from server.access.access import Access
from server.access.callers import LOCAL, Caller
from server.http.accepting import connections_possible
from server.http.body import Bodies
from server.http.sessions import Sessions
from server.http.tls import Certificate
from server.inference import InferenceService
from server.jobs.kinds import kinds_of
from server.jobs.kinds.base import Means
from server.jobs.queue import Jobs
from server.metrics.exposition import Exposition
from server.metrics.inferences import InferenceLog
from server.metrics.requests import RequestLog
from server.models.provided import ProvidedModels
from server.models.registry import ModelRegistry
from server.models.store import ModelStore
from server.models.synthetic import SyntheticWriter
from server.openinference.service import OpenInference
from server.resources import allowed_resources, cpu_model, machine, physical_memory_bytes
from server.runtimes import KNOWN, formats_of
from server.settings import Settings
from server.storage.room import Room
from server.telemetry.live import LiveTelemetry
from server.workers.pools import Pools

if TYPE_CHECKING:
    from server.grpc.listener import GrpcListener

FEATURES = [
    "classify",
    "detect",
    OPEN_INFERENCE,
    "multipart",
    "models",
    "default-model",
    "server-timing",
    "jobs",
    "telemetry",
    LIVE_PAGE,
    TOKEN_SCOPES,
]

GRPC_GRACE_S = 5.0
"""Calls under way get so long to end when the agent stops."""

COMMANDS = "commands"
"""Only of an agent that was started to run programs."""


class Agent:
    """The parts behind the routes. `start` and `stop` belong to the app's lifespan."""

    def __init__(self, settings: Settings, pools: Pools, certificate: Certificate | None) -> None:
        self.settings = settings
        self.pools = pools
        self.certificate = certificate
        self.room = Room(settings.data)
        self.store = ModelStore(settings.data)
        self.registry = ModelRegistry(self.store, pools, settings.worker_memory_limit_bytes)
        self.provided = ProvidedModels(dict(settings.models), self.registry)
        self.synthetic = SyntheticWriter(settings.data, self.registry, pools)
        self.inferences = InferenceLog(lambda name: self.store.find(name) is not None)
        self.inference = InferenceService(self.registry, pools, settings.max_image_pixels)
        self.open_inference = OpenInference(self.registry, self.inference, self.inferences, settings.max_image_bytes)
        self.grpc: GrpcListener | None = None
        self.grpc_port: int | None = None
        """The port that gRPC listens on, None where it does not."""
        self.bodies = Bodies(settings.max_image_bytes, settings.max_images, pools.arena.budget)
        self.jobs = Jobs(settings, kinds_of(Means(settings, self.registry, pools)), pools, self.room)
        self.telemetry = LiveTelemetry(settings.sensors_root)
        self.access = Access(settings.data, settings.token_sha256, self.room)
        self.sessions = Sessions(settings.data, self.access.tokens, tls=settings.serves_tls)
        self.requests = RequestLog()
        self.exposition = Exposition(self)
        self.probe_secret = secrets.token_urlsafe(24)
        """For whoever can read this agent's data folder: it opens readiness, and nothing else."""
        self.draining = False
        self._started_at = datetime.now(UTC)
        self._started = time.monotonic()

    async def start(self) -> None:
        """Start supervision; workers become ready in the background."""
        await self.pools.default.start()
        self.registry.warm_up()
        await self.jobs.start()
        self.access.start()
        self.provided.start()

    async def listen_for_grpc(self) -> None:
        """Open the port for gRPC where the settings want one; raises OSError where it cannot be had."""
        settings = self.settings
        if settings.grpc_port is None:
            return
        os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")  # no child here goes on without exec
        from server.grpc.access import CallAccess
        from server.grpc.listener import Endpoint, GrpcListener
        from server.grpc.service import Service

        service = Service(self.open_inference, self.pools, settings.max_image_bytes, lambda: self.ready)
        connections = connections_possible(settings.connections)
        endpoint = Endpoint(settings.host, settings.grpc_port, settings.max_image_bytes, connections, self.certificate)
        self.grpc = GrpcListener(endpoint, service, CallAccess(self.access))
        self.grpc_port = await self.grpc.start()

    async def drain(self) -> None:
        """Take nothing new, and let nobody wait for what will not come: the agent is about to stop."""
        self.draining = True
        self.telemetry.end_streams()
        if self.grpc is not None:
            self._grpc_ends = asyncio.create_task(self.grpc.stop(GRPC_GRACE_S))
        await self.jobs.drain()

    async def stop(self) -> None:
        """End the running job, the sampler and the workers."""
        if self.grpc is not None:
            await self.grpc.stop(0)
        await self.provided.stop()
        await self.jobs.stop()
        await self.telemetry.stop()
        await self.pools.stop()
        await self.access.stop()

    @property
    def ready(self) -> bool:
        """Whether a request sent now would be answered at once."""
        return not self.draining and self.pools.default.ready and self.provided.missing is None

    @property
    def device_labels(self) -> dict[str, str]:
        """The device by the names that its metrics have."""
        device = _device(self.settings)
        return {"device_name": device.name, "device_type": device.type or "", "machine": device.machine}

    @property
    def notes(self) -> list[str]:
        """What is wrong, though pictures are answered."""
        found = (self.room.reason, self.jobs.fault, self.access.tokens.fault)
        return [note for note in found if note is not None]

    @property
    def features(self) -> list[str]:
        """What the agent can do, by name."""
        return [*FEATURES, *([COMMANDS] if self.settings.allow_commands else [])]

    def access_of(self, caller: Caller | None) -> AccessInfo:
        """What somebody may do."""
        found = caller or LOCAL
        return AccessInfo(
            token=found.name,
            scopes=[scope for scope in TokenScope if scope in found.scopes],
            expires_at=None if math.isinf(found.ends_s) else datetime.fromtimestamp(found.ends_s, UTC),
            agent_version=__version__,
            features=self.features,
        )

    def info(self) -> AgentInfo:
        """What the agent says about itself."""
        settings = self.settings
        return AgentInfo(
            agent=AgentBuild(
                version=__version__,
                python=platform.python_version(),
                api_versions=[API_VERSION],
                features=self.features,
                started_at=self._started_at,
                uptime_s=round(time.monotonic() - self._started, 1),
            ),
            device=_device(settings),
            allowed=_allowed(),
            runtimes=[self._runtime(name) for name in dict.fromkeys((*KNOWN, *self.pools.installed))],
            workers=settings.worker_count,
            threads=settings.threads,
            default_model=self.store.default.description.name,
            notes=self.notes,
            limits=self._limits(),
            security=SecurityInfo(
                token_required=settings.token_sha256 is not None,
                tls=settings.serves_tls,
                certificate_sha256=self.certificate.sha256 if self.certificate else None,
            ),
        )

    def _limits(self) -> Limits:
        settings = self.settings
        return Limits(
            image_bytes=settings.max_image_bytes,
            image_pixels=settings.max_image_pixels,
            model_bytes=settings.max_model_bytes,
            images_per_request=settings.max_images,
            queue_length=settings.queue,
            request_timeout_s=settings.request_timeout_s,
            worker_memory_bytes=settings.worker_memory_limit_bytes,
            connections=connections_possible(settings.connections),
        )

    def runtimes(self) -> RuntimeList:
        """Every runtime with its devices; asks for them where nobody did yet, which takes a second."""
        self.pools.devices.of(list(self.pools.installed))
        return RuntimeList(runtimes=self.info().runtimes)

    def _devices(self, runtime: str) -> list[RuntimeDevice] | None:
        found = self.pools.devices.known.get(runtime)
        return list(found) if found is not None else None

    def _runtime(self, name: str) -> RuntimeInfo:
        pool = self.pools.running().get(name)
        delegates = [pool.hello.delegate] if pool and pool.hello and pool.hello.delegate else []
        note = None if self.pools.uses_delegates(name) else "its delegate crashed here: built-in kernels only"
        return RuntimeInfo(
            name=name,
            installed=name in self.pools.installed,
            version=self.pools.installed.get(name),
            default=name == self.settings.runtime,
            delegates=delegates,
            formats=list(formats_of(name)),
            devices=self._devices(name),
            workers=sum(worker.ready for worker in pool.workers) if pool else 0,
            note=note,
        )


def _device(settings: Settings) -> DeviceInfo:
    return DeviceInfo(
        name=settings.device_name or socket.gethostname(),
        type=settings.device_type,
        machine=machine(),
        cpu_model=cpu_model(),
        cpu_count=os.cpu_count() or 1,
        memory_bytes=physical_memory_bytes(),
    )


def _allowed() -> AllowedResources:
    allowed = allowed_resources()
    return AllowedResources(
        cpus=allowed.cpus,
        cpus_source=allowed.cpus_source,
        memory_bytes=allowed.memory_bytes,
        memory_source=allowed.memory_source,
    )
