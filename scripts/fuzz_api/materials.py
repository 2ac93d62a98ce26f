"""What lies on an agent before it is fuzzed: names that lead somewhere, so that not every answer is a 404."""

from pathlib import Path
from typing import Any

import httpx
from pydantic import BaseModel

from client import EdgeClient, Host
from client.sdk.trust import tls_context
from contract.jobs import AnyRequest, BenchmarkRequest, CommandRequest, ProfileRequest
from contract.models import ModelManifest
from contract.paths import TLS_SERVER_NAME
from contract.specs import BenchmarkSpec, CommandSpec, ProfileSpec
from contract.tokens import Scope

EMBEDDED = Path(__file__).parents[2] / "image_model" / "embedded"
IMAGE = EMBEDDED / "samples" / "digit-8.png"
SCENE = min((EMBEDDED / "scenes").iterdir())
MODEL = "fuzzed"
TOKEN = "fuzzed"
DOOMED = "doomed"
"""A model and a token that may be removed."""
DETECTOR = "digits-detector"
TENSORS: dict[str, list[dict[str, Any]]] = {
    "inputs": [{"name": "image", "shape": [1, 8, 8, 1], "datatype": "INT8", "data": [0] * 64}]
}
"""What `digits` takes, whose file the model `fuzzed` is."""


class Materials(BaseModel):
    """Names and documents that requests are made of."""

    models: list[str]
    jobs: list[str]
    digests: list[str]
    tokens: list[str]
    synthetic: list[str]
    doomed_job: str
    """An ended one that may be removed."""
    manifest: ModelManifest


def requests(*, commands: bool) -> list[AnyRequest]:
    """A job of each kind, over in a second or two."""
    found: list[AnyRequest] = [
        BenchmarkRequest(spec=BenchmarkSpec(iterations=10, warm_up_iterations=1, window_s=0.1)),
        ProfileRequest(spec=ProfileSpec(iterations=5, warm_up_iterations=1)),
    ]
    if commands:
        script = "echo said; echo kept > $OUTPUT/kept.txt"
        found.append(CommandRequest(spec=CommandSpec(argv=["sh", "-c", script])))
    return found


def prepare(client: EdgeClient, *, commands: bool) -> Materials:
    """Put a model, ended jobs and a token on an agent; raises EdgeError where it takes them not."""
    model, labels = (client.put_blob(EMBEDDED / name) for name in ("digits.tflite", "digits_labels.txt"))
    manifest = ModelManifest(model=model, labels=labels)
    for name in (MODEL, DOOMED):
        client.push_model(name, manifest, {model: EMBEDDED / "digits.tflite", labels: EMBEDDED / "digits_labels.txt"})
    jobs = [client.submit(request).id for request in requests(commands=commands)]
    doomed_job = client.submit(requests(commands=False)[0]).id
    for job in (*jobs, doomed_job):
        for _ in client.job_events(job):
            pass
    for name in {TOKEN, DOOMED} - {token.name for token in client.tokens().tokens}:
        client.create_token(name, [Scope.READ])
    listed = client.models()
    return Materials(
        models=[described.name for described in listed.models if described.name != DOOMED],
        jobs=jobs,
        digests=[model, labels],
        tokens=[TOKEN],
        synthetic=[described.name for described in client.synthetic_models().models][:1],
        doomed_job=doomed_job,
        manifest=manifest,
    )


def ask(host: Host, method: str, path: str) -> httpx.Response:
    """Send what the SDK has no method for; raises httpx.HTTPError where it is refused."""
    headers = {"Authorization": f"Bearer {token}"} if (token := host.secret()) else {}
    with httpx.Client(verify=tls_context(host) or False, trust_env=False, timeout=60) as http:
        extensions = {"sni_hostname": TLS_SERVER_NAME}
        return http.request(method, f"{host.url}{path}", headers=headers, extensions=extensions).raise_for_status()
