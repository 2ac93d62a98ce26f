"""Containers on CHI@Edge: a Kubernetes pod each, found again by a label of ours, watched until they run."""

import re
import shlex
import time
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote_plus

from provisioning.errors import LeftBehind, ProvisioningError
from provisioning.provider import Report
from provisioning.providers.chi.errors import (
    OVERLOADED,
    is_missing,
    status_of,
    took_effect_perhaps,
    translate_errors,
)
from provisioning.providers.chi.retry import BRIEF_S, patience_s, repeat, seconds_of
from provisioning.providers.chi.session import Site

NAME_LABEL = "edgerun-name"
OWNER_LABEL = "edgerun-owner"
RESERVATION_LABEL = "edgerun-reservation"
"""On which reservation it runs: Zun takes that as a hint, and tells nobody."""
NAME = re.compile(r"[a-z0-9][-a-z0-9]{0,61}[a-z0-9]")
"""What both take: Zun two letters at least, and more than Kubernetes does, after which it ends in Error."""
START_TIMEOUT_VARIABLE = "EDGERUN_CHI_START_TIMEOUT"
START_TIMEOUT_S = 900.0
"""A Raspberry Pi takes minutes to fetch an image."""
HOPELESS = re.compile("ErrImagePull|ImagePullBackOff|InvalidImageName|CrashLoop|Unschedulable|nodes are available")
HOPELESS_AFTER_S = 8.0
ADDRESS_TIMEOUT_S = 120.0
DELETE_TIMEOUT_VARIABLE = "EDGERUN_CHI_DELETE_TIMEOUT"
DELETE_TIMEOUT_S = 150.0
FORBIDDEN_TIMEOUT_S = 20.0
"""What only force ends, and may not be forced, is not waited for as long: it ends with its lease."""
SILENCE_S = 60.0
"""A container that is still Creating after this, without a word why, is said to be."""
POLL_FIRST_S, POLL_MOST_S = 0.1, 3.0
COMMAND_LIMIT = 4000
"""Characters of a command as it is written in a URL, in which it travels."""


@dataclass(frozen=True)
class Container:
    """A container as the site sees it."""

    id: str
    name: str
    status: str
    reason: str
    owner: str | None
    """Who of us made it; None for what edgerun did not make."""
    deployment: str | None
    image: str
    reservation: str | None
    """On which it runs; None for what edgerun did not make."""
    port_id: str | None
    """The port of its address; None until it has one."""


@dataclass(frozen=True)
class CommandOutput:
    """How a command in a container ended; `code` is None when the site did not wait for its end."""

    output: str
    code: int | None


class Containers:
    """The project's containers."""

    def __init__(self, site: Site, patience_s: float = BRIEF_S) -> None:
        """`patience_s` is how long questions about containers are asked again while the site stumbles."""
        self._zun = site.zun.containers
        self._patience_s = patience_s

    def every(self) -> list[Container]:
        """All of them, others' too."""
        with translate_errors("listing containers"):
            return [_container(each) for each in repeat(self._zun.list, self._patience_s)]

    def own(self, owner: str) -> list[Container]:
        """Those that one deployment made."""
        return [each for each in self.every() if each.owner == owner]

    def get(self, identifier: str) -> Container | None:
        """One container, None when it is gone."""
        with translate_errors("looking at the container"):
            try:
                return _container(repeat(lambda: self._zun.get(identifier), self._patience_s))
            except Exception as error:
                if is_missing(error):
                    return None
                raise

    def create(self, name: str, owner: str, reservation: str, spec: dict[str, Any]) -> Container:
        """Ask for a container, once. When the answer is lost or says that it failed, look whether it is there."""
        labels = {NAME_LABEL: name, OWNER_LABEL: owner, RESERVATION_LABEL: reservation}
        hints = {"reservation": reservation}
        try:
            with translate_errors("creating the container"):
                return _container(self._zun.create(name=name, labels=labels, hints=hints, **spec))
        except ProvisioningError as error:
            lost = took_effect_perhaps(error)
            made = [each for each in self.own(owner) if each.status != "Error"] if lost else []
            if not made:
                raise
            return made[0]

    def wait_until_running(self, identifier: str, report: Report) -> Container:
        """Wait for Running and an address; raises ProvisioningError with the site's reason."""
        deadline = time.monotonic() + seconds_of(START_TIMEOUT_VARIABLE, START_TIMEOUT_S)
        pause, said, hopeless_since, silent_until = POLL_FIRST_S, "", None, time.monotonic() + SILENCE_S
        while True:
            now = time.monotonic()
            container = self._require(identifier)
            if container.status == "Running":
                if container.port_id is not None:
                    return container
                deadline = min(deadline, now + ADDRESS_TIMEOUT_S)
            elif container.status not in ("Creating", "Created"):
                raise _failed(container)
            hopeless_since = (hopeless_since or now) if HOPELESS.search(container.reason) else None
            if hopeless_since is not None and now - hopeless_since > HOPELESS_AFTER_S:
                raise _failed(container)
            if now > deadline:
                why = container.reason or (
                    "no address" if container.status == "Running" else "the site does not say why"
                )
                hint = (
                    f"is there an image {container.image} for this device's architecture, and may the device fetch it? "
                    f"{START_TIMEOUT_VARIABLE} is the seconds it is given"
                )
                raise ProvisioningError(f"the container is still {container.status}: {why}", hint=hint)
            if container.reason and container.reason != said:
                said = container.reason
                report(f"  {container.status}: {said}")
            elif not said and now > silent_until:
                silent_until = now + SILENCE_S
                report(f"  {_still_creating(container, deadline - now)}")
            time.sleep(pause)
            pause = min(pause * 1.3, POLL_MOST_S)

    def execute(self, identifier: str, *words: str, again: bool = False) -> CommandOutput:
        """Run a program in the container; what takes longer than some seconds must be detached.

        `again` says that it may run twice, also at the same time: then a call whose answer was lost is repeated, and
        one whose end the site did not wait for.
        """
        command = shlex.join(words)
        if len(quote_plus(command)) > COMMAND_LIMIT:
            raise ProvisioningError("the command is too long for the site", hint="push a script and run that")
        with translate_errors("running a command in the container"):
            call = partial(self._zun.execute, identifier, command=command, run=True)
            answer = repeat(call, patience_s(), settled=_has_ended) if again else call()
        return CommandOutput(str(answer.get("output") or ""), answer.get("exit_code"))

    def shell(self, identifier: str, script: str, *arguments: str, again: bool = False) -> CommandOutput:
        """Run a line of shell; the site itself starts programs without one."""
        return self.execute(identifier, "sh", "-c", script, "sh", *arguments, again=again)

    def put(self, identifier: str, folder: str, archive: bytes) -> None:
        """Unpack a tar in a folder of the container; the site does not say when that fails."""
        with translate_errors("uploading"):
            call = partial(self._zun.put_archive, identifier, folder, archive)
            repeat(call, patience_s(), final=(500,))  # which it says to what is too large for it

    def fetch(self, identifier: str, folder: str) -> bytes:
        """A tar of a folder's contents."""
        with translate_errors("downloading"):
            return bytes(repeat(lambda: self._zun.get_archive(identifier, folder), patience_s())["data"])

    def logs(self, identifier: str, tail: int) -> list[str]:
        """The last lines that the container printed."""
        with translate_errors("reading the container's log"):
            text = repeat(lambda: self._zun.logs(identifier, stdout=True, stderr=True, tail=tail))
        return str(text or "").splitlines()[-tail:]

    def delete(self, identifier: str) -> None:
        """Delete a container and wait until it is gone; raises LeftBehind."""
        deadline = time.monotonic() + seconds_of(DELETE_TIMEOUT_VARIABLE, DELETE_TIMEOUT_S)
        pause, started = POLL_FIRST_S, time.monotonic()
        while True:
            problem, forbidden = self._ask_to_delete(identifier)
            until = min(deadline, time.monotonic() + 10 * pause)
            while time.monotonic() < until:
                try:
                    if self._is_gone(identifier):
                        return
                except ProvisioningError as error:  # the site stumbles; it may go on
                    problem = f": {error}"
                time.sleep(pause)
            pause = min(pause * 2, POLL_MOST_S)
            if forbidden and time.monotonic() - started > FORBIDDEN_TIMEOUT_S:
                raise LeftBehind(
                    f"container {identifier} is still being created, and the site lets only administrators delete it "
                    "then: once it runs it can be deleted, else it goes with its lease"
                )
            if time.monotonic() > deadline:
                raise LeftBehind(f"container {identifier} is still there{problem}")

    def _ask_to_delete(self, identifier: str) -> tuple[str, bool]:
        """With force, which ends in every state; where only administrators may, with a stop before.

        Gives what was said, and whether only force would do, which is not allowed.
        """
        problem, forbidden = "", False
        for how in ({"force": True}, {"stop": True}):
            try:
                self._zun.delete(identifier, **how)
            except Exception as error:
                problem = f": {' '.join(str(error).split())}"
                if status_of(error) == 403:
                    forbidden = True
                    continue
                if not is_missing(error) and status_of(error) not in (409, 500, *OVERLOADED, None):
                    raise LeftBehind(f"container {identifier} could not be deleted{problem}") from error
                return problem, forbidden and status_of(error) == 409
            return problem, False
        return problem, True

    def _is_gone(self, identifier: str) -> bool:
        try:
            return self.get(identifier) is None
        except ProvisioningError:
            return all(each.id != identifier for each in self.every())

    def _require(self, identifier: str) -> Container:
        container = self.get(identifier)
        if container is None:
            hint = "did the lease end, or did somebody delete it? `provision lease ls`"
            raise ProvisioningError("the container is gone", hint=hint)
        return container


def require_container_name(name: str) -> None:
    """Raise ProvisioningError for a name that would end as a container in Error."""
    if not NAME.fullmatch(name):
        hint = "on CHI@Edge a name is 2 to 63 lower-case letters, digits and hyphens"
        raise ProvisioningError(f"{name!r} cannot be a container's name", hint=hint)


def _has_ended(answer: dict[str, Any]) -> bool:
    """Whether the site waited for a program's end."""
    return answer.get("exit_code") is not None


def _still_creating(container: Container, left_s: float) -> str:
    """What is said of a container of which the site says nothing: public Zun never tells why an image does not come."""
    return (
        f"still {container.status}, and the site does not say why: fetching an image takes minutes on a small board, "
        f"and {container.image} may be misspelt, private, or for another architecture; it is given "
        f"{left_s / 60:.0f} min more"
    )


def _failed(container: Container) -> ProvisioningError:
    hint = "is the image for this device's architecture, and is the lease active? its log is above"
    if "device_profile" in container.reason:
        hint = "the site's pages on peripherals list what it has; its helpdesk adds profiles"
    return ProvisioningError(f"the container is {container.status}: {container.reason or 'no reason given'}", hint=hint)


def _container(record: Any) -> Container:
    reasons = [getattr(record, "status_reason", None), getattr(record, "status_detail", None)]
    labels = getattr(record, "labels", None) or {}
    ports = [each.get("port") for nets in (getattr(record, "addresses", None) or {}).values() for each in nets]
    return Container(
        id=record.uuid,
        name=record.name,
        status=record.status,
        reason="; ".join(str(reason) for reason in reasons if reason),
        owner=labels.get(OWNER_LABEL),
        deployment=labels.get(NAME_LABEL),
        image=str(getattr(record, "image", "")),
        reservation=labels.get(RESERVATION_LABEL),
        port_id=next((port for port in ports if port), None),
    )
