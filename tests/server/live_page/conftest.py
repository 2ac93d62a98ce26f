"""A browser, an agent on a device whose sensors a test can set, and a page that is watched."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from tests.agents import RunningAgent, running_agent
from tests.browser import chromium
from tests.server.telemetry import trees

CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
REFUSED_IMAGE = "status of 503"
"""Chromium logs every refused request as an error; this one is expected while a job measures."""

expect.set_options(timeout=20_000)  # a busy machine is no failure

NOTE_VIOLATIONS = """
    window.violations = [];
    addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""


@dataclass
class Watched:
    """A page and what it did besides what it shows."""

    page: Page
    agent: RunningAgent
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def open(self, fragment: str = "") -> Page:
        """Load the agent's page and wait until it is live."""
        self.page.goto(f"{self.agent.url}/{fragment}")
        self.page.wait_for_selector('#status[data-state="live"]')
        return self.page

    def check(self) -> None:
        """Nothing went wrong: no error, no request to anybody else, nothing that the policy had to stop."""
        assert self.foreign == []
        assert [error for error in self.errors if REFUSED_IMAGE not in error] == []
        assert self.page.evaluate("window.violations") == []


def watched(context: BrowserContext, agent: RunningAgent) -> Watched:
    """A new page whose errors and requests are noted."""
    page = context.new_page()
    page.add_init_script(NOTE_VIOLATIONS)
    seen = Watched(page, agent)

    def console(message: ConsoleMessage) -> None:
        if message.type == "error":
            seen.errors.append(message.text)

    def request(sent: Request) -> None:
        if urlsplit(sent.url).netloc != urlsplit(agent.url).netloc and not sent.url.startswith("blob:"):
            seen.foreign.append(sent.url)

    page.on("console", console)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("request", request)
    return seen


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a file, with a camera that shows a test picture.

    Not for the session: Playwright's loop would go on in this thread, where other tests use asyncio.run.
    """
    with chromium(*CAMERA) as running:
        yield running


@contextmanager
def visit(browser: Browser, agent: RunningAgent, **settings: Any) -> Iterator[Watched]:
    """A page of an agent in a fresh profile; checked when the block is left well."""
    settings = {"viewport": {"width": 1280, "height": 900}, "ignore_https_errors": True, **settings}
    context = browser.new_context(**settings)
    try:
        seen = watched(context, agent)
        yield seen
        seen.check()
    finally:
        context.close()


@dataclass(frozen=True)
class Device:
    """An agent whose sensors are files of a Raspberry Pi 4 in a temporary folder."""

    agent: RunningAgent
    root: Path

    def set_temperature(self, celsius: float) -> None:
        """Of the CPU."""
        for name in (f"{trees.ZONE}0/temp", f"{trees.HWMON}0/temp1_input"):
            (self.root / name).write_text(f"{celsius * 1000:.0f}\n")

    def set_throttled(self, bits: int) -> None:
        """The firmware's flags."""
        (self.root / trees.PI4_THROTTLED).write_text(f"{bits:x}\n")


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """A device for the tests of a file, with a hostile name."""
    folder = tmp_path_factory.mktemp("device")
    root = trees.raspberry_pi_4(folder / "tree")
    options = ("--sensors-root", str(root), "--device-name", "edge1 <b>&amp;</b>", "--workers", "1")
    with running_agent(folder / "data", *options, "--allow-commands", "on") as agent:
        yield Device(agent, root)


@pytest.fixture
def seen(browser: Browser, device: Device) -> Iterator[Watched]:
    """The device's page in a fresh profile."""
    with visit(browser, device.agent) as opened:
        yield opened
