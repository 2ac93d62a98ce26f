"""Jobs on the live page: the one that runs, those that wait, what those found that ended."""

import re

from playwright.sync_api import Page, expect

from contract.results import BenchmarkResult, ProfileResult
from tests.agents import wait_for
from tests.browser import screenshot
from tests.server.jobs.running import benchmark, job_of, result_of, shell, submit, wait_until_ended
from tests.server.live_page.conftest import Device, Watched

INK = """(canvas) => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return pixels.filter((value, index) => index % 4 === 3 && value > 0).length;
}"""


def ink(page: Page, chart: str) -> int:
    """How many pixels of a chart are drawn on."""
    return sum(canvas.evaluate(INK) for canvas in page.locator(f"{chart} canvas").all())


def test_a_job_is_seen_from_its_start_to_its_result(seen: Watched, device: Device) -> None:
    """Progress moves, windows and telemetry are drawn, and the result in the dialog is the one that was measured."""
    page = seen.open()
    with device.agent.http() as http:
        job = submit(http, benchmark(duration_s=6, window_s=0.5) | {"name": "watched"})
        progress = page.locator("#running-progress")
        expect(page.locator("#running-name")).to_contain_text("watched")
        wait_for(lambda: (progress.evaluate("bar => bar.value") or 0) > 1)
        first = progress.evaluate("bar => bar.value")
        wait_for(lambda: progress.evaluate("bar => bar.value") > first)
        expect(page.locator("#running-progress-text")).to_have_text(re.compile(r"of 6\.0 s, about .* left"))
        expect(page.locator("#running-fps")).to_have_text(re.compile(r"^[\d,.]+ per s$"))
        expect(page.locator("#running-windows canvas")).to_have_count(2)
        expect(page.locator("#running-windows [role=img]").first).to_have_attribute(
            "aria-label", re.compile(r"Frames per second, by window: \d+ windows")
        )
        for panel in ("CPU temperature", "Memory used"):
            assert ink(page, f'[aria-label="{panel}"]') > 500, panel
        screenshot(page, "live-job-running")

        wait_until_ended(http, job.id)
        result = result_of(http, job.id)
    row = page.locator("#jobs-ended tbody tr", has_text="watched")
    expect(row).to_contain_text("done")
    expect(page.locator("#running-heading")).to_have_text("No job is running")
    row.get_by_role("button").click()
    assert isinstance(result, BenchmarkResult)
    assert result.latency is not None
    expect(page.locator("#result-body .numbers")).to_contain_text("Median latency")
    expect(page.locator("#result-body .numbers")).to_contain_text(f"{result.latency.p50_ms:.4f}"[:5])
    expect(page.locator("#result-body")).to_contain_text(result.validity.verdict)
    expect(page.locator("#result-body")).to_contain_text(f"{result.iterations} iterations")
    screenshot(page, "live-result")

    with page.expect_download() as download:
        page.get_by_text("result.json").click()
    assert BenchmarkResult.model_validate_json(download.value.path().read_bytes()) == result
    page.keyboard.press("Escape")
    expect(page.locator("#result")).to_be_hidden()


def test_jobs_are_cancelled_from_the_page(seen: Watched, device: Device) -> None:
    """One that waits from its row, one that runs from the strip; saying no changes nothing."""
    page = seen.open()
    with device.agent.http() as http:
        running = submit(http, shell("sleep 60") | {"name": "long"})
        waiting = submit(http, shell("true") | {"name": "patient"})
        page.get_by_role("button", name="Cancel patient").click()
        expect(page.locator("#confirm-heading")).to_have_text("Cancel patient?")
        page.get_by_role("button", name="Let it go on").click()
        expect(page.locator("#confirm")).to_be_hidden()
        assert not job_of(http, waiting.id).state.ended
        page.get_by_role("button", name="Cancel patient").click()
        page.get_by_role("button", name="Cancel the job").click()
        assert wait_until_ended(http, waiting.id).state == "cancelled"

        expect(page.locator("#running-name")).to_contain_text("long")
        page.locator("#running-cancel").click()
        page.get_by_role("button", name="Cancel the job").click()
        assert wait_until_ended(http, running.id).state == "cancelled"
    expect(page.locator("#jobs-ended tr", has_text="long")).to_contain_text("cancelled")
    expect(page.locator("#jobs-ended tr", has_text="patient")).to_contain_text("cancelled")


def test_what_a_program_left_can_be_fetched(seen: Watched, device: Device) -> None:
    """Exit code and links to output, telemetry and artefacts, which the browser can fetch."""
    with device.agent.http() as http:
        job = submit(http, shell('echo hello; echo kept > "$OUTPUT/file.txt"; exit 3') | {"name": "program"})
        wait_until_ended(http, job.id)
    page = seen.open()
    page.get_by_role("button", name="program").click()
    expect(page.locator("#result-body")).to_contain_text("file.txt (5 B)")
    expect(page.locator("#result-body")).to_contain_text("the program ended with exit code 3")
    for name, content in (("stdout.txt", b"hello\n"), ("artifacts.tar", b"kept"), ("telemetry.csv", b"t_s")):
        with page.expect_download() as download:
            page.get_by_text(name, exact=True).click()
        assert content in download.value.path().read_bytes()


def test_hostile_names_are_text(seen: Watched, device: Device) -> None:
    """Names of jobs and devices with markup are shown letter by letter and parsed never."""
    hostile = "<img src=x onerror=document.title='owned'><b>bold</b>"
    with device.agent.http() as http:
        ended = submit(http, shell("exit 1") | {"name": hostile})
        wait_until_ended(http, ended.id)
        running = submit(http, shell("sleep 60") | {"name": hostile})
        waiting = submit(http, shell("true") | {"name": hostile})
        page = seen.open()
        expect(page.locator("#device")).to_have_text("edge1 <b>&amp;</b>")
        expect(page.locator("#running-name")).to_contain_text(hostile)
        expect(page.locator("#jobs-queue tbody")).to_contain_text(hostile)
        page.locator("#jobs-ended").get_by_role("button", name=hostile).first.click()
        expect(page.locator("#result-heading")).to_have_text(hostile)
        expect(page.locator("#result-body")).to_contain_text("exit code 1")
        assert page.locator("b, img[src='x']").count() == 0
        assert page.title() == "edge1 <b>&amp;</b> - edgerun"
        for job in (waiting, running):
            http.post(f"/v1/jobs/{job.id}/cancel")
            wait_until_ended(http, job.id)


def test_long_lists_are_shown_in_parts(seen: Watched, device: Device) -> None:
    """The job that runs and those whose turn is next are seen behind any number of others; older ones on demand."""
    page = seen.open()
    with device.agent.http() as http:
        jobs = [submit(http, shell("sleep 60") | {"name": f"many {n}"}) for n in range(34)]
        expect(page.locator("#running-name")).to_contain_text("many 0")
        expect(page.locator("#queue-heading")).to_have_text("Waiting: 33, the next 20 of them")
        expect(page.locator("#jobs-queue tbody tr").first).to_contain_text("many 1")
        for job in reversed(jobs):
            http.post(f"/v1/jobs/{job.id}/cancel")
        wait_until_ended(http, jobs[0].id)
    rows = page.locator("#jobs-ended tbody tr")
    expect(rows.first).to_contain_text("many 33")
    for count in (10, 20, 30):
        expect(rows).to_have_count(count)
        page.get_by_role("button", name="Older jobs").click()
    names = page.locator("#jobs-ended .job button")
    wait_for(lambda: names.count() > 30)
    assert len({name for name in names.all_inner_texts() if name.startswith("many")}) == 34


def test_a_profile_is_shown_operator_by_operator(seen: Watched, device: Device) -> None:
    """The slowest operators, with their share of the time."""
    with device.agent.http() as http:
        request = {"kind": "profile", "name": "profiled", "spec": {"model": "digits", "iterations": 50}}
        job = submit(http, request)
        wait_until_ended(http, job.id)
        result = result_of(http, job.id)
    assert isinstance(result, ProfileResult)
    page = seen.open()
    page.get_by_role("button", name="profiled").click()
    rows = page.locator("#result-body tbody tr")
    expect(rows).to_have_count(len(result.operators))
    slowest = max(result.operators, key=lambda operator: operator.share)
    expect(rows.first).to_contain_text(f"{slowest.share:.1%}".replace("%", " %"))
    expect(page.locator("#result-body")).to_contain_text("Explained by operators")


def test_the_end_of_the_lease_is_counted_down(seen: Watched, device: Device) -> None:
    """Where the agent was told of one, and it stands out when it is near."""
    with device.agent.http() as http:
        page = seen.open()
        expect(page.locator("#lease")).to_be_hidden()
        try:
            http.put("/v1/lease", json={"left_s": 7200}).raise_for_status()
            page = seen.open()
            expect(page.locator("#lease")).to_have_text("lease ends in 2 h")
            http.put("/v1/lease", json={"left_s": 95}).raise_for_status()
            page = seen.open()
            expect(page.locator("#lease")).to_have_text(re.compile(r"lease ends in 9\d s"))
            expect(page.locator("#lease")).to_have_attribute("data-soon", "true")
            expect(page.locator("#lease")).to_have_text(re.compile(r"lease ends in 8\d s"))
            screenshot(page, "live-lease")
        finally:
            http.put("/v1/lease", json={"left_s": None})
