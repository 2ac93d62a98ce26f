"""The cut of ECharts that edgerun carries is the one that scripts/web names, and is harmless."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "web"
TOOLS = ROOT / "scripts" / "web"
PACKAGE = json.loads((TOOLS / "package.json").read_text())
LOCK = json.loads((TOOLS / "package-lock.json").read_text())


def test_the_lock_file_names_exactly_what_is_asked_for() -> None:
    """Exact versions, each package with the hash of its bytes, and none bound to a place to fetch it from."""
    versions = PACKAGE["devDependencies"]
    locked = {path.rpartition("node_modules/")[2]: each for path, each in LOCK["packages"].items() if path}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values())
    assert {name: locked[name]["version"] for name in versions} == versions
    assert [name for name, each in locked.items() if not each["integrity"].startswith("sha512-")] == []
    assert [name for name, each in locked.items() if "resolved" in each] == []


def test_the_cut_names_the_versions_it_was_made_of() -> None:
    """What package.json asks for is what the file says it is, and the code agrees."""
    versions = PACKAGE["devDependencies"]
    text = (FOLDER / "echarts.js").read_text(encoding="utf-8")
    assert text.startswith(f"/*! Apache ECharts {versions['echarts']} ")
    assert f"With zrender {versions['zrender']}:" in text
    assert f'"{versions["echarts"]}"' in text.partition("*/")[2]


def test_the_cut_makes_no_code_and_asks_no_network() -> None:
    """Nothing in it needs more than `script-src` with a hash, and no address but those of XML namespaces is left."""
    code = (FOLDER / "echarts.js").read_text(encoding="utf-8").partition("*/")[2]
    for forbidden in (r"\beval\s*\(", r"\bnew Function\b", r"\bFunction\(", r"\bimport\s*\("):
        assert re.search(forbidden, code) is None, forbidden
    for forbidden in ("XMLHttpRequest", "fetch(", "sendBeacon", "WebSocket", "EventSource", "importScripts"):
        assert forbidden not in code
    assert {url for url in re.findall(r"https?://[^\"'`\s]+", code) if "www.w3.org" not in url} == set()


def test_the_licences_lie_beside_the_cut() -> None:
    """Apache's licence and notice, and the BSD ones of what ECharts is made with."""
    licences = {path.name: path.read_text(encoding="utf-8") for path in (FOLDER / "echarts-licenses").iterdir()}
    assert sorted(licences) == ["LICENSE", "LICENSE-d3", "LICENSE-zrender", "NOTICE"]
    assert "Apache License" in licences["LICENSE"]
    assert "The Apache Software Foundation" in licences["NOTICE"]
    assert "Baidu" in licences["LICENSE-zrender"]
