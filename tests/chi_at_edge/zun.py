"""Zun with the Kubernetes driver: containers, commands in them, files in and out."""

import base64
import re
import shlex
import threading
import time
import uuid
from typing import Any

from fastapi import APIRouter, Response

from tests.chi_at_edge.containers import Image
from tests.chi_at_edge.requests import Refusal
from tests.chi_at_edge.state import Container, Testbed

Document = dict[str, Any]
ZUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")
KUBERNETES_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
IMAGE_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]+(/[a-z0-9_.-]+)*(:[A-Za-z0-9_.-]+)?")
DEFAULT_IMAGE_ENVIRONMENT = Image((), {})
DEVICE_PROFILES = {"pi_camera", "pi_camera3", "pi_libcamera", "pi_gpio", "pi_serial", "pi_meter", "pi_sensehat"}
"""Those that the site's pages name."""
OF_RUNTIME = {
    "nvidia": {
        "NVIDIA_REQUIRE_JETPACK": "csv-mounts=all",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "all",
    }
}
"""What the Kubernetes driver puts into a container's environment, over what was asked for. The testbed's own takes
every other runtime for none; upstream's scheduler finds no host for it, which is what happens here."""
CREATABLE = {
    *("name", "image", "command", "entrypoint", "environment", "workdir", "labels", "mounts", "hints", "interactive"),
    *("tty", "hostname", "host", "runtime", "device_profiles", "image_pull_policy", "exposed_ports", "registry"),
}
UNTOLD = ("hints", "exposed_ports", "mounts", "device_profiles")
"""What is asked for and not in the record of a container: Zun has it elsewhere, or tells its ports only."""


class Zun:
    """Containers on devices."""

    def __init__(self, testbed: Testbed) -> None:
        self._testbed = testbed
        self.router = APIRouter(prefix="/container/v1/containers")
        for path, action, method, status in (
            ("", self.list, "GET", 200),
            ("/", self.list, "GET", 200),
            ("", self.create, "POST", 202),
            ("/{ref}", self.get, "GET", 200),
            ("/{ref}", self.delete, "DELETE", 204),
            ("/{ref}/execute", self.execute, "POST", 200),
            ("/{ref}/put_archive", self.put_archive, "POST", 200),
            ("/{ref}/get_archive", self.get_archive, "GET", 200),
            ("/{ref}/logs", self.logs, "GET", 200),
            ("/{ref}/commit", self.commit, "POST", 200),
        ):
            self.router.add_api_route(path, action, methods=[method], status_code=status)

    def list(self) -> Document:
        """The project's containers."""
        with self._testbed.lock:
            return {"containers": [self._record(each) for each in self._testbed.containers.values()], "next": None}

    def create(self, body: Document) -> Document:
        """Accept a container; whether it ever runs shows later."""
        _check(body)
        with self._testbed.lock:
            identifier = str(uuid.uuid4())
            image = self._testbed.images.get(body["image"], DEFAULT_IMAGE_ENVIRONMENT)
            words = [*body.get("entrypoint", image.entrypoint), *body.get("command", [])]
            body["environment"] = {**body.get("environment", {}), **OF_RUNTIME.get(body.get("runtime") or "", {})}
            pod = self._testbed.new_pod(identifier, image, words, body["environment"])
            ports = tuple(int(port.split("/")[0]) for port in body.get("exposed_ports", {}))
            record = {**body, "uuid": identifier, "status": "Creating", "status_reason": None, "status_detail": None}
            record |= {"addresses": {}, "ports": list(ports), "task_state": None, "host": "loopback-device"}
            reservation = body.get("hints", {}).get("reservation")
            container = Container(record, pod, time.monotonic(), reservation, ports)
            self._testbed.containers[identifier] = container
            timer = threading.Timer(self._testbed.knobs.start_delay_s, self._begin, [container])
            timer.daemon = True
            timer.start()
            return self._record(container)

    def get(self, ref: str) -> Document:
        """One container, by id or name."""
        with self._testbed.lock:
            return self._record(self._require(ref))

    def delete(self, ref: str, force: str = "False", stop: str = "False") -> Response:
        """Begin to delete; it is gone a little later."""
        with self._testbed.lock:
            container = self._require(ref)
            allowed = {"Created", "Error", "Stopped", "Dead"}
            if force == "True":
                if not self._testbed.knobs.force_delete:
                    raise Refusal("zun", 403, "Policy doesn't allow container:delete_force to be performed.")
                allowed |= {"Creating", "Running", "Deleting"}
            elif stop == "True":
                allowed |= {"Running"}
            _allow(container, "delete", allowed)
            container.record["status"] = "Deleting"
            container.deleted_at = time.monotonic() + self._testbed.knobs.deletion_delay_s
            return Response(status_code=204)

    def execute(self, ref: str, command: str) -> Document:
        """Run words, without a shell, for a few seconds at most."""
        container = self._require(ref)
        _allow(container, "execute_command", {"Running"})
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise Refusal("zun", 400, f"Malformed command: {error}") from error
        with self._testbed.lock:
            hasty = self._testbed.knobs.next_fault("zun.unfinished") is not None
        output, code = container.pod.execute(words, 0.0 if hasty else self._testbed.knobs.exec_timeout_s)
        return {"output": output, "exit_code": code, "exec_id": None, "token": None}

    def put_archive(self, ref: str, path: str, body: Document) -> None:
        """Unpack a tar."""
        container = self._require(ref)
        _allow(container, "put_archive", {"Created", "Running", "Stopped", "Paused"})
        if not self._testbed.knobs.lose_uploads:
            container.pod.unpack(path, base64.b64decode(body["data"]))

    def get_archive(self, ref: str, path: str) -> Document:
        """A tar of what is at a path."""
        container = self._require(ref)
        _allow(container, "get_archive", {"Created", "Running", "Stopped", "Paused"})
        data = container.pod.pack(path)
        return {"data": base64.b64encode(data).decode(), "stat": {"name": path, "size": len(data)}}

    def logs(self, ref: str, tail: str | None = None) -> str:
        """What the main process printed."""
        container = self._require(ref)
        if container.record["status"] in ("Creating", "Deleted"):
            raise _wrong_state(container, "logs")
        return container.pod.log(int(tail) if tail and tail.isdigit() else None)

    def commit(self, ref: str) -> None:
        """The Kubernetes driver cannot make images."""
        self._require(ref)
        raise Refusal("zun", 500, "NotImplementedError")

    def _require(self, ref: str) -> Container:
        found = self._testbed.containers.get(ref)
        named = [each for each in self._testbed.containers.values() if each.record["name"] == ref]
        if len(named) > 1 and found is None:
            raise Refusal(
                "zun", 409, "Multiple containers exist with same name. Please use the container uuid instead."
            )
        if found is None and not named:
            raise Refusal("zun", 404, f"Container {ref} could not be found.")
        return found or named[0]

    def _begin(self, container: Container) -> None:
        """Start the pod, or say why not."""
        with self._testbed.lock:
            record, knobs = container.record, self._testbed.knobs
            if record["status"] != "Creating":
                return
            if not KUBERNETES_NAME.fullmatch(record["name"]):
                _fail(container, f'Invalid value: "{record["name"]}": a lowercase RFC 1123 label must consist of ...')
            elif (record.get("runtime") or "nvidia") not in OF_RUNTIME:
                _fail(container, "There are not enough hosts available.")
            elif unknown := set(record.get("device_profiles") or ()) - DEVICE_PROFILES:
                _fail(
                    container, f"Missing mapping for device_profile '{min(unknown)}', ensure it has been added to ..."
                )
            elif not self._testbed.active_reservation(container.reservation):
                _fail(container, "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.")
            elif knobs.error_reason is not None:
                _fail(container, knobs.error_reason)
            elif knobs.stuck_creating is not None:
                record["status_detail"] = knobs.stuck_creating
            elif record["image"] not in self._testbed.images:
                if knobs.tells_why:
                    record["status_detail"] = f'ImagePullBackOff: Back-off pulling image "{record["image"]}"'
            else:
                record["status"], container.running_since = "Running", time.monotonic()
                container.pod.start()

    def _record(self, container: Container) -> Document:
        record, since = container.record, container.running_since
        if container.pod.failed and record["status"] == "Running":
            _fail(container, "containers with unready status: [main]")
        if since is not None and time.monotonic() - since >= self._testbed.knobs.address_delay_s:
            address = {"addr": container.pod.address, "version": 4, "port": container.port_id}
            record["addresses"] = {"containernet": [address]}
        return {key: value for key, value in record.items() if key not in UNTOLD}


def _check(body: Document) -> None:
    if unknown := set(body) - CREATABLE:
        raise Refusal("zun", 400, f"Additional properties are not allowed ({', '.join(sorted(unknown))} unexpected)")
    if not ZUN_NAME.fullmatch(body["name"]):
        raise Refusal("zun", 400, f"Invalid input for field 'name': {body['name']!r} does not match")
    if not IMAGE_NAME.fullmatch(body.get("image") or ""):
        raise Refusal("zun", 400, f"Invalid input for field 'image': {body.get('image')!r} does not match")
    if not isinstance(body.get("command", []), list) or "security_groups" in body:
        raise Refusal("zun", 400, "Invalid input for field 'command'")
    if not all(isinstance(value, str) for value in body.get("environment", {}).values()):
        raise Refusal("zun", 400, "Invalid input for field 'environment'")


def _allow(container: Container, action: str, states: set[str]) -> None:
    if container.record["status"] not in states:
        raise _wrong_state(container, action)


def _wrong_state(container: Container, action: str) -> Refusal:
    identifier, status = container.record["uuid"], container.record["status"]
    return Refusal("zun", 409, f"Cannot {action} container {identifier} in {status} state.")


def _fail(container: Container, reason: str) -> None:
    container.record.update(status="Error", status_reason=reason)
