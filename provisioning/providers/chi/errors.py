"""What the services of CHI@Edge say when they refuse, in words that help; python-chi's errors have no common base."""

from collections.abc import Iterator
from contextlib import contextmanager

from client.errors import AccessDenied
from provisioning.errors import ProvisioningError

OVERLOADED = frozenset({502, 503, 504})
NO_CONNECTION = frozenset(
    {"ConnectFailure", "ConnectTimeout", "ConnectionFailed", "ConnectionRefused", "RetriableConnectionFailure"}
    | {"SSLError", "UnknownConnectionError", "RequestTimeout", "ReadTimeout"}
)
NO_ADDRESS = frozenset(
    {"IpAddressGenerationFailureClient", "IpAddressGenerationFailure", "ExternalIpAddressExhausted"}
    | {"ExternalIpAddressExhaustedClient", "OverQuota", "OverQuotaClient", "NoMoreAddresses"}
)
NO_CREDENTIALS = frozenset(
    {"Unauthorized", "MissingRequiredOptions", "MissingAuthPlugin", "NoMatchingPlugin", "MissingAuthMethods"}
)

LATE_S = 5.0
"""After which a call that was cut off has either taken effect or never will."""


class NotAdmitted(AccessDenied, ProvisioningError):
    """The site does not accept the credentials, or there are none."""


class SiteUnreachable(ProvisioningError):
    """Nothing answered at the site in time; what was asked for may have happened all the same."""

    exit_code = 3


def status_of(error: BaseException) -> int | None:
    """The HTTP status that a client's error carries."""
    details = getattr(error, "kwargs", None)  # blazarclient keeps it there, and 500 for everything in `code`
    given = details.get("code") if isinstance(details, dict) else None
    for value in (given, *(getattr(error, name, None) for name in ("http_status", "status_code", "code"))):
        if isinstance(value, int) and value > 0:
            return value
    return None


def is_missing(error: BaseException) -> bool:
    """Whether it means that the thing is not there (any more).

    Keystone answers 404 too, for an application credential that was deleted and for a revoked token.
    """
    return status_of(error) == 404 and not is_about_identity(error)


def took_effect_perhaps(error: ProvisioningError) -> bool:
    """Whether what a call asked for may be there although it failed: no answer came, or one about the site's fault."""
    cause = error.__cause__
    return isinstance(error, SiteUnreachable) or (cause is not None and (status_of(cause) or 0) >= 500)


def is_about_identity(error: BaseException) -> bool:
    """Whether it comes from logging in, which any call may do again, and not from the service that was asked.

    The clients of containers, leases and addresses raise errors of their own; keystoneauth raises for Keystone.
    """
    return type(error).__module__.partition(".")[0] == "keystoneauth1"


def explained(error: Exception, doing: str) -> ProvisioningError:
    """A client's error as a line about what was being done, and what to do next."""
    kind, status = type(error).__name__, status_of(error)
    said = " ".join(str(error).split()) or kind
    if kind in NO_CONNECTION or status in OVERLOADED:
        hint = "check the network and OS_AUTH_URL; if the site is slow, EDGERUN_CHI_TIMEOUT is the seconds it is given"
        return SiteUnreachable(f"{doing}: the site does not answer: {said}", hint=hint)
    if kind in NO_CREDENTIALS or status == 401 or (is_about_identity(error) and status in (400, 403, 404)):
        hint = (
            "they may have been deleted or have run out: create an application credential in the CHI@Edge dashboard "
            "and export what its openrc file holds: OS_AUTH_TYPE, OS_AUTH_URL, OS_APPLICATION_CREDENTIAL_ID, "
            "OS_APPLICATION_CREDENTIAL_SECRET"
        )
        return NotAdmitted(f"{doing}: the credentials are not accepted: {said}", hint=hint)
    if kind in NO_ADDRESS or "No more IP addresses" in said or "ExternalIpAddressExhausted" in said:
        hint = "`provision orphans` shows what holds addresses; the dashboard releases those that nobody needs"
        return ProvisioningError(f"{doing}: no floating address is free: {said}", hint=hint)
    if kind == "EndpointNotFound":
        return ProvisioningError(f"{doing}: {said}", hint="is OS_REGION_NAME the site's name, CHI@Edge?")
    if status == 403 and "quota" in said.lower():
        hint = "`provision list` and `provision orphans` show what you hold; the dashboard shows the project's quota"
        return ProvisioningError(f"{doing}: the project's quota is used up: {said}", hint=hint)
    if status == 403:
        return NotAdmitted(f"{doing}: not allowed: {said}", hint="is this the project that holds the lease?")
    if status == 413:
        return ProvisioningError(f"{doing}: too large for the site: {said}", hint="fetch it from within the device")
    if status == 404:
        hint = "did its lease end, or did somebody delete it? `provision status` and `provision leases` tell"
        return ProvisioningError(f"{doing}: {said}", hint=hint)
    return ProvisioningError(f"{doing}: {said}", hint="try again; if it stays, the site's status page may know")


@contextmanager
def translate_errors(doing: str) -> Iterator[None]:
    """Turn whatever a client raises into a ProvisioningError about what was being done."""
    try:
        yield
    except ProvisioningError:
        raise
    except Exception as error:
        raise explained(error, doing) from error
