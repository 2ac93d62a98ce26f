"""The page's modules fit together, and what its policy allows is what stands in it."""

import base64
import hashlib
import re
from pathlib import Path

import client.report
import server
import web
from client.report.data import report_data
from client.report.page import EXPORT, IMPORT, MODULES, page, page_code, read_asset
from client.report.sources import Sources
from tests.client.made_runs import made_entry, made_run

ASSETS = Path(client.report.__file__).parent / "assets"
SHARED = Path(web.__file__).parent
LIVE = Path(server.__file__).parent / "static"
ELEMENTS = re.compile(r"<(script|style)(?: type=\"module\")?>(.*?)</\1>", re.DOTALL)


def test_every_module_is_in_the_page_after_those_it_imports() -> None:
    """Nothing is left out, imported before it is there, or imported under a name that is not exported."""
    there = [path.stem for folder in (ASSETS, SHARED) for path in folder.glob("*.js") if path.stem != "echarts"]
    assert sorted(MODULES) == sorted(there)
    exported: dict[str, set[str]] = {}
    for name in MODULES:
        text = read_asset(f"{name}.js")
        imports = IMPORT.findall(text)
        assert text.count("\nimport ") + text.startswith("import ") == len(imports), name
        for names, source in imports:
            assert source in exported, f"{name} imports {source} too early"
            assert set(re.findall(r"\w+", names)) <= exported[source], f"{name} imports from {source}"
        exported[name] = set(EXPORT.findall(text))


def test_every_export_is_used() -> None:
    """What no other module imports is no export; of the shared ones the live page uses some."""
    texts = {name: read_asset(f"{name}.js") for name in MODULES}
    shared = {path.stem for path in SHARED.glob("*.js")}
    imported = {
        (source, word)
        for text in texts.values()
        for names, source in IMPORT.findall(text)
        for word in re.findall(r"\w+", names)
    } | {
        (source, word)
        for path in LIVE.glob("*.js")
        for names, source in IMPORT.findall(path.read_text(encoding="utf-8"))
        for word in re.findall(r"\w+", names)
        if source in shared
    }
    unused = [
        (name, word) for name, text in texts.items() for word in EXPORT.findall(text) if (name, word) not in imported
    ]
    assert unused == []


def test_types_stay_behind() -> None:
    """What only the type checker reads is in no report; the code around it is."""
    code = page_code()
    assert "@param" in read_asset("matrix.js")
    assert "@param" not in code
    assert all(f"function {word}" in code or f"const {word}" in code for word in EXPORT.findall(read_asset("plot.js")))


def test_the_policy_names_exactly_what_the_page_runs() -> None:
    """A hash for each script and style, nothing by address, nothing unsafe."""
    run = made_run(made_entry([1.0] * 9))
    text = page(report_data(Sources(runs=[("made", run)])))
    policy = (
        text.partition('http-equiv="Content-Security-Policy" content="')[2].partition('"')[0].replace("&#x27;", "'")
    )
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in policy
    for kind, content in ELEMENTS.findall(text):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in rules[f"{kind}-src"].split()
    assert [len(rules[name].split()) for name in ("script-src", "style-src")] == [2, 1]
