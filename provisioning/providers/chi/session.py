"""python-chi and the clients under it: the one place that imports them, configures them, and knows their traps."""

import functools
import logging
import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from provisioning.errors import ProvisioningError
from provisioning.providers.chi.clock import SITE_CLOCK
from provisioning.providers.chi.errors import translate_errors
from provisioning.providers.chi.retry import repeat, seconds_of
from provisioning.providers.chi.settings import credentials

TIMEOUT_VARIABLE = "EDGERUN_CHI_TIMEOUT"
TIMEOUT_S = 90.0
"""For one call; python-chi sets none, and a stalled service would hold it for ever. Longer than the minute after which
the site itself gives up on an archive."""
SERVICES = {"reservation": "leases", "container": "containers", "network": "addresses"}


@dataclass(frozen=True)
class Site:
    """The services of CHI@Edge, ready to be called. No call is repeated by itself: a repeated create makes two."""

    zun: Any
    blazar: Any
    neutron: Any


def open_site() -> Site:
    """Log in, once a process, and check that leases, containers and addresses can be reached.

    Raises ProvisioningError.
    """
    if find_spec("chi") is None:
        raise _missing("it is not installed")
    return _opened(tuple(sorted(credentials(os.environ).items())))


@functools.cache
def _opened(variables: tuple[tuple[str, str], ...]) -> Site:
    for name in [name for name in os.environ if name.startswith("OS_")]:
        del os.environ[name]
    os.environ.update(variables)  # python-chi reads them when it is imported
    chi = _import_chi()
    chi.reset()
    chi.set("timeout", seconds_of(TIMEOUT_VARIABLE, TIMEOUT_S))
    chi.set("connect_retries", 0)
    session = chi.session()
    with translate_errors("logging in to CHI@Edge"):
        repeat(session.get_token)
        if (issued := session.session.auth.get_access(session.session).issued) is not None:
            SITE_CLOCK.compare(issued)
    urls = {kind: _endpoint(session, kind, what) for kind, what in SERVICES.items()}
    from zunclient.client import Client as Zun

    with translate_errors("opening the services of CHI@Edge"):
        # chi.zun() ignores the region and calls every failure "Not authorized".
        zun = Zun(chi.clients.ZUN_API_VERSION, session=session, endpoint_override=urls["container"])
        return Site(zun, chi.blazar(), chi.neutron())


def _import_chi() -> Any:
    logging.getLogger("neutronclient").setLevel(logging.CRITICAL)  # says at every start that it will go away one day
    logging.getLogger("keystoneauth").setLevel(logging.CRITICAL)
    try:
        import chi
        from zunclient.v1 import containers
    except ImportError as error:
        raise _missing(str(error)) from error
    if "device_profiles" not in containers.CREATION_ATTRIBUTES:  # what Chameleon's own fork adds
        containers.CREATION_ATTRIBUTES.append("device_profiles")
    return chi


def _missing(why: str) -> ProvisioningError:
    hint = "scripts/setup chi installs them; elsewhere: pip install -c constraints.txt 'edgerun[chi]'"
    return ProvisioningError(f"CHI@Edge needs python-chi and its clients: {why}", hint=hint)


def _endpoint(session: Any, kind: str, what: str) -> str:
    with translate_errors(f"looking for the service of {what}"):
        region = session.region_name
        url = session.session.get_endpoint(service_type=kind, region_name=region, interface="public")
    if not url:
        hint = "is OS_REGION_NAME the site's name (CHI@Edge), and do the credentials belong to this site?"
        raise ProvisioningError(f"the site has no service of {what} in region {region!r}", hint=hint)
    return str(url)
