"""Where things are on the agent, and the few header and parameter names both ends must agree on."""

HEALTH_LIVE = "/health/live"
HEALTH_READY = "/health/ready"
INFO = "/v1/info"
LEASE = "/v1/lease"
RUNTIMES = "/v1/runtimes"
CLASSIFY = "/v1/classify"
CLASSIFY_WITH = "/v1/models/{name}/classify"
DETECT_WITH = "/v1/models/{name}/detect"
MODELS = "/v1/models"
MODEL = "/v1/models/{name}"
BLOB = "/v1/blobs/{digest}"
SYNTHETIC_MODELS = "/v1/synthetic-models"
SYNTHETIC_MODEL = "/v1/synthetic-models/{name}"
DEFAULT_MODEL = "/v1/default-model"
OPENAPI = "/openapi.json"
PAGE = "/"
STATIC_PREFIX = "/static/"
STATIC = "/static/{name}"
SESSION_CODES = "/v1/session-codes"
SESSION = "/v1/session"
ACCESS = "/v1/access"
TOKENS = "/v1/tokens"
TOKEN = "/v1/tokens/{name}"
AUDIT = "/v1/audit"

REQUEST_ID_HEADER = "X-Request-ID"
SERVER_TIMING_HEADER = "Server-Timing"

TLS_SERVER_NAME = "agent.edgerun.internal"
"""The name in every agent's own certificate.

The address of a leased device is unknown when the certificate is made, so both ends use this fixed name and
the client trusts one pinned certificate only.
"""

JOBS = "/v1/jobs"
JOB = "/v1/jobs/{id}"
JOB_CANCEL = "/v1/jobs/{id}/cancel"
JOB_EVENTS = "/v1/jobs/{id}/events"
JOB_LOGS = "/v1/jobs/{id}/logs"
JOB_TELEMETRY = "/v1/jobs/{id}/telemetry"
JOB_RESULT = "/v1/jobs/{id}/result"
JOB_ARTIFACTS = "/v1/jobs/{id}/artifacts"
TELEMETRY = "/v1/telemetry"
TELEMETRY_STREAM = "/v1/telemetry/stream"
METRICS = "/metrics"
IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"

V2 = "/v2"
"""Open Inference Protocol: https://github.com/kserve/open-inference-protocol; Triton's extensions beside it."""
V2_LIVE = "/v2/health/live"
V2_READY = "/v2/health/ready"
V2_MODEL = "/v2/models/{name}"
V2_MODEL_READY = "/v2/models/{name}/ready"
V2_MODEL_CONFIG = "/v2/models/{name}/config"
V2_MODEL_STATISTICS = "/v2/models/{name}/stats"
V2_INFER = "/v2/models/{name}/infer"
V2_STATISTICS = "/v2/models/stats"
V2_INDEX = "/v2/repository/index"
V2_LOAD = "/v2/repository/models/{name}/load"
V2_UNLOAD = "/v2/repository/models/{name}/unload"
INFERENCE_HEADER_LENGTH = "Inference-Header-Content-Length"
"""Bytes of the JSON at the beginning of a body that binary tensors follow in."""

ERROR_CODE_HEADER = "Edgerun-Code"
"""The `ErrorCode` of an error under /v2, whose body has no place for it; over gRPC it is in the trailing metadata."""


def of_version(path: str) -> str:
    """The same path of a model with its version named: `/v2/models/{name}/versions/{version}/infer`."""
    return path.replace("{name}", "{name}/versions/{version}")
