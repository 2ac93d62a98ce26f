"""The CHI@Edge provider without the command around it; python-chi runs in this process."""

import pytest

from client.errors import EdgeError
from provisioning.deployments import Deployment
from provisioning.errors import ProvisioningError
from provisioning.providers.chi.provider import ChiProvider
from tests.chi_at_edge.state import AGENT_IMAGE, Testbed

NOTHING: tuple[list[str], list[str]] = ([], [])


class Trial:
    """One deployment that is made and removed without the command around it."""

    def __init__(self, testbed: Testbed, **options: object) -> None:
        name = str(options.pop("name", "edge1"))
        self.testbed = testbed
        self.provider = ChiProvider()
        self.deployment = Deployment(name, "chi", {"lease": "demo", "image": AGENT_IMAGE, **options}, "a token")
        self.said: list[str] = []

    def up(self) -> None:
        self.provider.create(self.deployment, lambda: None, self.said.append)

    def down(self) -> None:
        self.provider.destroy(self.deployment, lambda: None, self.said.append)

    def fails(self, complaint: str, kind: type[EdgeError] = ProvisioningError) -> EdgeError:
        """`up` fails with a word about it, and `down` leaves nothing."""
        with pytest.raises(kind, match=complaint) as caught:
            self.up()
        self.down()
        assert self.testbed.left() == NOTHING
        return caught.value


def creates(testbed: Testbed) -> tuple[int, int]:
    return len(testbed.calls("zun.create")), len(testbed.calls("neutron.create"))
