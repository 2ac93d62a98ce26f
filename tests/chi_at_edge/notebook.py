"""The teaching notebook's flow with python-chi alone, from login to release, run by tests as a program of its own.

It prints a JSON document of what each step gave. edgerun's provider takes other ways where these are broken.
"""

import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chi
from chi import container, lease, network


def outcome(call: Callable[[], Any]) -> str:
    """The name of what a call raises, or `returned`."""
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "returned"


def main() -> dict[str, Any]:
    """The flow; image and lease are given on the command line."""
    image, lease_name = sys.argv[1:3]
    seen: dict[str, Any] = {}
    chi.use_site("CHI@Edge")
    seen["broken lease helpers"] = [
        outcome(lambda: lease.get_device_reservation(lease_name)),
        outcome(lambda: lease.wait_for_active(lease_name)),
    ]
    reservation = lease.get_lease(lease_name).device_reservations[0]["id"]
    name = "notebook"
    seen["platform_version"] = outcome(
        lambda: container.create_container(name, image=image, reservation_id=reservation, platform_version=2)
    )
    made = container.create_container(
        name, image=image, exposed_ports=["22"], reservation_id=reservation, entrypoint=["sleep"], command=["600"]
    )
    container.wait_for_active(made.uuid, timeout=60)
    address = container.associate_floating_ip(made.uuid)
    seen["bound"] = bool(network.get_floating_ip(address)["port_id"])
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.py").write_text("print(6 * 7)\n")
        container.upload(made.uuid, f"{folder}/", "/srv")
        seen["executed"] = container.execute(made.uuid, "python3 /srv/model.py")
        container.download(made.uuid, "/srv", folder)
        seen["downloaded"] = sorted(path.name for path in Path(folder).rglob("*.py"))
    seen["failed"] = container.execute(made.uuid, "sh -c 'exit 3'")["exit_code"]
    seen["logs"] = container.get_logs(made.uuid)
    seen["snapshot"] = outcome(lambda: container.snapshot_container(made.uuid, "name"))
    seen["plain destroy"] = outcome(lambda: container.destroy_container(made.uuid))
    seen["detach"] = outcome(lambda: container.Container.from_zun_container(made).detach_floating_ip(address))
    seen["leaked by detach"] = [each["floating_ip_address"] for each in network.list_floating_ips()] == [address]
    network.deallocate_floating_ip(address)
    container.destroy_container(made.uuid, force=True)
    while container.get_container(made.uuid) is not None:
        time.sleep(0.05)
    return seen


if __name__ == "__main__":
    with contextlib.redirect_stdout(io.StringIO()):
        document = main()
    print(json.dumps(document))
