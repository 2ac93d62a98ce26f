"""A real headless Chromium for tests of pages, and where their screenshots go."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

SCREENSHOTS_VARIABLE = "EDGERUN_SCREENSHOTS"
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """A browser, ended with the block; skips where no Chromium is installed."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium is installed: on Debian, apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS, *arguments])
        try:
            yield browser
        finally:
            browser.close()


@cache
def screenshot_folder() -> Path:
    """The folder that EDGERUN_SCREENSHOTS names, else one for temporary files; never in the repository."""
    folder = Path(os.environ.get(SCREENSHOTS_VARIABLE) or tempfile.mkdtemp(prefix="edgerun-screenshots-"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def screenshot(page: Page, name: str) -> Path:
    """Keep a picture of the whole page as NAME.png."""
    path = screenshot_folder() / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    return path
