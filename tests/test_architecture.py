"""The arrows between packages, read from the imports."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOOSE_MAX = 10
PACKAGES = ("contract", "image_model", "web", "server", "client", "provisioning", "edgerun")

ALLOWED = {
    "contract": {"contract"},
    "image_model": {"image_model", "contract.tasks"},
    "web": {"web"},
    "server": {"server", "contract", "image_model", "web"},
    "client": {"client", "contract", "image_model.catalog", "image_model.download", "image_model.orientation", "web"},
    "provisioning": {"provisioning", "contract", "client", "image_model.catalog"},
    "edgerun": {"edgerun", "server", "client", "provisioning"},
}
"""What a package may import of edgerun's own."""

LIBRARIES = {
    "contract": {"pydantic"},
    "image_model": {"numpy", "PIL", "httpx"},
    "web": set(),
    "server": {
        *(
            "fastapi",
            "starlette",
            "uvicorn",
            "httptools",
            "pydantic",
            "annotated_types",
            "platformdirs",
            "cryptography",
            "numpy",
            "prometheus_client",
        ),
        *("ai_edge_litert", "flatbuffers", "tflite_runtime", "openvino", "onnxruntime", "pynvml", "grpc", "google"),
    },
    "client": {
        *("httpx", "httpcore", "pydantic", "typer", "rich", "platformdirs", "tomlkit", "filelock", "matplotlib"),
        *("asyncssh", "PIL", "numpy"),
    },
    "provisioning": {
        *("psutil", "typer", "rich", "platformdirs", "filelock", "packaging"),
        *("chi", "zunclient", "openstack", "asyncssh", "docker", "requests"),
    },
    "edgerun": {"typer"},
}

ONLY_IMPORTERS = {
    # The interpreter, and the schema of the file.
    "ai_edge_litert": {"server/runtimes/litert.py", "server/runtimes/litert_gpu.py", "server/tflite/flatbuffer.py"},
    "flatbuffers": {"server/tflite/flatbuffer.py"},
    "tflite_runtime": {"server/runtimes/tflite.py"},
    "openvino": {"server/runtimes/openvino.py"},
    "onnxruntime": {"server/runtimes/onnx.py"},
    "pynvml": {"server/telemetry/nvml.py"},
    "grpc": {"server/grpc/listener.py"},
    "google": {"server/grpc/open_inference_pb2.py"},
    "prometheus_client": {"server/metrics/exposition.py", "server/metrics/families.py"},
    "httpx": {"image_model/download.py"},  # within image_model
    "httpcore": {"client/sdk/budget.py"},
    "chi": {"provisioning/providers/chi/session.py"},
    "zunclient": {"provisioning/providers/chi/session.py"},
    "openstack": {"provisioning/providers/chi/settings.py"},
    # To log in; and on a device, to let somebody in.
    "asyncssh": {
        "client/sdk/ssh.py",
        "provisioning/providers/ssh/connection.py",
        "provisioning/providers/chi/sshd.py",
    },
    "docker": {"provisioning/providers/docker/engine.py"},
    "requests": {"provisioning/providers/docker/engine.py"},
    "matplotlib": {"client/report/png.py", "client/report/profile_chart.py"},
    # Within client, where they are installed.
    "PIL": {"client/files/drawing.py"},
    "numpy": {"client/sdk/tensors.py"},
    "psutil": {"provisioning/providers/local.py"},
}


def imports(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def imported_modules(path: Path) -> Iterator[str]:
    """The same, where `from package import module` names the module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            within_it = ROOT.joinpath(*node.module.split("."))
            for alias in node.names:
                there = (within_it / alias.name).is_dir() or (within_it / f"{alias.name}.py").exists()
                yield f"{node.module}.{alias.name}" if there else node.module


def room_of(module: str) -> str:
    """The folder that a module lies in; a module that lies loose in its package is a room of its own."""
    folder = module if ROOT.joinpath(*module.split(".")).is_dir() else module.rpartition(".")[0]
    return folder if "." in folder else module


def rooms() -> dict[str, set[str]]:
    """Of every room, those it imports from."""
    arrows: dict[str, set[str]] = {}
    for _, path in files():
        parts = path.relative_to(ROOT).with_suffix("").parts
        room = room_of(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
        targets = (each for each in imported_modules(path) if each.split(".")[0] in PACKAGES)
        arrows.setdefault(room, set()).update(target for each in targets if (target := room_of(each)) != room)
    return arrows


def files() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        yield from ((package, path) for path in sorted((ROOT / package).rglob("*.py")))


def within(module: str, allowed: set[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in allowed)


def test_packages_import_along_the_arrows_only() -> None:
    """contract, web <- image_model, server, client <- provisioning, and nothing the other way."""
    wrong = [
        f"{path.relative_to(ROOT)}: {module}"
        for package, path in files()
        for module in imports(path)
        if module.split(".")[0] in PACKAGES and not within(module, ALLOWED[package])
    ]
    assert wrong == []


def test_rooms_have_no_circle() -> None:
    """What a folder imports from does not, by whatever way, import from it."""
    try:
        list(TopologicalSorter(rooms()).static_order())
    except CycleError as error:
        pytest.fail("a circle: " + " <- ".join(error.args[1]))


@pytest.mark.parametrize("package", ["server", "client"])
def test_few_modules_lie_loose(package: str) -> None:
    """A new one belongs into a folder, or a folder is missing."""
    assert len(list((ROOT / package).glob("*.py"))) <= LOOSE_MAX


def test_the_page_on_architecture_names_what_there_is() -> None:
    """Files, folders, and the tables in which something new is entered."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(
        r"(?<![\w/])((?:contract|image_model|web|server|client|provisioning|tests|docs)/[\w/.]*\w)", text
    )
    assert len(named) > 30
    assert [path for path in dict.fromkeys(named) if not (ROOT / path).exists()] == []
    diagrams = re.findall("```mermaid\n(.*?)```", text, re.S)
    assert len(diagrams) == 3
    assert not any(";" in diagram for diagram in diagrams)  # it would end a statement, and nothing be drawn
    for table, path in re.findall(r"`([A-Z][A-Za-z]+)`[^|`]* in `([\w/.]+\.py)`", text):
        assert re.search(rf"\b{table}\b", (ROOT / path).read_text()), (table, path)


def test_provisioning_uses_the_clients_sdk_not_its_commands() -> None:
    """Commands may change without breaking provisioning."""
    modules = [module for package, path in files() if package == "provisioning" for module in imports(path)]
    assert not [module for module in modules if module.startswith("client.cli")]


def test_third_party_libraries_stay_where_they_belong() -> None:
    """A package uses the libraries its extra brings."""
    wrong = [
        f"{path.relative_to(ROOT)}: {module}"
        for package, path in files()
        for module in imports(path)
        if (top := module.split(".")[0]) not in sys.stdlib_module_names
        and top not in PACKAGES
        and top not in LIBRARIES[package]
    ]
    assert wrong == []


@pytest.mark.parametrize(("library", "allowed"), ONLY_IMPORTERS.items())
def test_awkward_libraries_are_imported_in_one_place(library: str, allowed: set[str]) -> None:
    """Each awkward dependency stays in the module that is there for it."""
    packages = {path.split("/")[0] for path in allowed}
    importers = {
        str(path.relative_to(ROOT))
        for owner, path in files()
        for module in imports(path)
        if owner in packages and module.split(".")[0] == library
    }
    assert importers == allowed


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        (
            "import client, client.cli.app",
            {"fastapi", "numpy", "PIL", "matplotlib", "server", "ai_edge_litert", "asyncssh"},
        ),
        (
            "import provisioning.cli, provisioning.providers.local",
            {"fastapi", "numpy", "PIL", "server", "chi", "asyncssh", "docker"},
        ),
        (
            "import provisioning.providers.chi.commands, provisioning.providers.chi.provider",
            {"chi", "zunclient", "openstack", "pandas"},
        ),
        (
            "import server.app, server.agent",
            {"numpy", "PIL", "ai_edge_litert", "tflite_runtime", "httpx", "chi", "prometheus_client"},
        ),
        ("import server.workers.messages, server.processes.confinement", {"pydantic", "fastapi", "numpy"}),
        ("import server.jobs.host.main, server.jobs.host.command", {"pydantic", "fastapi", "numpy"}),  # sooner begun
        ("import server.workers.main", {"pydantic", "fastapi", "httpx"}),  # 4 MB less for each worker
        ("import server.telemetry.recorder, server.validity.verdict", {"numpy", "PIL", "fastapi", "pynvml", "httpx"}),
        ("import image_model.catalog, image_model.labels", {"numpy", "PIL", "httpx"}),
    ],
)
def test_importing_loads_nothing_foreign(statement: str, absent: set[str]) -> None:
    """What is imported in a fresh interpreter does not drag in what belongs elsewhere."""
    code = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert absent.isdisjoint(loaded)


def test_public_names_are_sorted_and_real() -> None:
    """`client.__all__` lists its public names, in order."""
    import client

    assert client.__all__ == sorted(client.__all__)
    assert all(hasattr(client, name) for name in client.__all__)
