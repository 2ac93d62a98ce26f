"""Putting models on the agent: an upload is tried in throw-away processes before anything else may use it."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from contract.codes import ErrorCode
from contract.digests import identity
from contract.models import (
    DamagedModel,
    ModelDescription,
    ModelList,
    ModelManifest,
    Outputs,
    Preprocessing,
    RuntimeCheck,
    TensorInfo,
)
from image_model.catalog import EMBEDDED_MODEL
from image_model.labels import LabelError, parse_labels
from server.errors import AgentError
from server.models.store import ModelStore
from server.models.stored_model import StoredModel
from server.models.trial import TrialFinding, try_model
from server.runtimes import KNOWN, formats_of
from server.workers.messages import ModelSource
from server.workers.pools import Pools

log = logging.getLogger(__name__)

TFLITE_IDENTIFIER = b"TFL3"
"""Flatbuffers carry a file identifier at bytes 4 to 7."""
XML_BEGINNINGS = (b"<?xml", b"<net")
ONNX_FIRST_FIELD = b"\x08"
"""ModelProto begins with field 1, ir_version, a varint, as every known writer puts it."""

_STORED_RANGES = {"uint8": (0, 255), "int8": (-128, 127)}


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
        """What is known of a model; for the embedded one, as the running workers found it."""
        if not model.description.embedded:
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
        candidates = [wanted] if wanted else dict.fromkeys((default, *self._pools.installed))
        reasons = {name: self.why_not(model, name) for name in candidates}
        fitting = [name for name, reason in reasons.items() if reason is None]
        if fitting:
            return fitting[0]
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
        if name == EMBEDDED_MODEL:
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
        findings = await self._try_everywhere(source)
        size_bytes = sum(Path(path).stat().st_size for path in (source.path, *source.parts.values()))
        return _description(name, manifest, size_bytes, labels, findings)

    def blob(self, digest: str) -> Path:
        """Where an uploaded file is; raises AgentError UNKNOWN_BLOB."""
        path = self.store.blob(digest)
        if path is None:
            raise AgentError(
                ErrorCode.UNKNOWN_BLOB, f"no file {digest} here", hint=f"PUT it to /v1/blobs/{digest} first"
            )
        return path

    async def _try_everywhere(self, source: ModelSource) -> dict[str, TrialFinding]:
        runtimes = [name for name in self._pools.installed if source.format in formats_of(name)]
        if not runtimes:
            detail, hint = _nobody_reads(source.format, self._pools.installed)
            raise AgentError(ErrorCode.RUNTIME_UNAVAILABLE, detail, hint=hint)
        findings = await asyncio.gather(
            *(
                try_model(
                    source,
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


def _description(
    name: str, manifest: ModelManifest, size_bytes: int, label_count: int | None, findings: dict[str, TrialFinding]
) -> ModelDescription:
    found = next(finding for finding in findings.values() if finding.check.ok)
    classifier = found.not_a_classifier_because is None
    return ModelDescription(
        name=name,
        digest=identity(manifest.model, manifest.parts),
        format=manifest.format,
        parts=sorted(manifest.parts),
        size_bytes=size_bytes,
        embedded=False,
        inputs=list(found.inputs),
        outputs=list(found.outputs),
        classifier=classifier,
        not_a_classifier_because=found.not_a_classifier_because,
        class_count=found.outputs[0].shape[-1] if classifier else None,
        label_count=label_count,
        preprocessing=_preprocessing(manifest, found.inputs[0]) if classifier else manifest.preprocessing,
        preprocessing_assumed=classifier and manifest.preprocessing is None,
        output_kind=_output_kind(manifest.outputs, found) if classifier else None,
        runtimes={runtime: finding.check for runtime, finding in findings.items()},
        uploaded_at=datetime.now(UTC),
        source=manifest.source,
        licence=manifest.licence,
    )


def _output_kind(declared: Outputs, found: TrialFinding) -> Literal["logits", "probabilities"]:
    if declared is Outputs.AUTO:
        return "probabilities" if found.looks_like_probabilities else "logits"
    return "logits" if declared is Outputs.LOGITS else "probabilities"


def _preprocessing(manifest: ModelManifest, source: TensorInfo) -> Preprocessing:
    """As declared; else pixels stored as they are for quantised inputs, and 0 to 1 for float ones."""
    if manifest.preprocessing is None:
        if source.scale is None or source.dtype not in _STORED_RANGES:
            return Preprocessing(input_range=(0.0, 1.0))
        low, high = ((stored - (source.zero_point or 0)) * source.scale for stored in _STORED_RANGES[source.dtype])
        try:
            return Preprocessing(input_range=(low, high))
        except ValidationError as error:
            detail = f"its input stores real values from {low:g} to {high:g}, which no picture has"
            raise AgentError(ErrorCode.MODEL_REJECTED, detail, hint="declare preprocessing.input_range") from error
    ranges = manifest.preprocessing.input_range
    if isinstance(ranges, list) and len(ranges) != source.shape[-1]:
        detail = f"preprocessing.input_range holds {len(ranges)} pairs, the input has {source.shape[-1]} channels"
        raise AgentError(ErrorCode.INVALID_REQUEST, detail)
    return manifest.preprocessing
