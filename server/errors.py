"""Faults of the agent's domain, and the one table that turns their codes into HTTP."""

from dataclasses import dataclass
from http import HTTPStatus

from contract.codes import ErrorCode
from contract.errors import PROBLEM_MEDIA_TYPE, Problem
from contract.text import visible

PROBLEM_TYPE_PREFIX = "urn:edgerun:problem:"


@dataclass(frozen=True)
class Fault:
    """What a code means over HTTP, and what the reader can do about it."""

    status: HTTPStatus
    title: str
    hint: str | None = None
    retry_after_s: int | None = None


FAULTS: dict[ErrorCode, Fault] = {
    ErrorCode.INVALID_REQUEST: Fault(HTTPStatus.UNPROCESSABLE_ENTITY, "The request is not valid"),
    ErrorCode.NOT_FOUND: Fault(HTTPStatus.NOT_FOUND, "There is nothing at this path"),
    ErrorCode.METHOD_NOT_ALLOWED: Fault(HTTPStatus.METHOD_NOT_ALLOWED, "This path does not take this method"),
    ErrorCode.UNAUTHORIZED: Fault(
        HTTPStatus.UNAUTHORIZED,
        "A valid token is needed",
        "send the header 'Authorization: Bearer TOKEN'; `client hosts test` checks the one stored",
    ),
    ErrorCode.TOO_MANY_ATTEMPTS: Fault(
        HTTPStatus.TOO_MANY_REQUESTS,
        "Too many wrong tokens or codes",
        "wait a minute; a request with the right one is answered at once",
        retry_after_s=60,
    ),
    ErrorCode.FORBIDDEN_ORIGIN: Fault(HTTPStatus.FORBIDDEN, "Requests from other web sites are refused"),
    ErrorCode.SESSION_CODE_REFUSED: Fault(
        HTTPStatus.FORBIDDEN,
        "This code opens nothing",
        "`client open` gives a new one; each is good once and for a few minutes",
    ),
    ErrorCode.SCOPE_MISSING: Fault(HTTPStatus.FORBIDDEN, "The token is not good for this"),
    ErrorCode.UNKNOWN_TOKEN: Fault(
        HTTPStatus.NOT_FOUND, "The agent has no such token", "`client tokens ls` lists all by name"
    ),
    ErrorCode.TOKEN_EXISTS: Fault(
        HTTPStatus.CONFLICT, "A token has this name", "choose another name, or `client tokens revoke NAME` first"
    ),
    ErrorCode.TOKENS_FULL: Fault(
        HTTPStatus.CONFLICT, "There are too many tokens", "`client tokens revoke NAME` those that nobody uses"
    ),
    ErrorCode.TOKENS_NOT_USED: Fault(
        HTTPStatus.CONFLICT,
        "This agent has no tokens",
        "whoever can log in to its machine may do everything; start it with EDGERUN_TOKEN_SHA256 for tokens",
    ),
    ErrorCode.LAST_ADMIN: Fault(
        HTTPStatus.CONFLICT,
        "Nobody could make tokens any more",
        "make another first: `client tokens create NAME --scope admin`, or `client tokens rotate` does both",
    ),
    ErrorCode.EMPTY_BODY: Fault(
        HTTPStatus.BAD_REQUEST,
        "The request has no body",
        "send the picture file itself as the body: curl --data-binary @picture.jpg",
    ),
    ErrorCode.TOO_MANY_BYTES: Fault(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large"),
    ErrorCode.TOO_MANY_PIXELS: Fault(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "The picture has too many pixels",
        "make the picture smaller before sending it; the model reads far fewer pixels",
    ),
    ErrorCode.TOO_MANY_IMAGES: Fault(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Too many pictures in one request"),
    ErrorCode.NOT_AN_IMAGE: Fault(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body is not a picture the agent reads", "send JPEG, PNG or WebP bytes"
    ),
    ErrorCode.TRUNCATED_IMAGE: Fault(
        HTTPStatus.BAD_REQUEST,
        "The picture is cut off or damaged",
        "open the file in a viewer, or send it again if the upload was cut off",
    ),
    ErrorCode.UNKNOWN_MODEL: Fault(
        HTTPStatus.NOT_FOUND,
        "The agent holds no such model",
        "GET /v1/models lists what is there; `client models pull NAME` brings a known model",
    ),
    ErrorCode.UNKNOWN_BLOB: Fault(HTTPStatus.NOT_FOUND, "The agent holds no such file"),
    ErrorCode.WRONG_DIGEST: Fault(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The bytes do not have the digest they were sent under",
        "send the file again; if it fails again, compute its SHA-256 anew",
    ),
    ErrorCode.NOT_A_MODEL: Fault(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The file is not a model of its format",
        "tflite: byte 4 to 7 must read TFL3; openvino: the .xml; onnx: a ModelProto",
    ),
    ErrorCode.MODEL_REJECTED: Fault(HTTPStatus.UNPROCESSABLE_ENTITY, "No installed runtime can run the model"),
    ErrorCode.MODEL_CRASHED: Fault(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The model crashed the process that tried it",
        "the file is damaged or made for another runtime; convert it again",
    ),
    ErrorCode.MODEL_QUARANTINED: Fault(
        HTTPStatus.CONFLICT,
        "The model crashed its workers too often",
        "upload it again after repairing it, or choose another runtime",
    ),
    ErrorCode.BAD_LABELS: Fault(HTTPStatus.UNPROCESSABLE_ENTITY, "The label file cannot be read"),
    ErrorCode.NOT_A_CLASSIFIER: Fault(HTTPStatus.UNPROCESSABLE_ENTITY, "The model does not classify pictures"),
    ErrorCode.NOT_A_DETECTOR: Fault(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The model does not find objects in pictures",
        "`client models show NAME` tells its task; `client models push --task detection` declares another",
    ),
    ErrorCode.TAKES_NO_IMAGE: Fault(
        HTTPStatus.UNPROCESSABLE_ENTITY, "The model takes no picture", "send tensors, or measure it with random input"
    ),
    ErrorCode.ANSWER_TOO_LARGE: Fault(HTTPStatus.UNPROCESSABLE_ENTITY, "The answer does not fit into one reply"),
    ErrorCode.MODEL_PROTECTED: Fault(HTTPStatus.CONFLICT, "This model cannot be changed"),
    ErrorCode.RUNTIME_UNAVAILABLE: Fault(HTTPStatus.UNPROCESSABLE_ENTITY, "The runtime cannot be used"),
    ErrorCode.DEVICE_UNAVAILABLE: Fault(
        HTTPStatus.UNPROCESSABLE_ENTITY, "No runtime can use the device", "AUTO takes what is there"
    ),
    ErrorCode.INVALID_TENSOR: Fault(
        HTTPStatus.BAD_REQUEST,
        "The request does not fit the protocol or the model",
        "GET /v2/models/NAME tells names, datatypes and shapes",
    ),
    ErrorCode.UNSUPPORTED_CODING: Fault(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "The body is compressed in a way the agent does not read",
        "send it as it is, or with Content-Encoding gzip or deflate",
    ),
    ErrorCode.MODEL_UNLOADED: Fault(
        HTTPStatus.BAD_REQUEST, "The model is unloaded", "POST /v2/repository/models/{name}/load brings it back"
    ),
    ErrorCode.UNKNOWN_JOB: Fault(HTTPStatus.NOT_FOUND, "The agent has no such job", "GET /v1/jobs lists all"),
    ErrorCode.JOB_ACTIVE: Fault(
        HTTPStatus.CONFLICT, "The job has not ended", "cancel it first: POST /v1/jobs/{id}/cancel"
    ),
    ErrorCode.JOB_NOT_ENDED: Fault(
        HTTPStatus.CONFLICT,
        "The job has no result yet",
        "GET /v1/jobs/{id} tells how far it is",
        retry_after_s=1,
    ),
    ErrorCode.NO_RESULT: Fault(HTTPStatus.NOT_FOUND, "The job left nothing of this kind"),
    ErrorCode.RESULT_REMOVED: Fault(
        HTTPStatus.GONE,
        "What the job left was removed to stay within the quota",
        "fetch results sooner, or start the agent with a larger --max-jobs-bytes",
    ),
    ErrorCode.COMMANDS_NOT_ALLOWED: Fault(
        HTTPStatus.FORBIDDEN,
        "This agent does not run commands",
        "start it with --allow-commands on, or `provision up --allow-commands`",
    ),
    ErrorCode.IDEMPOTENCY_CONFLICT: Fault(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The Idempotency-Key was used for another request",
        "use a new key for a new job",
    ),
    ErrorCode.JOBS_FULL: Fault(
        HTTPStatus.TOO_MANY_REQUESTS,
        "Too many jobs wait",
        "wait until some have ended, cancel some with `client jobs cancel ID`, or raise --max-queued-jobs",
        retry_after_s=60,
    ),
    ErrorCode.JOB_TOO_LARGE: Fault(
        HTTPStatus.UNPROCESSABLE_ENTITY, "The job needs more than one may have here", "ask for less of what it names"
    ),
    ErrorCode.LEASE_TOO_SHORT: Fault(
        HTTPStatus.CONFLICT,
        "The device is taken away before the job can be done",
        "ask for less, or extend the lease: `provision lease extend` tells the agent",
    ),
    ErrorCode.MEASURING: Fault(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "A measuring job has the device for itself",
        "send again when it is through; `client jobs ls` shows it",
        retry_after_s=5,
    ),
    ErrorCode.QUEUE_FULL: Fault(
        HTTPStatus.TOO_MANY_REQUESTS,
        "Too many requests are waiting",
        "send again after the seconds in Retry-After, or send fewer at a time",
        retry_after_s=1,
    ),
    ErrorCode.OVERLOADED: Fault(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The device has more to do than it can",
        "send again after the seconds in Retry-After, or send fewer at a time",
        retry_after_s=2,
    ),
    ErrorCode.SHUTTING_DOWN: Fault(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The agent is shutting down",
        "send again when the agent is back",
        retry_after_s=5,
    ),
    ErrorCode.NOT_READY: Fault(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The agent is not ready yet",
        "GET /health/ready tells when it is",
        retry_after_s=1,
    ),
    ErrorCode.WORKER_LOST: Fault(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The worker process died",
        "send again: a new worker is starting",
        retry_after_s=1,
    ),
    ErrorCode.WORKER_TIMEOUT: Fault(HTTPStatus.GATEWAY_TIMEOUT, "The worker process took too long"),
    ErrorCode.WORKER_OUT_OF_MEMORY: Fault(HTTPStatus.SERVICE_UNAVAILABLE, "The worker process needed too much memory"),
    ErrorCode.INFERENCE_FAILED: Fault(HTTPStatus.INTERNAL_SERVER_ERROR, "The model could not be run on this picture"),
    ErrorCode.STORAGE_FULL: Fault(
        HTTPStatus.INSUFFICIENT_STORAGE, "The agent's disk is full", "remove models with `client models rm NAME`"
    ),
    ErrorCode.INTERNAL_ERROR: Fault(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The agent made a mistake",
        "the agent's log has the details under this request id",
    ),
}


class AgentError(Exception):
    """A request that cannot be answered as asked: a code, what happened, and what to do about it."""

    def __init__(
        self,
        code: ErrorCode,
        detail: str,
        *,
        hint: str | None = None,
        headers: dict[str, str] | None = None,
        errors: list[dict[str, object]] | None = None,
    ) -> None:
        self.detail = visible(detail, keep="\n\t")
        super().__init__(self.detail)
        self.code = code
        self.hint = hint or FAULTS[code].hint
        self.headers = headers or {}
        self.errors = errors

    @property
    def status(self) -> int:
        """The HTTP status of the code."""
        return FAULTS[self.code].status


def as_problem(error: AgentError, *, instance: str, request_id: str) -> Problem:
    """The wire form of an error."""
    return Problem(
        type=PROBLEM_TYPE_PREFIX + error.code,
        title=FAULTS[error.code].title,
        status=error.status,
        detail=error.detail,
        instance=instance,
        code=error.code,
        hint=error.hint,
        request_id=request_id,
        errors=error.errors,
    )


def as_http(error: AgentError, *, instance: str, request_id: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an error answer, for whichever layer sends it."""
    headers = {"content-type": PROBLEM_MEDIA_TYPE, **error.headers}
    if (seconds := FAULTS[error.code].retry_after_s) is not None:
        headers.setdefault("retry-after", str(seconds))
    if error.code is ErrorCode.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="edgerun"'
    body = as_problem(error, instance=instance, request_id=request_id).model_dump_json(exclude_none=True)
    return error.status, headers, body.encode()
