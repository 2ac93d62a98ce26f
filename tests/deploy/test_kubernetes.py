"""The manifests under deploy/kubernetes: by the schemas of their packages, and by what the agent itself takes."""

import copy
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.model_files import SUFFIXES
from contract.paths import HEALTH_LIVE
from server.cli import _parse
from server.http.probe import READY
from server.settings import DEFAULT_PORT, ENVIRONMENT_PREFIX, Settings
from tests.deploy.schemas import FOLDER, faults_of, schema

ROOT = Path(__file__).parents[2]
FOLDERS = [
    ROOT / "deploy" / "kubernetes" / name
    for name in ("base", "overlays/raspberry-pi", "kserve", "overlays/kserve-grpc")
]
MANIFESTS = [
    path
    for folder in FOLDERS
    for path in sorted(folder.glob("*.yaml"))
    if path.name not in ("kustomization.yaml", "device.yaml")  # device.yaml is a patch: a part of a manifest
]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def documents(path: Path) -> list[Any]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def built(folder: Path) -> list[Any]:
    """What kustomize makes of a folder."""
    if (kubectl := shutil.which("kubectl")) is None:
        pytest.skip("no kubectl on PATH, which has kustomize built in")
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def containers(manifests: list[Any]) -> Iterator[Any]:
    for manifest in manifests:
        spec = manifest.get("spec", {})
        yield from spec.get("template", {}).get("spec", {}).get("containers", ()) or spec.get("containers", ())


def every_container() -> list[Any]:
    return [each for path in MANIFESTS for each in containers(documents(path))]


def test_the_schemas_are_there() -> None:
    """scripts/setup dev unpacks them; without them nothing below says anything."""
    assert FOLDER.is_dir(), "run scripts/setup dev"
    assert schema("V1Container").required == {"name"}
    assert schema("V1DeploymentSpec").required == {"selector", "template"}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: str(path.relative_to(ROOT / "deploy" / "kubernetes")))
def test_manifests_fit_their_schemas(path: Path) -> None:
    """No unknown key, no value of another type, nothing required left out."""
    found = documents(path)
    assert found
    assert [fault for document in found for fault in faults_of(document)] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_kustomize_makes_of_them_fits_too(folder: Path) -> None:
    """Patches and images are where they belong."""
    found = built(folder)
    assert [fault for document in found for fault in faults_of(document)] == []
    assert all(re.fullmatch(r"(registry\.example/)?edgerun-agent:\w+", each["image"]) for each in containers(found))


def test_the_overlay_changes_what_it_says() -> None:
    """Namespace, node and type of the device, with all of the base beside them."""
    found = {each["kind"]: each for each in built(FOLDERS[1])}
    assert found["Deployment"]["metadata"]["namespace"] == "edgerun"
    pod = found["Deployment"]["spec"]["template"]["spec"]
    names = {each["name"] for each in pod["containers"][0]["env"]}
    assert {"EDGERUN_DEVICE_TYPE", "EDGERUN_TOKEN_SHA256"} <= names
    assert pod["nodeSelector"] == {"kubernetes.io/arch": "arm64"}


def test_the_overlay_for_grpc_changes_runtime_port_and_protocol() -> None:
    """One port is passed on by Knative, over HTTP/2 by its name; the agent listens there."""
    found = {each["kind"]: each for each in built(FOLDERS[3])}
    (container,) = found["ServingRuntime"]["spec"]["containers"]
    assert [(each["name"], each["containerPort"]) for each in container["ports"]] == [("h2c", 9000)]
    assert _settings(container).grpc_port == 9000
    model = found["InferenceService"]["spec"]["predictor"]["model"]
    assert model["runtime"] == found["ServingRuntime"]["metadata"]["name"]
    assert [model["protocolVersion"]] == found["ServingRuntime"]["spec"]["protocolVersions"] == ["grpc-v2"]


def _settings(container: Any) -> Settings:
    """What the agent makes of a container's arguments, in which KServe has filled in a name."""
    command, *arguments = container.get("args", ["server"])
    assert command == "server"
    return _parse([each.replace("{{.Name}}", "mobilenet") for each in arguments])


def changed(path: Path, *way: Any, value: Any) -> Any:
    """A manifest with one value replaced, or removed where it is None."""
    document = copy.deepcopy(documents(path)[0])
    at = document
    for step in way[:-1]:
        at = at[step]
    if value is None:
        del at[way[-1]]
    else:
        at[way[-1]] = value
    return document


POD = ("spec", "template", "spec", "containers", 0)
DEPLOYMENT, RUNTIME, SERVICE = (
    FOLDERS[0] / "deployment.yaml",
    FOLDERS[2] / "serving-runtime.yaml",
    FOLDERS[0] / "service.yaml",
)


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (changed(DEPLOYMENT, *POD, "imagePullPolice", value="Always"), "imagePullPolice is unknown"),
        (changed(DEPLOYMENT, *POD, "image_pull_policy", value="Always"), "image_pull_policy is unknown"),
        (changed(DEPLOYMENT, "spec", "replicas", value="1"), "spec.replicas is '1', not of type int"),
        (changed(DEPLOYMENT, "spec", "selector", value=None), "spec has no selector"),
        (changed(DEPLOYMENT, *POD, "name", value=None), "containers[0] has no name"),
        (changed(DEPLOYMENT, *POD, "env", 2, "value", value=8080), "value is 8080, not of type str"),
        (changed(DEPLOYMENT, *POD, "resources", "requests", "cpu", value=1), "requests.cpu is 1, not of type str"),
        (changed(DEPLOYMENT, *POD, "livenessProbe", "periodSeconds", value=True), "periodSeconds is True"),
        (changed(SERVICE, "spec", "ports", value={"port": 1}), "spec.ports is no list"),
        (changed(RUNTIME, "spec", "containers", value=None), "spec has no containers"),
        (changed(RUNTIME, "spec", "multimodel", value=False), "multimodel is unknown"),
        (changed(RUNTIME, "spec", "supportedModelFormats", 0, "priority", value="1"), "priority is '1'"),
        (changed(SERVICE, "apiVersion", value="v2"), "no schema for v2 Service"),
    ],
)
def test_faults_are_found(document: Any, fault: str) -> None:
    """What the check is for: each of these would be refused by a cluster, or silently ignored."""
    assert [each for each in faults_of(document) if fault in each]


def test_the_agent_takes_what_the_manifests_set() -> None:
    """Every variable is one of its settings, and every argument is taken; kustomize and KServe fill in the rest."""
    known = {ENVIRONMENT_PREFIX + name.upper() for name in Settings.__dataclass_fields__}
    for container in every_container():
        assert {each["name"] for each in container["env"]} <= known
        settings = _settings(container)
        assert settings.port == DEFAULT_PORT == container["ports"][0]["containerPort"]
        assert settings.models in ((), (("mobilenet", Path("/mnt/models")),))


def test_containers_are_locked_down() -> None:
    """As the compose file has it: not root, nothing writable but volumes, no capabilities, no new privileges."""
    user = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.M)
    assert user
    for path in (DEPLOYMENT, RUNTIME):
        spec = documents(path)[0]["spec"]
        pod = spec.get("template", {}).get("spec", spec)
        (container,) = pod["containers"]
        rights = {**pod.get("securityContext", {}), **container["securityContext"]}
        assert rights["runAsNonRoot"] is rights["readOnlyRootFilesystem"] is True
        assert rights["allowPrivilegeEscalation"] is False
        assert (str(rights["runAsUser"]), str(rights["runAsGroup"])) == user.groups()
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert rights["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {each["mountPath"] for each in container["volumeMounts"]} == {"/data", "/tmp"}
        assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
        variables = {each["name"]: each for each in container["env"]}
        assert variables["EDGERUN_TOKEN_SHA256"]["valueFrom"]["secretKeyRef"] == {
            "name": "edgerun-token",
            "key": "sha256",
        }
        assert variables["EDGERUN_DATA"]["value"].startswith("/data/")


def test_probes_ask_what_the_agent_answers() -> None:
    """Liveness by its open path; readiness by the agent's own program, which has the secret for it."""
    for container in every_container():
        for name in ("livenessProbe", "startupProbe", "readinessProbe"):
            probe = container.get(name, {})
            if "httpGet" in probe:
                assert (probe["httpGet"]["path"], probe["httpGet"]["scheme"]) == (HEALTH_LIVE, "HTTPS")
            elif probe:
                assert probe["exec"]["command"][:3] == ["python", "-m", "server.http.probe"]
        assert container["readinessProbe"]["exec"]["command"][3:] == [READY]


def test_kserve_is_told_the_formats_the_agent_reads() -> None:
    """And its example names one of them, and this runtime."""
    runtime, service = (documents(FOLDERS[2] / f"{name}.yaml")[0] for name in ("serving-runtime", "inference-service"))
    formats = {each["name"] for each in runtime["spec"]["supportedModelFormats"]}
    assert formats == set(SUFFIXES.values())
    model = service["spec"]["predictor"]["model"]
    assert model["modelFormat"]["name"] in formats
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
