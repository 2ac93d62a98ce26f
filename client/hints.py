"""What to do about an agent's refusal, for who types commands: an agent's own hints are for any program."""

from collections.abc import Mapping

from client.errors import Answered, EdgeError
from contract.codes import ErrorCode

HINTS: Mapping[str, str] = {
    ErrorCode.UNAUTHORIZED: "`client hosts add NAME URL` asks for the right token and replaces the one that is kept",
    ErrorCode.EMPTY_BODY: "the file is empty",
    ErrorCode.UNKNOWN_MODEL: "`client models ls` lists what is there; `client models pull NAME` brings a known model",
    ErrorCode.UNKNOWN_BLOB: "`client models push FILE` sends the model again",
    ErrorCode.INVALID_TENSOR: "`client models show NAME` tells names, types and shapes",
    ErrorCode.UNKNOWN_JOB: "`client jobs ls` lists those that are there",
    ErrorCode.MODEL_UNLOADED: "somebody unloaded it over the Open Inference Protocol, which can load it again",
    ErrorCode.NOT_READY: "`client doctor` tells when it is",
    ErrorCode.JOB_ACTIVE: "`client jobs cancel ID` ends it",
    ErrorCode.JOB_NOT_ENDED: "`client jobs wait ID` waits for its end",
    ErrorCode.QUEUE_FULL: "try again in a moment, or send fewer at a time",
    ErrorCode.OVERLOADED: "try again in a moment, or send fewer at a time",
}
"""By code, where the agent's hint names a request or a header. A test finds those that are missing."""


def hint_of(error: EdgeError) -> str | None:
    """What to do next; None where nothing is known."""
    if isinstance(error, Answered):
        return HINTS.get(error.problem.code, error.hint)
    return error.hint
