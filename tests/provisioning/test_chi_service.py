"""The site on loopback takes the unmodified python-chi from login to release, by every way of logging in."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chi_at_edge.keystone import PASSWORD, USER
from tests.chi_at_edge.state import PROJECT, STOCK_IMAGE, Testbed
from tests.home import Home

ROOT = Path(__file__).parents[2]
BY_PASSWORD = {
    "OS_AUTH_TYPE": "v3password",
    "OS_USERNAME": USER,
    "OS_PASSWORD": PASSWORD,
    "OS_PROJECT_NAME": PROJECT,
    "OS_USER_DOMAIN_NAME": "chameleon",
    "OS_PROJECT_DOMAIN_NAME": "chameleon",
}


def notebook(student: Home, testbed: Testbed, **variables: str) -> dict[str, Any]:
    environment = {**student.environment, "CHI_RESOURCE_API_URL": testbed.base, **variables}
    command = [sys.executable, "-m", "tests.chi_at_edge.notebook", STOCK_IMAGE, "demo"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("by_password", [False, True])
def test_the_notebooks_flow(student: Home, testbed: Testbed, by_password: bool) -> None:
    """use_site, lease, container, address, files, commands, release; and what is broken in 1.2.10 is still broken.

    When this fails after an upgrade of python-chi, docs/chi-at-edge.md says which way round it may go.
    """
    if by_password:
        for name in ("OS_APPLICATION_CREDENTIAL_ID", "OS_APPLICATION_CREDENTIAL_SECRET"):
            del student.environment[name]
    seen = notebook(student, testbed, **(BY_PASSWORD if by_password else {}))
    assert seen["executed"]["output"] == "42\n"
    assert (seen["failed"], seen["bound"], seen["downloaded"]) == (3, True, ["model.py"])
    assert seen["broken lease helpers"] == ["AttributeError", "TypeError"]
    assert seen["platform_version"] == "InvalidAttribute"
    assert (seen["plain destroy"], seen["snapshot"]) == ("Conflict", "InternalServerError")
    assert (seen["detach"], seen["leaked by detach"]) == ("returned", True)
    assert testbed.left() == ([], [])


@pytest.mark.slow
def test_a_token_that_expired_is_renewed(student: Home, testbed: Testbed) -> None:
    """A lifetime shorter than the flow."""
    testbed.knobs.token_lifetime_s = 0.3
    notebook(student, testbed)
    assert len(testbed.calls("keystone.token")) > 1
