"""An agent's metrics, read by the official parsers."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx
from prometheus_client import parser
from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser

from contract.paths import METRICS, TLS_SERVER_NAME
from server.metrics.exposition import OPENMETRICS
from tests.agents import RunningAgent

ACCEPT_OF_PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.1"
)
"""What Prometheus 3 sends."""


@dataclass
class Scrape:
    """What one look at /metrics brought."""

    families: Mapping[str, Metric]

    @property
    def names(self) -> dict[str, set[str]]:
        """Names of all series, each with the labels that any of it has."""
        found: dict[str, set[str]] = {}
        for family in self.families.values():
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
        return found

    @property
    def series(self) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        """Every series by name and labels."""
        return {
            (sample.name, tuple(sorted(sample.labels.items())))
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        """The sum of the samples of a name that have these labels, None where there is none."""
        values = [
            sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(values) if values else None


def ask(agent: RunningAgent, *, token: bool = True, **headers: str) -> httpx.Response:
    """One GET of the metrics, as the agent's owner or as a stranger."""
    with agent.http() as http:
        if not token:
            del http.headers["authorization"]
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return http.get(METRICS, headers=named, extensions={"sni_hostname": TLS_SERVER_NAME})


def scrape(agent: RunningAgent, accept: str = "*/*") -> Scrape:
    """The metrics as the parser of their format reads them."""
    response = ask(agent, accept=accept)
    assert response.status_code == 200, response.text
    is_openmetrics = response.headers["content-type"] == OPENMETRICS
    read = (openmetrics_parser if is_openmetrics else parser).text_string_to_metric_families
    families = list(read(response.text))
    assert len({family.name for family in families}) == len(families)
    return Scrape({family.name: family for family in families})
