"""Credentials as people have them become what python-chi reads."""

from pathlib import Path

import pytest

from provisioning.errors import ProvisioningError
from provisioning.providers.chi.errors import NotAdmitted
from provisioning.providers.chi.leases import _device
from provisioning.providers.chi.settings import AUTH_URL, credentials

CREDENTIAL = {"OS_APPLICATION_CREDENTIAL_ID": "id", "OS_APPLICATION_CREDENTIAL_SECRET": "secret"}
PASSWORD = {"OS_USERNAME": "me", "OS_PASSWORD": "secret", "OS_PROJECT_NAME": "project"}


def test_an_application_credential_is_enough() -> None:
    """The site is known."""
    assert credentials(CREDENTIAL) == {
        **CREDENTIAL,
        "OS_AUTH_TYPE": "v3applicationcredential",
        "OS_AUTH_URL": AUTH_URL,
        "OS_REGION_NAME": "CHI@Edge",
    }


def test_an_application_credential_asks_for_no_scope() -> None:
    """Keystone refuses one."""
    given = credentials({**CREDENTIAL, **PASSWORD, "OS_PROJECT_DOMAIN_NAME": "chameleon", "OS_TENANT_NAME": "x"})
    assert not [name for name in given if name.startswith(("OS_PROJECT", "OS_TENANT", "OS_USERNAME", "OS_PASSWORD"))]


@pytest.mark.parametrize(
    ("kind", "read"), [("password", "v3password"), ("v3password", "v3password"), ("", "v3password")]
)
def test_names_of_other_tools_are_understood(kind: str, read: str) -> None:
    """python-chi takes `password` for a missing auth_url."""
    given = credentials({**PASSWORD, "OS_AUTH_TYPE": kind, "OS_CACERT": "ca.pem"})
    assert (given["OS_AUTH_TYPE"], given["OS_PROJECT_DOMAIN_NAME"], given["OS_CAFILE"]) == (read, "chameleon", "ca.pem")


def test_a_project_may_be_named_by_its_id() -> None:
    """As openrc files of other sites do."""
    given = credentials({"OS_USERNAME": "me", "OS_PASSWORD": "secret", "OS_PROJECT_ID": "p"})
    assert (given["OS_AUTH_TYPE"], given["OS_PROJECT_ID"]) == ("v3password", "p")


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "OS_APPLICATION_CREDENTIAL_ID, OS_APPLICATION_CREDENTIAL_SECRET not set"),
        ({"OS_AUTH_TYPE": "v3token"}, "OS_TOKEN not set"),
        ({"OS_AUTH_TYPE": "password", "OS_USERNAME": "me"}, "OS_PASSWORD, OS_PROJECT_NAME or OS_PROJECT_ID not set"),
    ],
)
def test_what_is_missing_is_named(given: dict[str, str], missing: str) -> None:
    """Before anything is imported."""
    with pytest.raises(NotAdmitted, match=missing):
        credentials(given)


def test_clouds_yaml_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """python-chi ignores it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clouds.yaml").write_text(
        "clouds:\n  edge:\n    auth_type: v3applicationcredential\n    region_name: CHI@Edge\n    auth:\n"
        "      auth_url: https://192.0.2.1:5000/v3\n      application_credential_id: id\n"
        "      application_credential_secret: secret\n"
    )
    given = credentials({"OS_CLOUD": "edge"})
    assert given["OS_AUTH_URL"] == "https://192.0.2.1:5000/v3"
    assert {name: given[name] for name in CREDENTIAL} == CREDENTIAL
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text((tmp_path / "clouds.yaml").read_text().replace("192.0.2.1", "192.0.2.2"))
    named = credentials({"OS_CLOUD": "edge", "OS_CLIENT_CONFIG_FILE": str(elsewhere)})
    assert named["OS_AUTH_URL"] == "https://192.0.2.2:5000/v3"
    with pytest.raises(ProvisioningError, match="OS_CLOUD is 'nosuch'"):
        credentials({"OS_CLOUD": "nosuch"})


@pytest.mark.parametrize(
    ("properties", "device"),
    [('["==", "$machine_name", "raspberrypi4-64"]', "raspberrypi4-64"), ("", None), (None, None), ("[]", None)],
)
def test_the_device_is_read_from_the_reservation(properties: str | None, device: str | None) -> None:
    """Where it tells."""
    assert _device(properties) == device
