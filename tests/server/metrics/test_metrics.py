"""/metrics of a real agent: what it counts, who may see it, and that clients cannot make it grow."""

import os
import random
import signal
import socket
from pathlib import Path

import httpx
import pytest

from contract.codes import ErrorCode
from contract.paths import METRICS, TLS_SERVER_NAME
from server.metrics.exposition import OPENMETRICS, TEXT
from tests.agents import TOKEN, RunningAgent, running_agent, wait_for
from tests.images import digit
from tests.server.metrics.reading import ACCEPT_OF_PROMETHEUS, ask, scrape
from tests.server.telemetry.trees import raspberry_pi_4
from tests.server.test_classify import problem

SNI = {"sni_hostname": TLS_SERVER_NAME}
PIPELINED = 25


def test_what_was_asked_is_counted(tmp_path: Path) -> None:
    """Requests by outcome, stages, and answers by route; several pictures in one request are one request."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent:
        for picture in (digit(1), digit(2), b"no picture"):
            agent.post("/v1/classify", picture)
        agent.post("/v1/models/digits/classify", digit(3))
        agent.post("/v1/models/nobody/classify", digit(3))
        with agent.http() as http:
            http.post("/v1/classify", files=[("image", digit(1)), ("image", digit(2)), ("image", b"none")])
        found = scrape(agent)
        digits = {"model": "digits", "task": "classification"}
        outcomes = {name: found.value("edgerun_inference_requests_total", outcome=name) for name in OUTCOMES}
        assert outcomes == {"success": 3, "partial": 1, "not_an_image": 1, "unknown_model": None}
        assert found.value("edgerun_inferences_total", runtime="litert", **digits) == 5
        assert found.value("edgerun_inference_executions_total", runtime="litert", **digits) == 5
        for stage in ("queue", "decode", "preprocess", "inference", "postprocess"):
            assert found.value("edgerun_inference_stage_seconds_count", stage=stage, **digits) == 5
            assert 0 < (found.value("edgerun_inference_stage_seconds_sum", stage=stage, **digits) or 0) < 5
        assert found.value("edgerun_inference_request_seconds_count", **digits) == 4
        route = {"method": "POST", "route": "/v1/models/{name}/classify"}
        assert found.value("edgerun_http_requests_total", status="200", **route) == 1
        assert found.value("edgerun_http_requests_total", status="404", **route) == 1
        assert found.value("edgerun_http_request_duration_seconds_count", **route) == 1


OUTCOMES = ("success", "partial", "not_an_image", "unknown_model")


def test_a_batch_over_the_protocol_is_one_request_and_one_execution(tmp_path: Path) -> None:
    """What the statistics of the Open Inference Protocol and the metrics say is one count."""
    tensor = {"name": "image", "shape": [2, 8, 8, 1], "datatype": "INT8", "data": [0] * 128}
    with running_agent(tmp_path / "data", "--workers", "1") as agent, agent.http() as http:
        assert http.post("/v2/models/digits/infer", json={"inputs": [tensor]}).status_code == 200
        assert http.post("/v2/models/digits/infer", json={"inputs": []}).status_code == 400
        found = scrape(agent)
        assert found.value("edgerun_inference_requests_total", model="digits", outcome="success") == 1
        assert found.value("edgerun_inference_requests_total", model="digits") == 2
        assert found.value("edgerun_inferences_total", model="digits", runtime="litert") == 2
        assert found.value("edgerun_inference_executions_total", model="digits") == 1
        assert found.value("edgerun_inference_stage_seconds_count", model="digits", stage="inference") == 1
        (told,) = http.get("/v2/models/digits/stats").json()["model_stats"]
        assert (told["inference_count"], told["execution_count"]) == (2, 1)
        assert (told["inference_stats"]["success"]["count"], told["inference_stats"]["fail"]["count"]) == (1, 1)
        route = {"method": "POST", "route": "/v2/models/{name}/infer"}
        assert found.value("edgerun_http_requests_total", **route) == 2


def test_the_state_of_the_agent_is_shown(tmp_path: Path) -> None:
    """Queue, workers with their restarts, models, build."""
    options = ("--workers", "2", "--queue", "7", "--device-name", 'a "device"\\', "--device-type", "raspberrypi4-64")
    with running_agent(tmp_path / "data", *options) as agent:
        wait_for(lambda: scrape(agent).value("edgerun_workers", state="ready", runtime="litert") == 2)
        found = scrape(agent)
        assert found.value("edgerun_build_info", device_name='a "device"\\', device_type="raspberrypi4-64") == 1
        assert found.value("edgerun_queue_limit") == 7
        assert (found.value("edgerun_queue_depth"), found.value("edgerun_requests_in_flight")) == (0, 0)
        assert (found.value("edgerun_ready"), found.value("edgerun_measuring")) == (1, 0)
        assert found.value("edgerun_model_info", model="digits", default="true") == 1
        assert found.value("edgerun_worker_restarts_total") == 0
        assert (found.value("process_resident_memory_bytes") or 0) > 10_000_000
        os.kill(agent.workers()[0], signal.SIGKILL)
        wait_for(lambda: scrape(agent).value("edgerun_worker_restarts_total", reason="worker_lost") == 1)
        wait_for(lambda: scrape(agent).value("edgerun_workers", state="ready") == 2)


def test_jobs_are_counted_also_when_they_are_removed(tmp_path: Path) -> None:
    """What is in the list, and what has ended since the start."""
    job = {"kind": "benchmark", "spec": {"model": "digits", "iterations": 5}}
    with running_agent(tmp_path / "data", "--workers", "1") as agent, agent.http() as http:
        path = http.post("/v1/jobs", json=job).headers["location"]
        wait_for(lambda: http.get(path).json()["state"] == "succeeded")
        wait_for(lambda: scrape(agent).value("edgerun_jobs", state="succeeded") == 1)
        found = scrape(agent)
        assert found.value("edgerun_jobs_ended_total", kind="benchmark", outcome="succeeded") == 1
        assert found.value("edgerun_jobs_ended_total", kind="command", outcome="failed") == 0
        assert (found.value("edgerun_jobs_stored_bytes") or 0) > 100
        assert http.delete(path).status_code == 204
        wait_for(lambda: scrape(agent).value("edgerun_jobs", state="succeeded") == 0)
        assert scrape(agent).value("edgerun_jobs_ended_total", outcome="succeeded") == 1


def test_sensors_are_shown_as_far_as_they_are_there(tmp_path: Path) -> None:
    """A Pi's temperature and flags with their labels; what it does not have has no series, and is never 0."""
    tree = raspberry_pi_4(tmp_path / "tree")
    with running_agent(tmp_path / "data", "--workers", "1", "--sensors-root", str(tree)) as agent:
        found = scrape(agent)
        assert found.value("edgerun_cpu_temperature_celsius") == pytest.approx(48.312)
        assert found.value("edgerun_throttle_active", reason="under_voltage") == 0
        assert found.value("edgerun_throttle_since_boot", reason="under_voltage") == 1
        assert found.value("edgerun_cgroup_cpu_throttled_seconds_total") == pytest.approx(0.04)
        with agent.http() as http:
            known = http.get("/v1/telemetry").json()
        absent = {key for key, value in known["values"].items() if value is None and "{" not in key}
        assert {"gpu_temperature_celsius", "power_watts"} <= absent
        assert not {f"edgerun_{name}" for name in absent} & found.names.keys()
        assert (found.value("edgerun_telemetry_sample_timestamp_seconds") or 0) > 1_700_000_000


def test_both_formats_say_the_same(agent: RunningAgent) -> None:
    """Prometheus gets OpenMetrics, whoever asks for nothing gets text; no series is lost on the way."""
    agent.post("/v1/classify", digit(1))
    assert ask(agent).headers["content-type"] == TEXT
    assert ask(agent, accept=ACCEPT_OF_PROMETHEUS).headers["content-type"] == OPENMETRICS
    plain, structured = scrape(agent), scrape(agent, ACCEPT_OF_PROMETHEUS)
    assert {name for name, _ in plain.series} == {name for name, _ in structured.series}
    assert structured.families["edgerun_inference_stage_seconds"].unit == "seconds"


@pytest.mark.parametrize("accept", ["application/openmetrics-text; version=x.y", ";;=,,", "a" * 4000, ""])
def test_a_strange_accept_header_costs_nothing(agent: RunningAgent, accept: str) -> None:
    """It gets the text."""
    assert ask(agent, accept=accept).headers["content-type"] == TEXT


def test_gzip_if_asked(agent: RunningAgent) -> None:
    """The same metrics, several times smaller."""
    plain, compressed = ask(agent, accept_encoding="identity"), ask(agent, accept_encoding="gzip")
    assert "content-encoding" not in plain.headers
    assert compressed.headers["content-encoding"] == "gzip"
    assert int(compressed.headers["content-length"]) * 3 < int(plain.headers["content-length"])
    assert "accept-encoding" in compressed.headers["vary"]


def test_the_token_is_needed(secured_agent: RunningAgent) -> None:
    """Without it nothing is said; with it everything."""
    assert problem(ask(secured_agent, token=False)).code == ErrorCode.UNAUTHORIZED
    assert "edgerun_build_info" in scrape(secured_agent).names


def test_open_metrics_are_open_and_nothing_else_is(tmp_path: Path) -> None:
    """To be read, by whoever comes without a token; a wrong one is still told so."""
    with running_agent(tmp_path / "data", "--workers", "1", "--open-metrics", "on", token=TOKEN) as agent:
        assert ask(agent, token=False).status_code == 200
        assert ask(agent, authorization="Bearer wrong").status_code == 401
        with agent.http() as http:
            del http.headers["authorization"]
            assert http.post(METRICS, extensions=SNI).status_code == 401
            for path in ("/metrics/", "/v1/info", "/v1/telemetry", "/openapi.json"):
                assert http.get(path, extensions=SNI).status_code == 401


def test_open_metrics_are_not_open_to_pages_of_other_sites(tmp_path: Path) -> None:
    """An agent without a token answers this machine's own programs only, whatever name leads there."""
    with running_agent(tmp_path / "data", "--workers", "1", "--open-metrics", "on") as agent:
        assert ask(agent).status_code == 200
        assert problem(ask(agent, host="evil.example")).code == ErrorCode.FORBIDDEN_ORIGIN


def test_series_of_a_model_go_with_it(tmp_path: Path) -> None:
    """A name that is free again has left nothing."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent, agent.http() as http:
        before = scrape(agent).value("edgerun_models")
        assert http.put("/v1/synthetic-models/resnet20-int8").status_code == 201
        agent.post("/v1/models/resnet20-int8/classify", digit(1))
        wait_for(lambda: scrape(agent).value("edgerun_inferences_total", model="resnet20-int8") == 1)
        assert http.delete("/v1/models/resnet20-int8").status_code == 204
        wait_for(lambda: scrape(agent).value("edgerun_models") == before)
        assert not [labels for _, labels in scrape(agent).series if ("model", "resnet20-int8") in labels]


def test_clients_cannot_make_series(tmp_path: Path) -> None:
    """Ten thousand paths, names and methods that nobody has heard of leave the number of series where it was."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent:
        scrape(agent)
        assert flood(agent, 500, seed=1) == 500
        wait_for(lambda: (scrape(agent).value("edgerun_http_requests_total") or 0) >= 500)
        before = scrape(agent)
        assert flood(agent, 10_000, seed=2) == 10_000
        wait_for(lambda: (scrape(agent).value("edgerun_http_requests_total") or 0) >= 10_500)
        after = scrape(agent)
        assert after.series == before.series
        assert {route for name, labels in after.series for key, route in labels if key == "method"} <= {
            *("GET", "HEAD", "POST", "PUT", "DELETE", "other")
        }
        assert not [labels for _, labels in after.series if "invented" in str(labels)]


def flood(agent: RunningAgent, count: int, seed: int) -> int:
    """Send requests that no two are alike, many on each connection; gives how many were answered."""
    randomness, answered = random.Random(seed), 0
    for _ in range(count // PIPELINED):
        lines = []
        for number in range(PIPELINED):
            method, path = invented(randomness)
            end = "Connection: close\r\n" if number == PIPELINED - 1 else ""
            lines.append(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n{end}\r\n")
        with socket.create_connection(agent.address, timeout=60) as connection:
            connection.sendall("".join(lines).encode("latin-1"))
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
        answered += received.count(b"HTTP/1.1 ")
    return answered


def invented(randomness: random.Random) -> tuple[str, str]:
    """A method and a path, some of them near what is there."""
    name = f"invented-{randomness.getrandbits(64):x}"
    odd = ("%00", "%0a", "%22%5c", "..", "%ff", "%C3%A9", "'", "{name}")
    paths = (
        f"/{name}",
        f"/v1/models/{name}",
        f"/v1/models/{name}/classify",
        f"/v1/jobs/{name}/events",
        f"/v1/{name}/{randomness.choice(odd)}",
        f"/v1/models/{randomness.choice(odd)}{name}",
        f"/static/{name}.js",
        f"/metrics/{name}",
        f"/v1/classify?model={name}",
        f"/{name}" + f"/{randomness.choice(odd)}" * 20,
    )
    methods = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "MKCOL", "PURGE", "REPORT")
    method = randomness.choice(methods)
    return (method, randomness.choice(paths)) if method != "POST" else ("POST", paths[2])


def test_asking_without_end_is_answered_from_what_is_known(agent: RunningAgent) -> None:
    """Who asks faster than the agent collects gets the same answer again, so that pictures have the device."""
    with agent.http() as http:
        answers = [http.get(METRICS).content for _ in range(100)]
    assert len(set(answers)) < len(answers) / 2


def test_the_description_has_both_formats(agent: RunningAgent) -> None:
    """OpenAPI names the path, its two types and what it answers without a token."""
    described = httpx.get(f"{agent.url}/openapi.json").json()["paths"][METRICS]["get"]["responses"]
    assert set(described["200"]["content"]) == {TEXT.split(";")[0], OPENMETRICS.split(";")[0]}
    assert "401" in described
