"""Putting models on the agent: an upload is tried in throw-away processes before anything else may use it."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from contract.codes import ErrorCode
from contract.models import DamagedModel, ModelDescription, ModelList, ModelManifest, RuntimeCheck
from image_model.catalog import EMBEDDED_MODEL, embedded_entries
from image_model.labels import LabelError, parse_labels
from server.errors import AgentError
from server.models.description import describe
from server.models.store import ModelStore
from server.models.stored_model import StoredModel
from server.models.trial import TrialFinding, try_model
from server.models.trial_order import Trial
from server.runtimes import KNOWN, formats_of
from server.workers.pools import Pools

log = logging.getLogger(__name__)

TFLITE_IDENTIFIER = b"TFL3"
"""Flatbuffers carry a file identifier at bytes 4 to 7."""
XML_BEGINNINGS = (b"<?xml", b"<net")
ONNX_FIRST_FIELD = b"\x08"
"""ModelProto begins with field 1, ir_version, a varint, as every known writer puts it."""


class ModelRegistry:
    """The models of one agent, ready to be asked for."""

    def __init__(self, store: ModelStore, pools: Pools, worker_memory_bytes: int) -> None:
        self.store = store
        self._pools = pools
        self._worker_memory_bytes = worker_memory_bytes
        self._one_at_a_time = asyncio.Lock()

    def find(self, name: str | None) -> StoredModel:
        """The named model, or the default; raises AgentError."""
        return self.store.default if name is None else self.store.get(name)

    def describe(self, model: StoredModel) -> ModelDescription:
        """What is known of a model; for the one that workers try first, as they found it."""
        if model.description.name != EMBEDDED_MODEL:
            return model.description
        checks = {
            name: RuntimeCheck(ok=True, load_ms=pool.hello.load_ms, first_inference_ms=pool.hello.first_inference_ms)
            for name, pool in self._pools.running().items()
            if pool.hello is not None and pool.hello.load_ms is not None
        }
        return model.description.model_copy(update={"runtimes": checks})

    def runtime_for(self, model: StoredModel, wanted: str | None) -> str:
        """The runtime that was asked for, else the default, else another that runs a model; raises AgentError."""
        if wanted is not None:
            self._pools.require(wanted)
        default = self._pools.default_runtime
        reasons = {}
        for name in [wanted] if wanted else dict.fromkeys((default, *self._pools.installed)):
            reason = self.why_not(model, name)
            if reason is None:
                return name
            reasons[name] = reason
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise AgentError(ErrorCode.RUNTIME_UNAVAILABLE, f"{model.description.name} runs on none of these: {told}")

    def why_not(self, model: StoredModel, runtime: str) -> str | None:
        """Why a runtime does not run a model, None when it does as far as was tried."""
        formats = formats_of(runtime)
        if model.source.format not in formats:
            return f"it reads {', '.join(formats)}, not {model.source.format}"
        check = model.description.runtimes.get(runtime)
        return None if check is None or check.ok else check.detail

    def list(self) -> ModelList:
        """All models and the default."""
        return ModelList(
            models=[self.describe(model) for model in self.store],
            damaged=[DamagedModel(name=name, reason=reason) for name, reason in sorted(self.store.damaged.items())],
            default=self.store.default.description.name,
            default_chosen=self.store.chosen_default is not None,
        )

    async def put(self, name: str, manifest: ModelManifest) -> tuple[ModelDescription, bool]:
        """Try a model whose files were uploaded and take it in; False when the very same was there already.

        Raises AgentError: UNKNOWN_BLOB, NOT_A_MODEL, BAD_LABELS, MODEL_REJECTED, MODEL_CRASHED, INVALID_REQUEST,
        MODEL_PROTECTED, MEASURING.
        """
        if name in embedded_entries():
            raise AgentError(ErrorCode.MODEL_PROTECTED, f"{name} is part of the agent and cannot be replaced")
        async with self._one_at_a_time:  # each check may need as much memory as a worker
            if (known := self.store.find(name)) is not None and known.manifest == manifest:
                return known.description, False
            self._pools.gate.check_free()
            description = await self._examine(name, manifest)
            self.store.put(manifest, description)
        log.info("model %s is there: %s", name, description.digest)
        self._pools.clear_quarantine(description.digest)
        self.warm_up()
        return description, True

    def remove(self, name: str) -> None:
        """Forget a model; raises AgentError."""
        self.store.remove(name)
        log.info("model %s is removed", name)
        self.warm_up()

    def choose_default(self, name: str) -> None:
        """Let a model answer requests that name none; raises AgentError."""
        self.store.choose_default(name)
        log.info("model %s is the default", name)
        self.warm_up()

    def warm_up(self) -> None:
        """Have the default model loaded before it is asked for."""
        self._pools.prepare(self.store.default.spec)

    async def _examine(self, name: str, manifest: ModelManifest) -> ModelDescription:
        for digest in manifest.digests:
            self.blob(digest)  # raises where one is missing
        source = self.store.lay_out(manifest)
        _check_format(manifest.format, Path(source.path))
        labels = _label_count(self.blob(manifest.labels)) if manifest.labels else None
        declared = manifest.detection.model_dump(mode="json", exclude_none=True) if manifest.detection else {}
        findings = await self._try_everywhere(Trial(source, labels, declared))
        size_bytes = sum(Path(path).stat().st_size for path in (source.path, *source.parts.values()))
        return describe(name, manifest, size_bytes, labels, findings)

    def blob(self, digest: str) -> Path:
        """Where an uploaded file is; raises AgentError UNKNOWN_BLOB."""
        path = self.store.blob(digest)
        if path is None:
            raise AgentError(
                ErrorCode.UNKNOWN_BLOB, f"no file {digest} here", hint=f"PUT it to /v1/blobs/{digest} first"
            )
        return path

    async def _try_everywhere(self, trial: Trial) -> dict[str, TrialFinding]:
        source = trial.source
        runtimes = [name for name in self._pools.installed if source.format in formats_of(name)]
        if not runtimes:
            detail, hint = _nobody_reads(source.format, self._pools.installed)
            raise AgentError(ErrorCode.RUNTIME_UNAVAILABLE, detail, hint=hint)
        findings = await asyncio.gather(
            *(
                try_model(
                    trial,
                    runtime,
                    delegates=self._pools.uses_delegates(runtime),
                    memory_bytes=self._worker_memory_bytes,
                )
                for runtime in runtimes
            )
        )
        found = dict(zip(runtimes, findings, strict=True))
        if not any(finding.check.ok for finding in findings):
            first = found.get(self._pools.default_runtime, findings[0])
            code = ErrorCode.MODEL_CRASHED if first.crashed else ErrorCode.MODEL_REJECTED
            errors: list[dict[str, object]] = [
                {"runtime": runtime, "detail": finding.check.detail} for runtime, finding in found.items()
            ]
            tried = "; ".join(f"{error['runtime']}: {error['detail']}" for error in errors)
            raise AgentError(code, tried, errors=errors)
        return found


def _check_format(format: str, path: Path) -> None:
    """See that a file begins as its format does, so that a slip is called by its name."""
    with path.open("rb") as file:
        first = file.read(64)
    if format == "tflite" and first[4:8] != TFLITE_IDENTIFIER:
        detail = f"bytes 4 to 7 read {first[4:8]!r} instead of {TFLITE_IDENTIFIER!r}"
    elif format == "openvino" and not first.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(XML_BEGINNINGS):
        detail = f"it begins with {first[:8]!r}: the main file of an OpenVINO model is the .xml"
    elif format == "onnx" and not first.startswith(ONNX_FIRST_FIELD):
        detail = f"it begins with {first[:8]!r}, which no ONNX model does"
    else:
        return
    raise AgentError(ErrorCode.NOT_A_MODEL, detail, hint=f"it was sent as {format}: see `client models push --help`")


def _nobody_reads(format: str, installed: Mapping[str, str]) -> tuple[str, str]:
    """Detail and hint for a format that no installed runtime reads."""
    readers = [name for name, package in KNOWN.items() if format in package.formats]
    detail = f"nothing here reads {format}: {', '.join(readers)} would, installed are {', '.join(installed) or 'none'}"
    return detail, f"provision up --with {readers[0]} makes an agent that does"


def _label_count(path: Path) -> int:
    try:
        return len(parse_labels(path.read_bytes()))
    except LabelError as error:
        raise AgentError(ErrorCode.BAD_LABELS, str(error)) from error
