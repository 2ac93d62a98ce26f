"""The unit of the user's systemd, on a board that systemd-nspawn boots: it lasts without a login, until `down`."""

import json
from pathlib import Path

import pytest

from image_model.catalog import SAMPLES_FOLDER
from tests.agents import wait_for
from tests.home import Home
from tests.provisioning import wheelhouse
from tests.provisioning.systemd_board import Board, board

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
UNITS = Path(".config/systemd/user")


class User(Home):
    """Somebody who puts agents on the board, with the wheels for it."""

    def __init__(self, folder: Path, there: Board, wheels: dict[str, str]) -> None:
        super().__init__(folder)
        self.there = there
        self.wheels = wheels

    def up(self, name: str) -> None:
        """Bring up an agent, as a unit."""
        done = self.provision(
            "up", *self.there.device.on, "--name", name, "--model", "none", "--offline", **self.wheels
        )
        assert done.returncode == 0, done.stderr
        state = json.loads((self.folder / "state" / "edgerun" / "deployments" / f"{name}.json").read_text())
        assert state["resources"]["unit"] == f"edgerun-{name}.service"

    def systemctl(self, name: str, *words: str) -> str:
        """What the user's systemd there says."""
        done = self.provision("exec", name, "--", "systemctl", "--user", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def answers(self, name: str) -> bool:
        """Whether an agent classifies; nobody logs in for that."""
        done = self.client("classify", str(SAMPLES_FOLDER / "digit-3.png"), "--host", name, "-o", "json")
        return done.returncode == 0

    def down(self, name: str) -> None:
        """Remove an agent."""
        done = self.provision("down", name)
        assert done.returncode == 0, done.stderr


def test_units_of_a_board(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A unit verifies, restarts after kill -9, outlives the `down` of another that had arranged for it to go on without
    a login, returns after a reboot, and leaves nothing after its own."""
    wheels = wheelhouse.fill(tmp_path_factory.mktemp("wheels"))
    with board() as there:
        user = User(tmp_path, there, wheels)
        user.up("first")
        unit = there.device.home / UNITS / "edgerun-first.service"
        verified = user.provision("exec", "first", "--", "systemd-analyze", "--user", "verify", str(unit))
        assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")

        before = user.systemctl("first", "show", "--property=MainPID", "--value", "edgerun-first.service")
        user.systemctl("first", "kill", "--signal=KILL", "--kill-who=main", "edgerun-first.service")
        wait_for(lambda: user.answers("first"))
        assert user.systemctl("first", "show", "--property=MainPID", "--value", "edgerun-first.service") != before

        user.up("second")
        user.down("first")
        assert [path.name for path in there.lingering.iterdir()] == ["board"]
        wait_for(lambda: not there.logins())  # with the last of which all ends that does not linger
        assert user.answers("second")

        there.reboot()
        assert there.logins() == []
        wait_for(lambda: user.answers("second"))

        user.down("second")
        assert list(there.lingering.iterdir()) == []
        wait_for(lambda: not there.logins() and not there.device.processes())
        assert [path for path in there.device.home.rglob("*") if not path.is_dir()] == []
