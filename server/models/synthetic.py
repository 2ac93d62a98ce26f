"""Synthetic models, written when they are first asked for, in a process of their own."""

import asyncio
import logging
import os
import secrets
from pathlib import Path

from contract.codes import ErrorCode
from contract.models import (
    SYNTHETIC_SOURCE,
    ModelDescription,
    ModelManifest,
    Outputs,
    Preprocessing,
    SyntheticModel,
    SyntheticModels,
)
from server.errors import AgentError
from server.models.registry import ModelRegistry
from server.processes.children import child_command, child_settings, exit_text, kill_session
from server.synthesis import SYNTHETIC_MODELS
from server.workers.pools import Pools

log = logging.getLogger(__name__)

TIMEOUT_S = 300.0
CHUNK_BYTES = 1 << 20
LICENCE = "Apache-2.0"


class SyntheticWriter:
    """Writes models of `SYNTHETIC_MODELS` and puts them on the agent like an upload."""

    def __init__(self, folder: Path, registry: ModelRegistry, pools: Pools) -> None:
        """`folder` takes the files while they are written."""
        self._folder = folder
        self._registry = registry
        self._pools = pools
        self._one_at_a_time = asyncio.Lock()

    def list(self) -> SyntheticModels:
        """All that can be written, and which are there."""
        held = self._registry.store
        return SyntheticModels(
            models=[
                SyntheticModel(name=name, title=title, written=held.find(name) is not None)
                for name, title in SYNTHETIC_MODELS.items()
            ]
        )

    async def ensure(self, name: str | None) -> None:
        """Write a model that is asked for and not there yet; nothing happens for other names. Raises AgentError."""
        if name in SYNTHETIC_MODELS and self._registry.store.find(name) is None:
            await self.write(name)

    async def write(self, name: str) -> tuple[ModelDescription, bool]:
        """Write a model unless one of its name is there; False when it was. Raises AgentError."""
        if name not in SYNTHETIC_MODELS:
            known = ", ".join(SYNTHETIC_MODELS)
            raise AgentError(ErrorCode.UNKNOWN_MODEL, f"edgerun writes no model {name!r}; it writes {known}")
        async with self._one_at_a_time:
            if (known_model := self._registry.store.find(name)) is not None:
                return known_model.description, False
            self._pools.gate.check_free()
            path = self._folder / f".{name}.{secrets.token_hex(8)}.part"
            try:
                await _write_in_a_child(name, path)
                digest = await asyncio.to_thread(self._keep, path)
            finally:
                path.unlink(missing_ok=True)
        log.info("model %s was written", name)
        manifest = ModelManifest(
            model=digest,
            preprocessing=Preprocessing(input_range=(0.0, 1.0)),
            outputs=Outputs.PROBABILITIES,
            source=SYNTHETIC_SOURCE,
            licence=LICENCE,
        )
        return await self._registry.put(name, manifest)

    def _keep(self, path: Path) -> str:
        with self._registry.store.receive() as receiver, path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                receiver.write(chunk)
            receiver.keep(receiver.digest)
            return receiver.digest


async def _write_in_a_child(name: str, path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        *child_command("server.synthesis", name, path, os.getpid()), **child_settings(stderr=asyncio.subprocess.PIPE)
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            _, stderr = await child.communicate()
    except TimeoutError:
        raise AgentError(ErrorCode.INTERNAL_ERROR, f"{name} was not written within {TIMEOUT_S:g} s") from None
    finally:
        kill_session(child.pid)
        await child.wait()
    if child.returncode:
        lines = stderr.decode(errors="replace").strip().splitlines()
        words = f": {lines[-1]}" if lines else ""
        raise AgentError(
            ErrorCode.INTERNAL_ERROR, f"the process that writes {name} {exit_text(child.returncode)}{words}"
        )
