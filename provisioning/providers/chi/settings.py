"""Credentials for CHI@Edge: from OS_* variables, else from clouds.yaml, in the form that python-chi reads."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from provisioning.errors import ProvisioningError
from provisioning.providers.chi.errors import NotAdmitted

AUTH_URL = "https://chi.edge.chameleoncloud.org:5000/v3"
REGION = "CHI@Edge"
DOMAIN = "chameleon"
APPLICATION_CREDENTIAL = "v3applicationcredential"
TYPES = {
    "application_credential": APPLICATION_CREDENTIAL,
    "applicationcredential": APPLICATION_CREDENTIAL,
    "password": "v3password",
    "token": "v3token",
}
"""Names that other OpenStack tools take and that python-chi answers with "auth_url missing"."""
PROJECT = "OS_PROJECT_NAME or OS_PROJECT_ID"
NEEDED = {
    APPLICATION_CREDENTIAL: ("OS_APPLICATION_CREDENTIAL_ID", "OS_APPLICATION_CREDENTIAL_SECRET"),
    "v3password": ("OS_USERNAME", "OS_PASSWORD", PROJECT),
    "v3token": ("OS_TOKEN",),
}
SCOPE = ("OS_PROJECT_", "OS_TENANT_", "OS_DOMAIN_", "OS_USER_DOMAIN_", "OS_USERNAME", "OS_PASSWORD")


def credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """The OS_* variables for python-chi, complete and without what would make it fail.

    Raises NotAdmitted when something is missing, naming it.
    """
    given = {name: value for name, value in environment.items() if name.startswith("OS_") and value}
    clouds, secure = given.pop("OS_CLIENT_CONFIG_FILE", None), given.pop("OS_CLIENT_SECURE_FILE", None)
    if cloud := given.pop("OS_CLOUD", None):
        given = {**_of_cloud(cloud, _files("clouds", clouds), _files("secure", secure)), **given}
    kind = _kind(given)
    if missing := [name for name in NEEDED.get(kind, ()) if not any(map(given.get, name.split(" or ")))]:
        hint = (
            "create an application credential in the CHI@Edge dashboard, download its openrc file, and `source` it; "
            "or set OS_CLOUD to an entry of clouds.yaml"
        )
        raise NotAdmitted(f"no credentials for CHI@Edge: {', '.join(missing)} not set", hint=hint)
    if kind == APPLICATION_CREDENTIAL:  # it has its own scope, and asking for another one is a 401
        given = {name: value for name, value in given.items() if not name.startswith(SCOPE)}
    else:
        given.setdefault("OS_USER_DOMAIN_NAME", DOMAIN)
        given.setdefault("OS_PROJECT_DOMAIN_NAME", DOMAIN)
    given.setdefault("OS_AUTH_URL", AUTH_URL)
    given.setdefault("OS_REGION_NAME", REGION)
    if "OS_CACERT" in given:
        given.setdefault("OS_CAFILE", given["OS_CACERT"])
    return {**given, "OS_AUTH_TYPE": kind}


def _kind(given: Mapping[str, str]) -> str:
    wanted = given.get("OS_AUTH_TYPE")
    if wanted:
        return TYPES.get(wanted.removeprefix("v3"), wanted)
    if "OS_APPLICATION_CREDENTIAL_ID" in given:
        return APPLICATION_CREDENTIAL
    return "v3password" if "OS_PASSWORD" in given else "v3token" if "OS_TOKEN" in given else APPLICATION_CREDENTIAL


def _files(stem: str, named: str | None) -> list[str]:
    """Where clouds.yaml may be, a named one first: openstacksdk's own list keeps the folder it was imported in."""
    folders = (Path.cwd(), Path.home() / ".config" / "openstack", Path("/etc/openstack"))
    usual = [str(folder / f"{stem}.{ending}") for folder in folders for ending in ("yaml", "yml")]
    return [named, *usual] if named else usual


def _of_cloud(name: str, clouds: list[str], secure: list[str]) -> dict[str, str]:
    """An entry of clouds.yaml, which python-chi does not read, as variables; raises ProvisioningError."""
    from openstack.config import OpenStackConfig
    from openstack.exceptions import ConfigException

    try:
        with warnings.catch_warnings(action="ignore"):  # about parts of openstacksdk that are not used here
            files = OpenStackConfig(load_envvars=False, config_files=clouds, secure_files=secure)
            entry: Any = files.get_one(cloud=name).config
    except ConfigException as error:
        hint = "clouds.yaml is looked for in OS_CLIENT_CONFIG_FILE, here, in ~/.config/openstack, and in /etc/openstack"
        raise ProvisioningError(f"OS_CLOUD is {name!r}: {error}", hint=hint) from error
    values = {**entry.get("auth", {}), "auth_type": entry.get("auth_type"), "region_name": entry.get("region_name")}
    values["cacert"] = entry.get("cacert")
    return {f"OS_{key.upper()}": str(value) for key, value in values.items() if value}
