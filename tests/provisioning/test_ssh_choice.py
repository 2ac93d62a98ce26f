"""How the agent runs on a device is decided from what was found there, and said."""

from dataclasses import replace

import pytest

from provisioning.errors import ProvisioningError
from provisioning.providers.ssh.choice import Choice, Way, Wishes, choose
from provisioning.providers.ssh.survey import Docker, Python, Survey, read

PI = Survey("aarch64", "glibc 2.36", "/home/pi", 10**10, python=Python("/usr/bin/python3", "3.11.2"), newest="3.11.2")
JETPACK_5 = replace(PI, libc="glibc 2.31", python=None, newest="3.8.10")
OLD_PYTHON = replace(PI, python=None, newest="3.10.12")
UBUNTU_18 = replace(JETPACK_5, machine="x86_64", libc="glibc 2.27", newest="3.6.9")
ENGINE = Docker("20.10.7", ("nvidia", "runc"))
CLOSED = "Got permission denied while trying to connect to the Docker daemon socket"


@pytest.mark.parametrize(
    ("found", "wishes", "way", "why"),
    [
        (PI, Wishes(), Way.NATIVE, None),
        (replace(PI, docker=ENGINE), Wishes(), Way.NATIVE, None),
        (replace(PI, libc="glibc 2.34"), Wishes(), Way.NATIVE, None),
        (replace(PI, docker=ENGINE), Wishes(for_docker=("image",)), Way.DOCKER, "--image"),
        (PI, Wishes(archive=True), Way.STANDALONE, None),
        (OLD_PYTHON, Wishes(archive=True), Way.STANDALONE, None),
        (replace(OLD_PYTHON, docker=ENGINE), Wishes(archive=True), Way.STANDALONE, None),
        (replace(OLD_PYTHON, docker=ENGINE), Wishes(), Way.DOCKER, "its Python is 3.10.12"),
        (replace(JETPACK_5, docker=ENGINE), Wishes(), Way.DOCKER, "its C library is glibc 2.31, too old"),
        (replace(JETPACK_5, docker=ENGINE), Wishes(archive=True), Way.DOCKER, "glibc 2.31"),
        (replace(UBUNTU_18, docker=ENGINE), Wishes(), Way.DOCKER, "its Python is 3.6.9"),
        (UBUNTU_18, Wishes(archive=True), Way.STANDALONE, None),
        (replace(PI, python=None, lacks_venv=True, docker=ENGINE), Wishes(), Way.DOCKER, "virtual environments"),
        (replace(PI, writable=False, docker=ENGINE), Wishes(), Way.DOCKER, "/home/pi cannot be written"),
        (replace(PI, libc="", docker=ENGINE), Wishes(), Way.DOCKER, "not glibc"),
    ],
)
def test_the_way(found: Survey, wishes: Wishes, way: Way, why: str | None) -> None:
    """The plain way where it works, a Python that was brought along, then Docker, and why."""
    choice = choose(found, wishes, "edge1")
    assert choice.way is way
    assert choice == Choice(way) if why is None else why in str(choice.why)


@pytest.mark.parametrize(
    ("found", "wishes", "reason", "hint"),
    [
        (replace(PI, machine="armv7l", docker=ENGINE), Wishes(), "it is armv7l", "64-bit"),
        (replace(PI, is_32_bit=True, docker=ENGINE), Wishes(), "a 32-bit one", "64-bit"),
        (JETPACK_5, Wishes(), "glibc 2.31, too old for the runtimes (glibc 2.34)", "it has none, install it"),
        (JETPACK_5, Wishes(archive=True), "glibc 2.31", "no Python that is brought along changes that"),
        (replace(JETPACK_5, no_docker=CLOSED), Wishes(), "glibc 2.31", "usermod -aG docker"),
        (replace(JETPACK_5, no_docker="no answer"), Wishes(), "glibc 2.31", "its Docker says: no answer, start it"),
        (replace(JETPACK_5, docker=ENGINE), Wishes(offline=True), "glibc 2.31", "without --offline"),
        (replace(UBUNTU_18, libc="glibc 2.26"), Wishes(archive=True), "glibc 2.26, too old", "Debian 12"),
        (OLD_PYTHON, Wishes(), "its Python is 3.10.12", "uv python install 3.11"),
        (OLD_PYTHON, Wishes(), "its Python is 3.10.12", "install_only .tar.gz for aarch64 Linux"),
        (replace(PI, python=None, newest=None), Wishes(), "it has no Python", "--python-archive FILE"),
        (PI, Wishes(for_docker=("image",)), "--image needs Docker there, and it has none", "install it"),
        (replace(PI, has_tar=False), Wishes(), "it has no tar", "install tar"),
    ],
)
def test_no_way(found: Survey, wishes: Wishes, reason: str, hint: str) -> None:
    """What stands in the way, in a line, and what to do about it."""
    with pytest.raises(ProvisioningError) as caught:
        choose(found, wishes, "edge1")
    assert (reason in str(caught.value), hint in str(caught.value.hint)) == (True, True), caught.value.hint


def test_what_makes_no_sense_is_not_there() -> None:
    """A device tells what it likes; what cannot be read is as if it had not been said."""
    found = read(
        {"machine": "aarch64", "free_kib": "-1", "libc": "musl", "python": "/p", "version": "3.x", "docker": ""}
    )
    assert (found.free_bytes, found.glibc_minor, found.python, found.docker) == (0, None, None, None)
    assert read({"machine": "aarch64"}) == Survey("aarch64", "", "", 0, writable=False, has_tar=False)
