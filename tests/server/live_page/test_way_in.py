"""The way into the live page of an agent with token and TLS, as a user walks it with `client open`."""

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from client.sdk.trust import fingerprint
from tests.agents import RunningAgent
from tests.browser import screenshot
from tests.home import Home
from tests.images import digit
from tests.server.jobs.running import benchmark, command
from tests.server.live_page.conftest import Device, Watched, visit
from tests.server.live_page.test_sessions import new_code
from tests.server.test_security import SNI
from tests.server.test_tokens import make, revoke, with_token

UNAUTHORIZED = "status of 401"
REFUSED = "status of 403"


@pytest.fixture
def outside(browser: Browser, secured_agent: RunningAgent) -> Iterator[Watched]:
    """The page of an agent that wants a token, in a profile that never saw it."""
    with visit(browser, secured_agent) as opened:
        yield opened
        opened.errors[:] = [error for error in opened.errors if UNAUTHORIZED not in error and REFUSED not in error]


def test_client_open_leads_in_once(home: Home, outside: Watched, secured_agent: RunningAgent) -> None:
    """The printed address opens the page, with its code gone from the address; a second time it opens nothing."""
    done = home.knows(secured_agent).client("open", "edge1", "--print")
    assert done.returncode == 0, done.stderr
    url = done.stdout.strip()
    assert url.startswith(f"{secured_agent.url}/#")
    assert secured_agent.host.certificate is not None
    shown = re.sub(r"[^0-9a-f]", "", done.stderr.lower())
    assert fingerprint(secured_agent.host.certificate).removeprefix("sha256:") in shown
    assert "the browser will warn" in done.stderr

    code = url.partition("#")[2]
    page = outside.open(f"#{code}")
    assert page.url == f"{secured_agent.url}/"
    assert code not in str(page.evaluate("[history.state, location.href, document.referrer]"))
    assert page.evaluate("document.cookie") == ""
    page.set_input_files("#try-input", {"name": "3.png", "mimeType": "image/png", "buffer": digit(3)})
    expect(page.locator(".labels li >> nth=0")).to_have_text(re.compile("^3"))

    page.context.clear_cookies()
    page.goto(url)
    expect(page.get_by_role("alert")).to_contain_text("it was used already, or it is too old")
    expect(page.locator("#live")).to_be_hidden()
    screenshot(page, "live-code-refused")


def test_nothing_is_shown_without_a_session(outside: Watched, secured_agent: RunningAgent) -> None:
    """The page asks for a code, says how to get one, and takes it by hand, the whole address too."""
    page = outside.page
    page.goto(secured_agent.url)
    expect(page.locator("#gate")).to_contain_text("client open")
    assert page.locator("#live").is_hidden()
    assert page.locator("#device").inner_text().strip() == ""
    page.get_by_label("One-time code").fill("a guess")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("This code opens nothing")
    page.get_by_label("One-time code").fill(f"{secured_agent.url}/#{new_code(secured_agent)}")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_attribute("data-state", "live")


def test_a_session_ends_where_it_is_ended(outside: Watched, secured_agent: RunningAgent) -> None:
    """Signing out, and a cookie that is gone, both lead back to the question for a code."""
    page = outside.open(f"#{new_code(secured_agent)}")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("One-time code")).to_be_visible()
    page.get_by_label("One-time code").fill(new_code(secured_agent))
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_attribute("data-state", "live")
    page.context.clear_cookies()
    expect(page.get_by_role("alert")).to_contain_text("Your session has ended", timeout=20_000)


@pytest.mark.parametrize("scopes", [["read"], ["infer"], ["read", "run"]], ids="+".join)
def test_a_page_shows_what_its_token_may_and_says_what_not(
    browser: Browser, secured_agent: RunningAgent, scopes: list[str]
) -> None:
    """Controls that would be refused are disabled with the reason; nothing is asked for that is refused."""
    name = f"page-{'-'.join(scopes)}"
    viewer = with_token(secured_agent, make(secured_agent, name, *scopes).token)
    with secured_agent.http() as http, visit(browser, secured_agent) as seen:
        refused: list[str] = []
        seen.page.on("response", lambda answer: refused.append(answer.url) if answer.status == 403 else None)
        job = http.post("/v1/jobs", json=benchmark(duration_s=60), extensions=SNI).raise_for_status().json()["id"]
        page = seen.page
        page.goto(f"{secured_agent.url}/#{new_code(viewer)}")
        if "read" in scopes:
            expect(page.locator("#status")).to_have_attribute("data-state", "live")
            expect(page.locator("#running-name")).to_contain_text("digits")
            cancel = page.get_by_role("button", name="Cancel job")
            expect(cancel).to_be_enabled() if "run" in scopes else expect(cancel).to_be_disabled()
            assert ("needs the scope run" in (cancel.get_attribute("title") or "")) == ("run" not in scopes)
        else:
            expect(page.locator("#running-hint")).to_contain_text("needs the scope read")
            expect(page.locator("#jobs")).to_be_hidden()
            expect(page.locator("#panels")).to_be_hidden()
        expect(page.locator("#access")).to_contain_text(f"The token {name} is for {', '.join(scopes)}: ")
        images = page.locator("#try-input")
        expect(images).to_be_enabled() if "infer" in scopes else expect(images).to_be_disabled()
        if "infer" not in scopes:
            expect(page.locator("#try-drop-text")).to_contain_text("needs the scope infer")
        screenshot(page, f"live-{name}")
        http.post(f"/v1/jobs/{job}/cancel", extensions=SNI).raise_for_status()
        assert refused == []


def test_revoking_a_token_shows_its_pages_the_gate(outside: Watched, secured_agent: RunningAgent) -> None:
    """The stream ends, the session with it, and nothing of the device is shown any more."""
    viewer = with_token(secured_agent, make(secured_agent, "soon-gone", "read").token)
    page = outside.open(f"#{new_code(viewer)}")
    assert revoke(secured_agent, "soon-gone").status_code == 204
    expect(page.get_by_role("alert")).to_contain_text("Your session has ended", timeout=20_000)
    expect(page.locator("#live")).to_be_hidden()
    assert page.locator("#device").inner_text().strip() == ""


def test_cookies_of_other_applications_leave_the_session_alone(outside: Watched, secured_agent: RunningAgent) -> None:
    """Cookies of a host are shared by all its ports; what others put there is no cookie grammar's example."""
    page = outside.open(f"#{new_code(secured_agent)}")
    for cookie in (
        'prefs={"theme":"dark","n":[1,2]}',
        "name=J\u00f6rg \u6771\u4eac",
        'open="never closed',
        "two=words here",
        "a[0]=1",
    ):
        page.evaluate("cookie => { document.cookie = `${cookie}; Path=/; Max-Age=600`; }", cookie)
    assert "prefs=" in page.evaluate("document.cookie")
    page.reload()
    expect(page.locator("#status")).to_have_attribute("data-state", "live")
    expect(page.locator("#gate")).to_be_hidden()


def test_a_page_on_another_port_cannot_cancel_a_job(browser: Browser, device: Device, tmp_path: Path) -> None:
    """The agent has no token, the page is on this machine too, and what it asks for is refused."""
    (tmp_path / "index.html").write_text("<title>another application</title>")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as other, device.agent.http() as http:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        job = http.post("/v1/jobs", json=command("sleep", "600")).raise_for_status().json()["id"]
        context = browser.new_context()
        try:
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{other.server_port}/")
            for host in (device.agent.url, device.agent.url.replace("127.0.0.1", "localhost")):
                url = f"{host}/v1/jobs/{job}/cancel"
                assert (
                    page.evaluate("url => fetch(url, {method: 'POST', mode: 'no-cors'}).then(a => a.type)", url)
                    == "opaque"
                )
            assert http.get(f"/v1/jobs/{job}").json()["state"] in ("queued", "running")
        finally:
            context.close()
            other.shutdown()
            http.post(f"/v1/jobs/{job}/cancel").raise_for_status()


def test_the_policy_holds(outside: Watched, secured_agent: RunningAgent) -> None:
    """What somebody might smuggle in does not run, and nothing is sent elsewhere."""
    page = outside.open(f"#{new_code(secured_agent)}")
    tried = page.evaluate("""async () => {
        const script = document.createElement("script");
        script.textContent = "window.smuggled = true";
        document.body.append(script);
        const image = document.createElement("img");
        image.setAttribute("onerror", "window.smuggled = true");
        image.src = "data:,";
        document.body.append(image);
        const sent = await fetch("http://127.0.0.1:9/").then(() => "sent", () => "stopped");
        const frame = document.createElement("iframe");
        frame.src = "/";
        document.body.append(frame);
        await new Promise((resolve) => setTimeout(resolve, 200));
        return [window.smuggled === undefined, sent];
    }""")
    assert tried == [True, "stopped"]
    stopped = page.evaluate("window.violations.splice(0)")
    assert {"script-src-elem", "script-src-attr", "connect-src"} <= set(stopped)
    outside.errors.clear()


def test_an_open_agent_needs_no_code(home: Home, agent: RunningAgent) -> None:
    """On this machine without a token the address is the plain one; no browser is started without a screen."""
    done = home.knows(agent).client("open", DISPLAY="", WAYLAND_DISPLAY="", BROWSER="")
    assert done.stdout == f"{agent.url}/\n"
    assert done.stderr == ""


def test_a_browser_is_started(home: Home, agent: RunningAgent) -> None:
    """The one that BROWSER names, with the address as its argument."""
    script = home.folder / "browser"
    script.write_text('#!/bin/sh\nprintf %s "$1" > "$HOME/opened"\n')
    script.chmod(0o755)
    done = home.knows(agent).client("open", "--host", "edge1", BROWSER=f"{script} %s")
    assert done.returncode == 0
    assert done.stdout == ""
    assert "is open in the browser" in done.stderr
    assert (home.folder / "opened").read_text() == f"{agent.url}/"


def test_an_unknown_host_and_a_dead_agent_are_errors(home: Home) -> None:
    """One line that says what to do, and the exit codes of the other commands."""
    assert home.client("open", "nowhere").returncode == 2
    dead = home.client("open", "--host", "http://127.0.0.1:9")
    assert dead.returncode == 3
    assert "cannot connect" in dead.stderr
