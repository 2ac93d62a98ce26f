"""The pages' JavaScript, as far as it can be checked without Node: `scripts/check` does the rest."""

import re
from pathlib import Path

import pytest

from client.report.page import EXPORT, IMPORT
from client.report.page import FOLDERS as REPORT
from scripts.web.shapes import NAMESPACES, declarations, path_of
from server.routes.page import FOLDERS as LIVE


def texts_of_the_live_page() -> dict[str, str]:
    """By the names that modules import each other by."""
    paths = (path for folder in LIVE for path in folder.glob("*.js") if path.name != "echarts.js")
    return {path.stem: path.read_text(encoding="utf-8") for path in paths}


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_the_shapes_are_those_of_the_models(namespace: str) -> None:
    """What the JavaScript is checked against; `python -m scripts.web.shapes` writes it anew."""
    assert path_of(namespace).read_text(encoding="utf-8") == declarations(namespace)


@pytest.mark.parametrize("folders", [LIVE, REPORT], ids=["live", "report"])
def test_a_page_has_no_two_files_of_one_name(folders: tuple[Path, Path]) -> None:
    """One would hide the other."""
    own, shared = ({path.name for path in folder.iterdir() if path.suffix == ".js"} for folder in folders)
    assert "dom.js" in shared
    assert own & shared == set()


def test_what_the_live_page_imports_is_there() -> None:
    """The type checker knows the modules of both pages, and would take one for the other."""
    texts = texts_of_the_live_page()
    exported = {name: set(EXPORT.findall(text)) for name, text in texts.items()}
    for name, text in texts.items():
        imports = IMPORT.findall(text)
        assert text.count("\nimport ") + text.startswith("import ") == len(imports), name
        for names, source in imports:
            assert set(re.findall(r"\w+", names)) <= exported[source], f"{name} imports from {source}"


def test_every_export_of_the_live_page_is_used() -> None:
    """What no other module imports is no export; of the shared ones the report uses some."""
    texts = texts_of_the_live_page()
    imported = {
        (source, word)
        for text in texts.values()
        for names, source in IMPORT.findall(text)
        for word in re.findall(r"\w+", names)
    }
    own = {path.stem for path in LIVE[0].glob("*.js")}
    unused = [(name, word) for name in own for word in EXPORT.findall(texts[name]) if (name, word) not in imported]
    assert unused == []
