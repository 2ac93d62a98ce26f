"""Telemetry on the live page: values, alarms, pauses, silence, and the way back."""

import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from server.telemetry.live import STREAMS_MAX
from tests.agents import running_agent, wait_for
from tests.browser import screenshot
from tests.server.jobs.running import benchmark, shell, submit, wait_until_ended
from tests.server.live_page.conftest import Device, Watched, visit

TEMPERATURE = '[aria-label="CPU temperature"] .value'


def test_what_the_sensors_say_is_shown(seen: Watched, device: Device) -> None:
    """Values follow the sensors; what is not measured says why instead of showing nothing or zero."""
    device.set_temperature(48)
    page = seen.open()
    expect(page.locator(TEMPERATURE)).to_have_text("48 \u00b0C")
    expect(page.locator('[aria-label="Memory used"]')).to_contain_text("1.85 GiB of 3.70 GiB")
    expect(page.locator('[aria-label="CPU clock"]')).to_contain_text("1.50 GHz")
    expect(page.locator('[aria-label="GPU temperature"]')).to_contain_text("Not measured: no GPU sensor")
    device.set_temperature(71)
    expect(page.locator(TEMPERATURE)).to_have_text("71 \u00b0C")
    expect(page.locator('[aria-label="CPU temperature"] [role=img]')).to_have_attribute(
        "aria-label", re.compile("71 .C now, between 48 .C and 71 .C")
    )


def test_axes_stand_still(seen: Watched) -> None:
    """Shares end at 100 %, memory at what there is, temperatures above the trip point, whatever was seen."""
    axes = seen.open().evaluate("""async () => {
        const { PANELS } = await import("/static/panels.js");
        const { Past } = await import("/static/past.js");
        const past = new Past();
        const values = {memory_used_bytes: 1, memory_total_bytes: 4096, cpu_temperature_trip_celsius: 95};
        const info = Object.fromEntries(Object.keys(values).map((key) => [key, {metric: key, labels: {}}]));
        past.take({at: "2026-01-01T00:00:00Z", t_s: 0, interval_s: 1, values, info, unavailable: {}});
        return Object.fromEntries(PANELS.map((panel) => {
            const axis = panel.axis(past, 3);
            return [panel.title, [axis.min, axis.max]];
        }));
    }""")
    assert axes["CPU utilization"] == axes["Disk busy"] == [0, 1]
    assert axes["Memory used"] == [0, 4096]
    assert axes["CPU temperature"] == [20, 120]
    assert axes["Power"] == [0, 5]


def test_throttling_is_an_alarm_while_it_lasts(seen: Watched, device: Device) -> None:
    """The firmware's live flags count, those since boot do not; a job that measures will be unreliable."""
    device.set_temperature(60)
    device.set_throttled(0x10000)
    page = seen.open()
    alarm = page.get_by_role("alert")
    expect(alarm).to_be_hidden()
    with device.agent.http() as http:
        job = submit(http, benchmark(duration_s=30) | {"name": "hot"})
        expect(page.locator("#running-name")).to_contain_text("hot")
        device.set_throttled(0x50005)
        expect(alarm).to_contain_text(
            "Throttled now. The power supply is too weak. The firmware is limiting the clock."
        )
        expect(alarm).to_contain_text("hot will be marked unreliable")
        screenshot(page, "live-throttled")
        device.set_throttled(0x50000)
        expect(alarm).to_be_hidden()
        http.post(f"/v1/jobs/{job.id}/cancel")
        wait_until_ended(http, job.id)
    device.set_temperature(81)
    expect(alarm).to_contain_text("The CPU is at 81 \u00b0C")
    device.set_temperature(48)


def test_a_pause_holds_the_image_and_loses_nothing(seen: Watched, device: Device) -> None:
    """What came meanwhile is there afterwards."""
    device.set_temperature(48)
    page = seen.open()
    expect(page.locator(TEMPERATURE)).to_have_text("48 \u00b0C")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#status")).to_contain_text("paused")
    device.set_temperature(66)
    with device.agent.http() as http:
        wait_for(lambda: http.get("/v1/telemetry").json()["values"]["cpu_temperature_celsius"] == 66)
    with page.expect_response("**/v1/jobs**"):
        pass  # the page goes on
    assert page.locator(TEMPERATURE).inner_text() == "48 \u00b0C"
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(TEMPERATURE)).to_have_text("66 \u00b0C")
    device.set_temperature(48)


def test_who_comes_later_sees_the_last_minutes(browser: Browser, seen: Watched, device: Device) -> None:
    """The agent remembers while somebody looks, so a reload or a second viewer does not begin with nothing."""
    device.set_temperature(52)
    expect(seen.open().locator(TEMPERATURE)).to_have_text("52 \u00b0C")
    device.set_temperature(48)
    expect(seen.page.locator(TEMPERATURE)).to_have_text("48 \u00b0C")
    with visit(browser, device.agent) as other:
        expect(other.open().locator('[aria-label="CPU temperature"] [role=img]')).to_have_attribute(
            "aria-label", re.compile("48 .C now, between 48 .C and (5[2-9]|[6-9].) .C")
        )


def test_a_lost_agent_greys_the_page_until_it_is_back(browser: Browser, tmp_path: Path) -> None:
    """After three missed beats the page says so; it tries again, and goes on by itself."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent:
        port = str(agent.address[1])
        with visit(browser, agent) as seen:
            page = seen.open()
            agent.process.terminate()
            agent.process.wait(timeout=60)
            status = page.locator("#status")
            expect(status).to_have_text(re.compile(r"stale: no data for \d+ s, trying again in \d+ s"), timeout=20_000)
            expect(page.locator("body")).to_have_class("stale")
            assert float(page.locator("#panels").evaluate("node => getComputedStyle(node).opacity")) < 1
            screenshot(page, "live-stale")
            with running_agent(tmp_path / "data", "--workers", "1", "--port", port):
                expect(status).to_have_attribute("data-state", "live", timeout=60_000)
                expect(page.locator("body")).not_to_have_class("stale")
                seen.errors.clear()  # refused connections


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(browser: Browser, device: Device, scheme: str) -> None:
    """axe has no serious finding, with a job running, in either scheme and in the result's dialog."""
    with device.agent.http() as http:
        ended = submit(http, benchmark(iterations=50) | {"name": "ended"})
        wait_until_ended(http, ended.id)
        running = submit(http, shell("sleep 60") | {"name": "running"})
        waiting = submit(http, shell("true") | {"name": "waiting"})
        with visit(browser, device.agent, color_scheme=scheme) as seen:
            page = seen.open()
            expect(page.locator("#running-name")).to_contain_text("running")
            expect(page.locator("#jobs-queue")).to_contain_text("waiting")
            assert serious(seen) == []
            screenshot(page, f"live-{scheme}")
            page.locator("#jobs-ended").get_by_role("button", name="ended").first.click()
            expect(page.locator("#result-body .numbers")).to_be_visible()
            assert serious(seen) == []
        for job in (waiting, running):
            http.post(f"/v1/jobs/{job.id}/cancel")
            wait_until_ended(http, job.id)


def serious(seen: Watched) -> list[str]:
    """What axe finds that keeps somebody out."""
    found = Axe().run(seen.page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in ("serious", "critical")]


def test_the_page_fits_a_phone(browser: Browser, device: Device) -> None:
    """Nothing is wider than the screen."""
    with visit(browser, device.agent, viewport={"width": 390, "height": 844}) as seen:
        page = seen.open()
        expect(page.locator("#panels canvas").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        screenshot(page, "live-phone")


def test_the_keyboard_is_enough(seen: Watched, device: Device) -> None:
    """Every control is reached with Tab and works; a closed dialog gives the focus back."""
    with device.agent.http() as http:
        wait_until_ended(http, submit(http, shell("true") | {"name": "by keyboard"}).id)
    page = seen.open()
    expect(page.locator("#jobs-ended tbody tr").first).to_contain_text("by keyboard")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert {"pause", "by keyboard", "try-model", "try-input"} <= reached
    page.locator("#pause").focus()
    page.keyboard.press("Space")
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
    result = page.get_by_role("button", name="by keyboard")
    result.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#result")).to_be_visible()
    page.keyboard.press("Escape")
    expect(result).to_be_focused()


def test_a_tab_that_nobody_sees_gives_its_streams_back(seen: Watched) -> None:
    """And fetches what it missed when somebody looks again."""
    page = seen.page
    page.clock.install()
    seen.open()
    hide = """(hidden) => {
        Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    with page.expect_event("requestfailed", lambda request: "/v1/telemetry/stream" in request.url):
        page.clock.fast_forward(11_000)
    with page.expect_request("**/v1/telemetry/stream**"):
        page.evaluate(hide, False)
    expect(page.locator("#status")).to_have_attribute("data-state", "live")


def test_a_crowded_agent_says_so(seen: Watched, device: Device) -> None:
    """When all streams are taken the page tells the agent's reason, and goes on when there is room."""
    with device.agent.http() as http, ExitStack() as crowd:
        streams = [crowd.enter_context(http.stream("GET", "/v1/telemetry/stream")) for _ in range(STREAMS_MAX)]
        readers = [stream.iter_bytes() for stream in streams]  # a reader that is dropped hangs up
        for reader in readers:
            next(reader)
        seen.page.goto(seen.agent.url)
        expect(seen.page.locator("#status")).to_contain_text(f"{STREAMS_MAX} streams of telemetry are open already")
        crowd.close()
        expect(seen.page.locator("#status")).to_have_attribute("data-state", "live")
    seen.errors[:] = [error for error in seen.errors if "status of 429" not in error]
