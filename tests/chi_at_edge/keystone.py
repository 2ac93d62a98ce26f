"""Keystone: tokens for application credentials, passwords and tokens, with the catalog; and the list of sites."""

from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from tests.chi_at_edge.requests import Refusal
from tests.chi_at_edge.state import PROJECT, Testbed

REGION = "CHI@Edge"
USER, PASSWORD = "student", "loopback password"
SERVICES = {
    "identity": "/edge:5000/v3",
    "reservation": "/reservation/v1",
    "container": "/container/v1",
    "network": "/network",
}


class Keystone:
    """Who may use the site."""

    def __init__(self, testbed: Testbed) -> None:
        self._testbed = testbed
        self.router = APIRouter()
        self.router.add_api_route("/sites.json", self.sites)
        self.router.add_api_route("/edge:5000/v3/auth/tokens", self.token, methods=["POST"])

    def sites(self) -> dict[str, Any]:
        """Where the site is; ":5000/v3" is appended to `web`."""
        site = {"name": REGION, "site_class": "edge", "web": f"{self._testbed.base}/edge"}
        return {"items": [{**site, "location": "loopback", "user_support_contact": "nobody"}]}

    async def token(self, request: Request) -> JSONResponse:
        """A token, for the right words."""
        auth = (await request.json())["auth"]
        identity = auth["identity"]
        method = identity["methods"][0]
        if method == "application_credential" and "scope" in auth:
            raise _unauthorized("Application credentials cannot request a scope.")
        self._require_right(method, identity[method])
        now = self._testbed.now()
        times = [_stamp(now), _stamp(now + timedelta(seconds=self._testbed.knobs.token_lifetime_s))]
        token = {
            "methods": [method],
            "user": {"id": "user", "name": USER, "domain": {"id": "chameleon", "name": "chameleon"}},
            "project": {"id": "project", "name": PROJECT, "domain": {"id": "chameleon", "name": "chameleon"}},
            "roles": [{"id": "member", "name": "member"}],
            "issued_at": times[0],
            "expires_at": times[1],
            "audit_ids": ["loopback"],
            "catalog": [self._entry(kind, path) for kind, path in SERVICES.items()],
        }
        return JSONResponse({"token": token}, 201, {"X-Subject-Token": self._testbed.new_token()})

    def _require_right(self, method: str, given: dict[str, Any]) -> None:
        """Raise what Keystone 30 answers: 404 for a credential or token that is not there any more, else 401."""
        if method == "application_credential":
            if given["id"] != "loopback" or self._testbed.knobs.credential_deleted:
                raise Refusal("keystone", 404, f"Could not find Application Credential: {given['id']}.", "Not Found")
            right = given["secret"] == "loopback secret"
        elif method == "password":
            right = (given["user"]["name"], given["user"]["password"]) == (USER, PASSWORD)
        elif method == "token" and given["id"] not in self._testbed.tokens:
            raise Refusal("keystone", 404, "Failed to validate token", "Not Found")
        else:
            right = method == "token"
        if not right:
            raise _unauthorized("The request you have made requires authentication.")

    def _entry(self, kind: str, path: str) -> dict[str, Any]:
        url = self._testbed.base + path
        endpoint = {"interface": "public", "region": REGION, "region_id": REGION, "url": url, "id": kind}
        return {"type": kind, "name": kind, "id": kind, "endpoints": [endpoint]}


def _unauthorized(message: str) -> Refusal:
    return Refusal("keystone", 401, message, "Unauthorized")


def _stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
