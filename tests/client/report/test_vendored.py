"""The cuts of ECharts that edgerun carries are the ones that scripts/charts names, and are harmless."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CUTS = (ROOT / "client" / "report" / "assets", ROOT / "server" / "static")
PACKAGE = json.loads((ROOT / "scripts" / "charts" / "package.json").read_text())


@pytest.mark.parametrize("folder", CUTS, ids=lambda folder: folder.parent.name)
def test_a_cut_names_the_versions_it_was_made_of(folder: Path) -> None:
    """What package.json asks for, exactly, is what the file says it is, and the code agrees."""
    versions = PACKAGE["dependencies"]
    text = (folder / "echarts.js").read_text(encoding="utf-8")
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values())
    assert text.startswith(f"/*! Apache ECharts {versions['echarts']} ")
    assert f"With zrender {versions['zrender']}:" in text
    assert f'"{versions["echarts"]}"' in text.partition("*/")[2]


@pytest.mark.parametrize("folder", CUTS, ids=lambda folder: folder.parent.name)
def test_a_cut_makes_no_code_and_asks_no_network(folder: Path) -> None:
    """Nothing in it needs more than `script-src` with a hash, and no address but those of XML namespaces is left."""
    code = (folder / "echarts.js").read_text(encoding="utf-8").partition("*/")[2]
    for forbidden in (r"\beval\s*\(", r"\bnew Function\b", r"\bFunction\(", r"\bimport\s*\("):
        assert re.search(forbidden, code) is None, forbidden
    for forbidden in ("XMLHttpRequest", "fetch(", "sendBeacon", "WebSocket", "EventSource", "importScripts"):
        assert forbidden not in code
    assert {url for url in re.findall(r"https?://[^\"'`\s]+", code) if "www.w3.org" not in url} == set()


@pytest.mark.parametrize("folder", CUTS, ids=lambda folder: folder.parent.name)
def test_the_licences_lie_beside_a_cut(folder: Path) -> None:
    """Apache's licence and notice, and the BSD ones of what ECharts is made with."""
    licences = {path.name: path.read_text(encoding="utf-8") for path in (folder / "echarts-licenses").iterdir()}
    assert sorted(licences) == ["LICENSE", "LICENSE-d3", "LICENSE-zrender", "NOTICE"]
    assert "Apache License" in licences["LICENSE"]
    assert "The Apache Software Foundation" in licences["NOTICE"]
    assert "Baidu" in licences["LICENSE-zrender"]
