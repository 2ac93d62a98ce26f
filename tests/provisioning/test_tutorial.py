"""docs/tutorial.ipynb runs from its first cell to its last on the loopback site, and leaves nothing allocated."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.chi_at_edge.state import AGENT_IMAGE, Testbed
from tests.home import Home

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tutorial.ipynb"
# In a process of its own: the kernel and its client start threads and event loops that no test should inherit. A cell
# that fails ends the kernel's work; the notebook is written all the same, to say which one it was.
EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient
source, target = sys.argv[1:]
notebook = nbformat.read(source, as_version=4)
try:
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
finally:
    nbformat.write(notebook, target)
"""


def test_the_notebook_from_lease_to_release(testbed: Testbed, tmp_path: Path) -> None:
    """A student runs all cells: the label is right, plots are drawn, results are here, and nothing is left."""
    student = Home(tmp_path / "student")
    student.folder.mkdir()
    environment = {
        **student.environment,
        **testbed.environment(),
        "EDGERUN_LEASE": "demo",
        "EDGERUN_IMAGE": AGENT_IMAGE,
    }
    target = tmp_path / "executed.ipynb"
    command = [sys.executable, "-c", EXECUTE, str(NOTEBOOK), str(target)]
    done = subprocess.run(
        command, cwd=student.folder, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    cells = executed(target)
    assert "demo" in text(cells["leases"])
    assert text(cells["classify"]).splitlines()[1].split()[1] == "3"
    assert [name for name, cell in cells.items() if "image/png" in kinds(cell)] == ["picture", "bars", "telemetry"]
    tables = [name for name, cell in cells.items() if "text/html" in kinds(cell)]
    assert tables == ["login", "classify", "times", "results", "unavailable", "report", "files"]
    assert "jobs/" in text(cells["files"])
    assert "CONV_2D" in text(cells["profile"])
    (report,) = student.folder.glob("runs/*-tutorial/report.html")
    assert "<html" in report.read_text()
    found = text(cells["report"])  # whichever is faster; on a busy machine perhaps nothing can be quoted
    assert "an inference (median)" in found or "Nothing here can be quoted" in found
    assert list(student.folder.glob("runs/*-tutorial/run.json"))
    assert testbed.left() == ([], [])
    assert student.hosts.hosts() == {}


def test_the_notebook_is_stored_without_outputs() -> None:
    """What is committed says nothing of the machine it was made on."""
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


def executed(path: Path) -> dict[str, Any]:
    """The code cells of an executed notebook, by their ids; no cell ended with an error."""
    cells = {cell["id"]: cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"}
    for name, cell in cells.items():
        assert cell["execution_count"], name
        assert not [output for output in cell["outputs"] if output["output_type"] == "error"], name
    return cells


def kinds(cell: dict[str, Any]) -> set[str]:
    """What kinds of data a cell shows."""
    return {kind for output in cell["outputs"] for kind in output.get("data", {})}


def text(cell: dict[str, Any]) -> str:
    """What a cell shows and prints, as plain text."""
    parts = (output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell["outputs"])
    return "".join("".join(part) for part in parts)
