"""One HTML file that needs nothing else: template, style, charts, code and data put together."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from string import Template

from client.report.model import ReportData

FOLDERS = (files("client.report") / "assets", files("web"))
"""The report's own files, and those that it shares with the live page."""
MODULES = (
    *("format", "dom", "colours", "data", "figures", "sections", "table", "theme", "charts", "result", "bars"),
    *("distribution", "windows", "selection", "plot", "panel", "controls", "matrix", "operators", "layers"),
    *("conditions", "downloads", "main"),
)
"""The page's modules, each after those it imports from."""
IMPORT = re.compile(r"^import (\{[^}]*\}) from \"\./([a-z]+)\.js\";$", re.MULTILINE)
COMMENT = re.compile(r"^ */\*\*(?:(?!\*/).)*\*/\n", re.MULTILINE | re.DOTALL)
"""A block on lines of its own: what the type checker reads, a report need not carry."""
EXPORT = re.compile(r"^export (?:async )?(?:const|function|class) (\w+)", re.MULTILINE)


def page(data: ReportData) -> str:
    """The whole page. Nothing in it is loaded from anywhere, and its policy forbids it."""
    style, charts, code = read_asset("report.css"), read_asset("echarts.js"), page_code()
    parts = {
        "policy": escape(policy(style=style, scripts=(charts, code))),
        "title": escape(data.title),
        "summary": escape(data.summary),
        "headline": escape(data.headline),
        "headline_rest": escape(data.headline_rest),
        "style": style,
        "data": embedded(data),
        "charts": charts,
        "code": code,
    }
    return Template(read_asset("template.html")).substitute(parts)


def read_asset(name: str) -> str:
    """A text file of the page."""
    path = next(path for folder in FOLDERS if (path := folder / name).is_file())
    return path.read_text(encoding="utf-8")


def page_code() -> str:
    """The modules in one script, each a function of its own: a page without addresses cannot import."""
    return "const modules = {};\n" + "".join(map(_bundled, MODULES))


def _bundled(name: str) -> str:
    text = read_asset(f"{name}.js")
    exported = ", ".join(EXPORT.findall(text))
    code = COMMENT.sub("", text).lstrip()
    body = IMPORT.sub(r"const \1 = modules.\2;", code).replace("\nexport ", "\n").removeprefix("export ")
    return f"modules.{name} = (() => {{\n{body}return {{ {exported} }};\n}})();\n"


def policy(*, style: str, scripts: tuple[str, ...]) -> str:
    """A Content-Security-Policy that allows exactly these texts and no address at all."""
    rules: Mapping[str, str] = {
        "default-src": "'none'",
        "script-src": " ".join(f"'{_hash(script)}'" for script in scripts),
        "style-src": f"'{_hash(style)}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def embedded(data: ReportData) -> str:
    """The data as JSON within a script element: without `<` nothing in it can end the element, or begin another."""
    return json.dumps(data.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
