"""What schemathesis is told: checks, phases, where names come from, and how long a request may take."""

from pathlib import Path
from typing import Any

import tomlkit

from contract import paths
from scripts.fuzz_api.materials import Materials
from server.http.openapi import TOKEN_SCHEME

LEFT_OUT = {
    "positive_data_acceptance": "no description can say that a digest must be there, or that bytes are a picture",
    "object_level_authorization": "what is on an agent belongs to everybody who has a token with the scope for it",
}
"""Checks that mean nothing here, and why."""
REFUSALS = ("503", "507")
"""A job measures, more is asked for than is served, the disk is full: an answer of an agent that is well."""
REAL_NAMES = 0.7
"""Share of requests with a name that leads somewhere; the others have any text."""
EVENTS_MAX = 3
"""Events that are read of a stream."""
REQUEST_TIMEOUT_S = 60.0
STEPS_MAX = 6
TOKEN_VARIABLE = "EDGERUN_FUZZ_TOKEN"
HOOKS = Path(__file__).with_name("hooks.py")


def configuration(materials: Materials, certificate: Path | None) -> str:
    """A schemathesis.toml."""
    document: dict[str, Any] = {
        "hooks": str(HOOKS),
        "request-timeout": REQUEST_TIMEOUT_S,
        "max-stream-events": EVENTS_MAX,
        "continue-on-failure": True,
        "warnings": False,
        "auth": {"openapi": {TOKEN_SCHEME: {"bearer": f"${{{TOKEN_VARIABLE}}}"}}},
        "checks": {
            **{name: {"enabled": False} for name in LEFT_OUT},
            "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", *REFUSALS]},
        },
        "generation": {"database": "none", "with-security-parameters": False},
        "phases": {"stateful": {"max-steps": STEPS_MAX}},
        "dictionaries": {
            **{
                name: {"values": getattr(materials, name)}
                for name in ("models", "jobs", "digests", "tokens", "synthetic")
            },
            "versions": {"values": ["1"]},
        },
        "operations": [
            {"include-path-regex": path, "parameters": {"path.version": _real("versions"), f"path.{name}": _real(what)}}
            for path, name, what in (
                ("^/v[12]/(repository/)?models/", "name", "models"),
                (f"^{paths.TOKENS}/", "name", "tokens"),
                (f"^{paths.SYNTHETIC_MODELS}/", "name", "synthetic"),
                (f"^{paths.JOBS}/", "id", "jobs"),
                ("^/v1/blobs/", "digest", "digests"),
            )
        ],
    }
    if certificate is not None:
        document["tls-verify"] = str(certificate)
    return tomlkit.dumps(document)


def _real(dictionary: str) -> dict[str, Any]:
    return {"dictionary": dictionary, "probability": REAL_NAMES}
