"""Error codes alone, importable without pydantic: workers stay small by needing nothing else of the contract."""

from enum import StrEnum


class ErrorCode(StrEnum):
    """Stable machine-readable codes; docs/errors.md explains each."""

    # the request
    INVALID_REQUEST = "invalid_request"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    UNAUTHORIZED = "unauthorized"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    FORBIDDEN_ORIGIN = "forbidden_origin"
    SESSION_CODE_REFUSED = "session_code_refused"
    # pictures
    EMPTY_BODY = "empty_body"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_IMAGES = "too_many_images"
    NOT_AN_IMAGE = "not_an_image"
    TRUNCATED_IMAGE = "truncated_image"
    # models
    UNKNOWN_MODEL = "unknown_model"
    UNKNOWN_BLOB = "unknown_blob"
    WRONG_DIGEST = "wrong_digest"
    NOT_A_MODEL = "not_a_model"
    MODEL_REJECTED = "model_rejected"
    MODEL_CRASHED = "model_crashed"
    MODEL_QUARANTINED = "model_quarantined"
    BAD_LABELS = "bad_labels"
    NOT_A_CLASSIFIER = "not_a_classifier"
    MODEL_PROTECTED = "model_protected"
    RUNTIME_UNAVAILABLE = "runtime_unavailable"
    DEVICE_UNAVAILABLE = "device_unavailable"
    # jobs
    UNKNOWN_JOB = "unknown_job"
    JOB_ACTIVE = "job_active"
    JOB_NOT_ENDED = "job_not_ended"
    NO_RESULT = "no_result"
    RESULT_REMOVED = "result_removed"
    COMMANDS_NOT_ALLOWED = "commands_not_allowed"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    JOBS_FULL = "jobs_full"
    JOB_TOO_LARGE = "job_too_large"
    LEASE_TOO_SHORT = "lease_too_short"
    MEASURING = "measuring"
    # capacity and faults of the agent
    QUEUE_FULL = "queue_full"
    OVERLOADED = "overloaded"
    SHUTTING_DOWN = "shutting_down"
    NOT_READY = "not_ready"
    WORKER_LOST = "worker_lost"
    WORKER_TIMEOUT = "worker_timeout"
    WORKER_OUT_OF_MEMORY = "worker_out_of_memory"
    INFERENCE_FAILED = "inference_failed"
    STORAGE_FULL = "storage_full"
    INTERNAL_ERROR = "internal_error"
