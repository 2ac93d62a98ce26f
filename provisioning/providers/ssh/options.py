"""What `provision up --on ssh://USER@HOST` takes."""

from dataclasses import replace
from pathlib import Path

from provisioning.provider import TUNNEL_OPTION, Option
from provisioning.providers.docker.options import OPTIONS as OF_DOCKER

OPTIONS = (
    Option("ssh-key", "private key to log in with; default: your agent's and ~/.ssh's.", type=Path, must_exist=True),
    Option("known-hosts", "file of trusted host keys; default: ~/.ssh/known_hosts.", type=Path),
    Option("offline", "fetch the device's packages here; it needs no package index.", type=bool),
    Option(TUNNEL_OPTION, "reach the agent through SSH only; it listens on loopback there.", type=bool),
    Option(
        "python-archive",
        "a CPython that runs from any folder (.tar.gz), for a device whose own is too old.",
        type=Path,
        must_exist=True,
        metavar="FILE",
    ),
    *(replace(option, help="the same, in Docker on the device.") for option in OF_DOCKER),
)
