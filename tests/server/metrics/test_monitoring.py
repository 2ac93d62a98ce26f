"""The dashboard, the alarms and docs/monitoring.md name metrics and labels that exist."""

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import promql_parser as promql
import pytest
import yaml

from tests.agents import TOKEN, RunningAgent, running_agent, wait_for
from tests.home import Home
from tests.images import digit
from tests.server.metrics.reading import Scrape, scrape
from tests.server.telemetry.trees import HWMON, PI4_THROTTLED, plant, x86_with_amdgpu, zone

ROOT = Path(__file__).parents[3]
MONITORING = (ROOT / "docs" / "monitoring.md").read_text()
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "edgerun.json").read_text())
OF_THE_SCRAPE = {"instance", "job"}
"""Labels that Prometheus adds."""
ADDED = {"up"}
"""A metric that Prometheus makes itself."""
INTERVALS = {"$__rate_interval": "1m", "$__interval": "1m"}


def machine_with_every_sensor(root: Path) -> Path:
    """No machine has them all: a desktop with a Pi's flags and supply, a trip point, and cooling by its clock.

    Its CPU is this one, whose counters go on.
    """
    plant(
        x86_with_amdgpu(root),
        zone(0, "cpu-thermal", 48_312, passive=80_000)
        | {
            PI4_THROTTLED: "10001\n",
            f"{HWMON}9/name": "rpi_volt\n",
            f"{HWMON}9/in0_lcrit_alarm": "1\n",
            "sys/class/thermal/cooling_device1/type": "cpufreq-cpu0\n",
            "sys/class/thermal/cooling_device1/cur_state": "2\n",
        },
    )
    (root / "proc" / "stat").unlink()
    (root / "proc" / "stat").symlink_to("/proc/stat")
    return root


@contextmanager
def busy_agent(folder: Path) -> Iterator[RunningAgent]:
    """An agent with a token that has answered a few requests, on a machine with every sensor."""
    tree = machine_with_every_sensor(folder / "tree")
    with running_agent(folder / "data", "--workers", "1", "--sensors-root", str(tree), token=TOKEN) as agent:
        for picture in (digit(1), digit(2), b"no picture"):
            agent.post("/v1/classify", picture)
        with agent.http() as http:
            http.put("/v1/lease", json={"left_s": 3600.0}, extensions={"sni_hostname": "agent.edgerun.internal"})
        wait_for(lambda: scrape(agent).value("edgerun_inferences_total"))
        yield agent


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Scrape:
    """Everything that such an agent's metrics hold."""
    with busy_agent(tmp_path_factory.mktemp("busy")) as agent:
        return scrape(agent)


def expressions() -> dict[str, str]:
    """All queries of the dashboard and of the alarms, by where they stand."""
    panels = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
    }
    return panels | {rule["alert"]: rule["expr"] for group in alarms()["groups"] for rule in group["rules"]}


def alarms() -> dict[str, Any]:
    """The rules that the documentation shows."""
    found: dict[str, Any] = yaml.safe_load(blocks()[1])
    return found


def blocks() -> list[str]:
    """YAML of the documentation."""
    return re.findall("```yaml\n(.*?)```", MONITORING, re.S)


def parsed(expression: str) -> promql.Expr:
    """A query with Grafana's variables for intervals filled in; raises for what is no PromQL."""
    for name, value in INTERVALS.items():
        expression = expression.replace(name, value)
    return promql.parse(expression)


def selectors(expression: promql.Expr) -> list[promql.VectorSelector]:
    """Every selector in a query."""
    found: list[promql.VectorSelector] = []

    def visit(node: promql.Expr) -> bool:
        if isinstance(node, promql.VectorSelector):
            found.append(node)
        elif isinstance(node, promql.MatrixSelector):
            found.append(node.vector_selector)
        return True

    promql.walk(expression, visit)
    return found


def grouped(expression: promql.Expr) -> set[str]:
    """Labels that a query groups by."""
    found: set[str] = set()

    def visit(node: promql.Expr) -> bool:
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            found.update(node.modifier.labels)
        return True

    promql.walk(expression, visit)
    return found


@pytest.mark.parametrize(("place", "expression"), expressions().items())
def test_every_query_names_what_exists(seen: Scrape, place: str, expression: str) -> None:
    """Metrics, the labels they are chosen by, and the labels they are grouped by."""
    query = parsed(expression)
    chosen = selectors(query)
    assert chosen, place
    for selector in chosen:
        if selector.name in ADDED:
            continue
        assert selector.name in seen.names, place
        labels = {matcher.name for matcher in selector.matchers.matchers}
        assert labels - OF_THE_SCRAPE <= seen.names[selector.name], place
    possible = set().union(*(seen.names.get(selector.name or "", ()) for selector in chosen))
    assert grouped(query) - OF_THE_SCRAPE <= possible, place


def test_legends_name_labels_that_exist(seen: Scrape) -> None:
    """A legend without its label would be empty."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            names = {selector.name or "" for selector in selectors(parsed(target["expr"]))}
            possible = OF_THE_SCRAPE.union(*(seen.names[name] for name in names))
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= possible, panel["title"]


def test_variables_are_filled_from_metrics_that_exist(seen: Scrape) -> None:
    """The choices at the dashboard's top."""
    queries = [each["definition"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]
    assert len(queries) == 2
    for query in queries:
        match = re.fullmatch(r"label_values\((?P<of>[\w]+)(?:{.*})?, (?P<label>\w+)\)", query)
        assert match, query
        assert match["label"] in seen.names[match["of"]] | OF_THE_SCRAPE


def test_panels_do_not_overlap_and_have_numbers_of_their_own() -> None:
    """What Grafana would silently rearrange."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + i, at["y"] + j) for i in range(at["w"]) for j in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_the_documentation_names_every_metric_and_no_other(seen: Scrape) -> None:
    """Sensors are named as a whole."""
    families = {name for name in seen.families if name.startswith("edgerun_")}
    named = {name.removesuffix("_total") for name in re.findall(r"\bedgerun_\w+", MONITORING)}
    kinds = {f"{name}_info" if f"{name}_info" in named else name for name in families}
    sensors = {name for name in kinds if not re.search(rf"^\| .*`{name}(_total)?`", MONITORING, re.M)}
    with_sample = seen.families["edgerun_telemetry_sample_timestamp_seconds"]
    at = list(seen.families.values()).index(with_sample)
    assert sensors <= {family.name for family in list(seen.families.values())[at:]}
    assert named - kinds == set()


def test_the_client_prints_what_the_documentation_shows(home: Home, secured_agent: RunningAgent) -> None:
    """The same keys, with this host's values; token and certificate are in files of the user alone."""
    done = home.knows(secured_agent).client("hosts", "prometheus", "edge1")
    assert done.returncode == 0, done.stderr
    (job,) = yaml.safe_load(done.stdout)["scrape_configs"]
    (shown,) = yaml.safe_load(blocks()[0])["scrape_configs"]
    assert _keys(job) == _keys(shown)
    assert TOKEN not in done.stdout
    files = [Path(job["authorization"]["credentials_file"]), Path(job["tls_config"]["ca_file"])]
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600, 0o600]
    assert files[0].read_text() == TOKEN
    home.client("hosts", "rm", "edge1")
    assert not [path for path in files if path.exists()]


def _keys(value: object) -> object:
    if isinstance(value, dict):
        return {key: _keys(each) for key, each in value.items()}
    return [_keys(each) for each in value] if isinstance(value, list) else None


def test_a_token_is_not_to_be_sent_readable(home: Home) -> None:
    """Plain HTTP beyond loopback is refused, before a file is written."""
    home.writes("config/edgerun/hosts.toml", '[hosts.far]\nurl = "http://192.0.2.1:8080"\ntoken = "secret"\n')
    done = home.client("hosts", "prometheus", "far")
    assert done.returncode == 4
    assert "not encrypted" in done.stderr
    assert not home.hosts.prometheus_folder.exists()


@pytest.mark.slow
def test_a_real_prometheus_scrapes_and_answers_every_query(home: Home, tmp_path: Path) -> None:
    """With the token, over TLS, as `client hosts prometheus` has it set up."""
    programs = [shutil.which(name) for name in ("prometheus", "promtool")]
    if None in programs:
        pytest.skip("no prometheus and promtool on PATH: Debian's package `prometheus` has both")
    prometheus, promtool = map(str, programs)
    with busy_agent(tmp_path / "busy") as agent, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        jobs = home.knows(agent).client("hosts", "prometheus", "edge1").stdout
        (tmp_path / "rules.yml").write_text(blocks()[1])
        configuration = tmp_path / "prometheus.yml"
        configuration.write_text(f"global: {{scrape_interval: 1s}}\nrule_files: [rules.yml]\n{jobs}")
        _works(promtool, "check", "config", str(configuration))
        _works(promtool, "check", "metrics", stdin=agent.get("/metrics").text)
        options = (f"--storage.tsdb.path={tmp_path / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}")
        with (tmp_path / "prometheus.log").open("w") as log:
            process = subprocess.Popen([prometheus, f"--config.file={configuration}", *options], stderr=log)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False) as http:
                _answers_every_query(http)
        finally:
            process.terminate()
            process.wait(30)


def _answers_every_query(http: httpx.Client) -> None:
    def result(query: str) -> list[Any]:
        try:
            response = http.get("/query", params={"query": query})
        except httpx.TransportError:
            return []
        if response.status_code == 503:  # it is still starting
            return []
        document = response.json()
        assert document["status"] == "success", (query, document)
        found: list[Any] = document["data"]["result"]
        return found

    wait_for(lambda: [each["value"][1] for each in result('up{job="edgerun",instance="edge1"}')] == ["1"])
    wait_for(lambda: result('rate(edgerun_inferences_total{instance="edge1"}[1m])'))
    for place, expression in expressions().items():
        for name, value in {**INTERVALS, "$instance": "edge1", "$model": ".*"}.items():
            expression = expression.replace(name, value)
        found = result(expression)
        assert found or place.startswith("Edgerun"), place  # an alarm has no answer while all is well


def _works(*command: str, stdin: str = "") -> None:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
