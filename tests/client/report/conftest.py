"""Real runs, a browser, and pages opened from disk that are watched."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from client.analysis.runs import Run
from client.report.data import report_data
from client.report.page import page as page_of
from client.report.sources import Sources
from tests.agents import RunningAgent
from tests.browser import chromium
from tests.home import Home

NOTE_VIOLATIONS = """
    window.violations = [];
    addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""
SCROLL_THROUGH = """
    async () => {
        const drawn = (y) => new Promise((done, fail) => {
            const where = `${y} of ${document.body.scrollHeight}, ${document.visibilityState}`;
            const timer = setTimeout(() => fail(new Error(`no frame for 60 s at ${where}`)), 60000);
            requestAnimationFrame(() => requestAnimationFrame(() => { clearTimeout(timer); done(); }));
        });
        for (let y = 0; y < document.body.scrollHeight; y += 500) {
            scrollTo(0, y);
            await drawn(y);
        }
        scrollTo(0, 0);
    }
"""
"""A browser that draws nothing any more is said, and is not waited for."""

ALL_DRAWN = """
    () => [...document.querySelectorAll(".chart")].every((chart) => !chart.clientWidth || chart.querySelector("svg"))
"""


@dataclass
class Opened:
    """A report in a browser, and what it did besides what it shows."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def scroll_through(self) -> None:
        """Charts are drawn when they come near the screen: bring all of them there."""
        self.page.evaluate(SCROLL_THROUGH)
        self.page.wait_for_function(ALL_DRAWN)

    def check(self, path: Path) -> None:
        """No error, nothing stopped by the policy, and nothing asked for but the file itself."""
        assert self.errors == []
        assert self.page.evaluate("window.violations") == []
        assert [url for url in self.requests if url.partition("#")[0] != path.as_uri()] == []


Opener = Callable[..., Any]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of this folder, and gone with them: while it runs, asyncio.run cannot."""
    with chromium() as running:
        yield running


@pytest.fixture
def opened(browser: Browser) -> Opener:
    """Opens a file from disk in a fresh profile, and checks at the end that it kept to itself."""

    @contextmanager
    def opening(path: Path, **settings: Any) -> Iterator[Opened]:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        try:
            seen = Opened(context.new_page())
            watch(seen)
            seen.page.goto(path.as_uri())
            seen.page.wait_for_selector("html[data-ready=yes]", state="attached")
            yield seen
            seen.check(path)
        finally:
            context.close()

    return opening


def watch(seen: Opened) -> None:
    """Note errors, violations of the policy, and requests."""

    def console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            seen.errors.append(message.text)

    seen.page.add_init_script(NOTE_VIOLATIONS)
    seen.page.on("console", console)
    seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
    seen.page.on("request", lambda request: seen.requests.append(request.url))


def write_page(path: Path, *runs: Run) -> Path:
    """The report of runs that need no folder."""
    path.write_text(page_of(report_data(Sources(runs=[(run.name, run) for run in runs]))), encoding="utf-8")
    return path


@dataclass(frozen=True)
class RealRuns:
    """What a real agent measured, and the report that `client report` made of it."""

    folder: Path
    report: Path
    stderr: str


@pytest.fixture(scope="package")
def real(job_agent: RunningAgent, tmp_path_factory: pytest.TempPathFactory) -> RealRuns:
    """A benchmark of two configurations, two profiles, a program; and their report."""
    home = Home(tmp_path_factory.mktemp("real")).knows(job_agent)
    digits = ("--model", "digits", "-q")
    commands = (
        (
            "bench",
            *digits,
            "--threads",
            "1,2",
            "--duration",
            "2s",
            "--window",
            "0.5s",
            "--interval",
            "0.2s",
            "--save",
            "bench",
        ),
        ("profile", *digits, "--iterations", "50", "--save", "default.json"),
        ("profile", *digits, "--iterations", "50", "--kernels", "builtin", "--save", "builtin.json"),
        ("run", "-q", "--interval", "0.2s", "--save", "program", "--", "sh", "-c", "sleep 1"),
        ("report", "bench", "default.json", "builtin.json", "program", "--save", "report.html"),
    )
    for command in commands:
        done = home.client(*command)
        assert done.returncode == 0, done.stderr
    return RealRuns(home.folder, home.folder / "report.html", done.stderr)
