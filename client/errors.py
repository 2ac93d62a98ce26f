"""What can go wrong for a user of the client, each kind with its exit code.

EdgeError
+- HostError          no such host, or none chosen (2)
+- Unreachable        no connection, or no answer in time (3)
+- NotTrusted         the certificate is not the pinned one, or none is pinned (4)
+- AccessDenied       the way there does not let us in (4)
+- Refused            the agent refused the request: a 4xx answer (5)
|  +- NotAuthorized   the token is wrong or missing, or not good for this (4)
+- AgentFault         the agent failed: a 5xx answer (6)
+- BadAnswer          what came is no answer of an edgerun agent (6)
"""

from contract.errors import Problem


class EdgeError(Exception):
    """Base of everything the client raises on purpose; the text says what happened, `hint` what to do."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class HostError(EdgeError):
    """The host is not known, not chosen, or its entry cannot be used."""

    exit_code = 2


class Unreachable(EdgeError):
    """Nothing answered at the address in time."""

    exit_code = 3


class NotTrusted(EdgeError):
    """What answered is not the agent whose certificate was pinned; nothing secret was sent."""

    exit_code = 4


class AccessDenied(EdgeError):
    """A place, or a host on the way there, does not let us in."""

    exit_code = 4


class BadAnswer(EdgeError):
    """What came is not what an edgerun agent answers: too large, malformed, redirected, or about something else."""

    exit_code = 6

    def __init__(self, host: str, reason: str) -> None:
        hint = (
            "compare `client --version` with the agent's in `client doctor`; else it is no edgerun agent that answers"
        )
        super().__init__(f"{host}: the answer is refused: {reason}", hint=hint)


class Malformed(Exception):
    """Why an answer is refused, where the host's name is not known; becomes BadAnswer."""


class Answered(EdgeError):
    """The agent answered with an error; `problem` is what it said."""

    def __init__(self, host: str, problem: Problem) -> None:
        super().__init__(f"{host}: {problem.title}: {problem.detail}", hint=problem.hint)
        self.problem = problem


class Refused(Answered):
    """The agent refused the request."""

    exit_code = 5


class NotAuthorized(Refused):
    """The token is wrong or missing, or has not the scope for this."""

    exit_code = 4


class AgentFault(Answered):
    """The agent could not execute the request."""

    exit_code = 6
