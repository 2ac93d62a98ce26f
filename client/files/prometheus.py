"""What Prometheus needs to scrape hosts: a configuration to include, and certificate and token in files of yours."""

import json
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from client.files.inside import inside
from client.sdk.hosts import Host, write_private
from client.sdk.trust import tls_context
from client.sdk.tunnel import held_at
from contract.paths import METRICS, TLS_SERVER_NAME

JOB = "edgerun"
"""The value of the label `job` of every host's series."""


def scrape_configuration(hosts: Iterable[Host], folder: Path) -> str:
    """Write `NAME.token` and `NAME.pem`, readable by the user alone; gives YAML for Prometheus' `scrape_config_files`.

    The keys are those of Prometheus' documentation, <scrape_config>. Raises HostError when a token cannot be read,
    NotTrusted when no certificate is pinned, or when a token would cross a network readable, and EdgeError for a host
    behind a tunnel that nobody holds; no file is written then.
    """
    found = []
    for host in hosts:
        tls_context(host)
        found.append((host, held_at(host), host.secret()))
    return "\n".join(["scrape_configs:", *(line for each in found for line in _job(*each, folder)), ""])


def _job(host: Host, url: str, token: str | None, folder: Path) -> list[str]:
    parts = urlsplit(url)
    lines = [
        f"- job_name: {_quoted(f'{JOB}/{host.name}')}",
        f"  scheme: {parts.scheme}",
        f"  metrics_path: {METRICS}",
    ]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if token:
        lines += ["  authorization:", f"    credentials_file: {_written(folder, f'{host.name}.token', token)}"]
    if parts.scheme == "https":
        pinned = _written(folder, f"{host.name}.pem", host.certificate or "")
        lines += ["  tls_config:", f"    ca_file: {pinned}", f"    server_name: {TLS_SERVER_NAME}"]
    target = parts.netloc if parts.port else f"{parts.netloc}:{443 if parts.scheme == 'https' else 80}"
    labels = [f"      job: {JOB}", f"      instance: {_quoted(host.name)}"]
    return [*lines, "  static_configs:", f"  - targets: [{_quoted(target)}]", "    labels:", *labels]


def _written(folder: Path, name: str, text: str) -> str:
    path = inside(folder, name)
    write_private(path, text)
    return _quoted(str(path))


def _quoted(text: str) -> str:
    """A text as YAML: JSON's strings are strings of YAML too."""
    return json.dumps(text)
