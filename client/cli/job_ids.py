"""Ids of jobs as they are typed: the whole of it, or as many of its first characters as tell it from the others."""

from collections.abc import Iterator

from client.errors import EdgeError, Refused
from client.sdk.edge_client import EdgeClient
from contract.codes import ErrorCode
from contract.jobs import PAGE_MAX

SHOWN_MAX = 5
PAGES_MAX = 200


class AmbiguousId(EdgeError):
    """Several jobs have an id that begins like this."""

    exit_code = 2


def full_id(client: EdgeClient, typed: str) -> str:
    """The id of the one job whose id is this, or begins like this; raises EdgeError."""
    try:
        return client.job(typed).id
    except Refused as error:
        if error.problem.code != ErrorCode.UNKNOWN_JOB:
            raise
        found = [job_id for job_id in _ids(client) if job_id.startswith(typed)]
        if not found:
            raise
    if len(found) > 1:
        listed = ", ".join(found[:SHOWN_MAX]) + (f" and {len(found) - SHOWN_MAX} more" if found[SHOWN_MAX:] else "")
        raise AmbiguousId(f"{client.host.name}: {len(found)} jobs have an id that begins with {typed}: {listed}")
    return found[0]


def _ids(client: EdgeClient) -> Iterator[str]:
    before: int | None = None
    for _ in range(PAGES_MAX):  # an agent that has always one more ends here
        page = client.jobs(PAGE_MAX, before)
        yield from (job.id for job in page.jobs)
        before = page.next
        if before is None:
            return
