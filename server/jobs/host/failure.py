"""The one error of a job's process."""


class JobFailed(Exception):
    """The work cannot be done; `code` is an ErrorCode or one of JobError's own words."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
