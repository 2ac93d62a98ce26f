"""How one agent is set up: an immutable value made from the environment and the command line."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from contract.devices import DEVICE_PATTERN
from contract.models import MODEL_NAME_PATTERN
from server.resources import MIB, allowed_resources

ENVIRONMENT_PREFIX = "EDGERUN_"
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
DEFAULT_PORT = 8080
WORKER_MEMORY_MIN_BYTES = 256 * MIB
WORKER_MEMORY_MAX_BYTES = 1024 * MIB


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it and says what it may be."""


def _text(value: str) -> str:
    return value


def _number(value: str) -> int:
    number = int(value)
    if number < 1:
        raise ValueError("must be at least 1")
    return number


def _port(value: str) -> int:
    number = int(value)
    if not 0 <= number <= 65535:
        raise ValueError("must be 0 (any free port) to 65535")
    return number


def _port_or_off(value: str) -> int | None:
    return None if value.lower() == "off" else _port(value)


def _seconds(value: str) -> float:
    number = float(value)
    if not 0 < number < float("inf"):
        raise ValueError("must be more than 0 seconds")
    return number


def _switch(value: str) -> bool:
    if value.lower() not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise ValueError("must be on or off")
    return value.lower() in ("1", "true", "yes", "on")


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value

    return parse


def _auto_or_number(value: str) -> int | None:
    return None if value == "auto" else _number(value)


def _digest(value: str) -> str:
    digest = value.lower().removeprefix("sha256:")
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise ValueError("must be the SHA-256 of the token: 64 hexadecimal digits (never the token itself)")
    return digest


def _models(value: str) -> tuple[tuple[str, Path], ...]:
    found = {}
    for entry in value.split(","):
        name, equals, path = entry.partition("=")
        if not (equals and path and re.match(MODEL_NAME_PATTERN, name)):
            raise ValueError("takes NAME=FILE or NAME=FOLDER, several with commas; names as 1 to 64 of a-z 0-9 . _ -")
        found[name] = Path(path).absolute()
    return tuple(found.items())


def _setting(default: Any, parse: Callable[[str], Any], text: str) -> Any:
    return field(default=default, metadata={"parse": parse, "help": text})


def _device(text: str) -> str:
    if not re.match(DEVICE_PATTERN, text.upper()):
        raise ValueError("takes CPU, GPU, NPU, AUTO or AUTO:GPU,CPU")
    return text.upper()


@dataclass(frozen=True)
class Settings:
    """Settings of one agent. Each has an environment variable, `EDGERUN_` and its name in capitals."""

    host: str = _setting("", _text, "address to listen on (default: all with a token, loopback without)")
    port: int = _setting(DEFAULT_PORT, _port, "port to listen on, 0 for any free one")
    grpc_port: int | None = _setting(
        None, _port_or_off, "port for the Open Inference Protocol over gRPC, 0 for any free one, or off (default)"
    )
    data: Path = _setting(Path(), Path, "folder for models and keys (default: the user's data folder)")
    token_sha256: str | None = _setting(None, _digest, "SHA-256 of the first bearer token in hexadecimal")
    tls: bool = _setting(True, _switch, "on or off: TLS once a token is set; off is accepted on loopback only")
    runtime: str = _setting("litert", _text, "runtime for requests that name none")
    device: str = _setting("CPU", _device, "device for pictures: CPU, GPU, ..., or AUTO for the best that works")
    workers: int | None = _setting(None, _auto_or_number, "worker processes a runtime, or auto")
    threads: int | None = _setting(
        None,
        _auto_or_number,
        "threads an inference uses, or auto: one while several requests run, all cores for a lone one",
    )
    queue: int = _setting(1024, _number, "requests that may wait before new ones get 429")
    queue_timeout_s: float = _setting(10.0, _seconds, "seconds a request may wait for its turn before it gets 503")
    connections: int = _setting(512, _number, "connections served at a time")
    max_image_bytes: int = _setting(10 * MIB, _number, "largest picture in bytes")
    max_image_pixels: int = _setting(40_000_000, _number, "largest picture in pixels")
    max_model_bytes: int = _setting(200 * MIB, _number, "largest model file in bytes")
    max_images: int = _setting(32, _number, "pictures in one multipart request")
    max_held_bytes: int = _setting(128 * MIB, _number, "bytes of pictures in memory at a time, all requests together")
    request_timeout_s: float = _setting(30.0, _seconds, "seconds a worker may spend on one picture")
    worker_memory_bytes: int | None = _setting(None, _auto_or_number, "memory at which a worker is replaced, or auto")
    allow_commands: bool = _setting(
        False, _switch, "on or off: run programs for who has a token with the scope run, as the agent's user"
    )
    models: tuple[tuple[str, Path], ...] = _setting(
        (),
        _models,
        "models to serve from this machine: NAME=FILE or NAME=FOLDER, several with commas",
    )
    open_metrics: bool = _setting(False, _switch, "on or off: /metrics answers without the token")
    max_queued_jobs: int = _setting(1000, _number, "jobs that may wait before new ones get 429")
    max_jobs_bytes: int = _setting(1024 * MIB, _number, "bytes that ended jobs may leave; the oldest go first")
    sensors_root: Path = _setting(Path("/"), Path, "folder under which /proc and /sys are read")
    device_name: str | None = _setting(None, _text, "name of this device in /v1/info")
    device_type: str | None = _setting(None, _text, "type of this device in /v1/info")
    log_level: str = _setting("info", _one_of("debug", "info", "warning", "error"), "least level that is logged")
    log_format: str = _setting("auto", _one_of("auto", "text", "json"), "auto: text on a terminal, else JSON lines")
    log_file: Path | None = _setting(None, Path, "file for the log (default: standard error); NAME.1 is the one before")
    max_log_bytes: int = _setting(10 * MIB, _number, "bytes at which a new log file is begun")
    access_log: bool = _setting(False, _switch, "on or off: log every request")

    @classmethod
    def from_env(cls, environment: Mapping[str, str], **overrides: str | None) -> "Settings":
        """Make settings from variables, overridden by command-line texts that are not None.

        Raises SettingsError for a value that does not parse, and for an agent that would listen beyond
        loopback unprotected.
        """
        values: dict[str, Any] = {}
        for spec in fields(cls):
            variable = ENVIRONMENT_PREFIX + spec.name.upper()
            text, origin = overrides.get(spec.name), "--" + spec.name.replace("_", "-")
            if text is None:
                text, origin = environment.get(variable) or None, variable
            if text is None:
                continue
            try:
                values[spec.name] = spec.metadata["parse"](text)
            except ValueError as error:
                raise SettingsError(f"{origin} {error}, got {text!r}") from None
        return cls(**values)._completed()

    def _completed(self) -> "Settings":
        host = self.host or ("0.0.0.0" if self.token_sha256 else "127.0.0.1")
        data = self.data if self.data != Path() else _default_data_folder()
        settings = replace(self, host=host, data=data.expanduser().absolute())
        if host not in LOOPBACK_HOSTS and not self.token_sha256:
            raise SettingsError(
                f"refusing to listen on {host} without a token: set EDGERUN_TOKEN_SHA256 to the SHA-256 of a random "
                "token, or listen on 127.0.0.1"
            )
        if host not in LOOPBACK_HOSTS and not self.tls:
            raise SettingsError(f"refusing to listen on {host} without TLS: the token would cross the network readable")
        return settings

    @property
    def serves_tls(self) -> bool:
        """TLS protects the token; without a token there is nothing to protect and only loopback to listen on."""
        return self.tls and self.token_sha256 is not None

    @property
    def worker_count(self) -> int:
        """Workers a runtime: as set, or what the control group allows."""
        return self.workers or allowed_resources().default_workers

    @property
    def worker_memory_limit_bytes(self) -> int:
        """Memory at which a worker is replaced: as set, or half of what is allowed, within 256 MiB and 1 GiB."""
        if self.worker_memory_bytes is not None:
            return self.worker_memory_bytes
        allowed = allowed_resources().memory_bytes or 2 * WORKER_MEMORY_MAX_BYTES
        return min(max(allowed // 2, WORKER_MEMORY_MIN_BYTES), WORKER_MEMORY_MAX_BYTES)


def _default_data_folder() -> Path:
    from platformdirs import user_data_path

    return user_data_path("edgerun") / "agent"
