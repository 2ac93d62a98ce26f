"""The shapes of what the pages' JavaScript is given, as TypeScript declares them, from the models in Python.

`python -m scripts.web.shapes` writes them; a test says when they are old.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from client.report.model import ReportData
from contract.classify import ClassifyReply
from contract.detect import DetectReply
from contract.errors import Problem
from contract.info import AgentInfo
from contract.jobs import Job, JobList, Progress
from contract.lease import LeaseTime
from contract.models import ModelList
from contract.results import BenchmarkResult, CommandResult, ProfileResult, Window
from contract.telemetry import TelemetrySample
from contract.tokens import Access

FOLDER = Path(__file__).parent / "types"
NAMESPACES: Mapping[str, tuple[type[BaseModel], ...]] = {
    "Agent": (
        *(Access, AgentInfo, LeaseTime, ModelList, ClassifyReply, DetectReply, Problem, TelemetrySample),
        *(JobList, Job, Progress, Window, BenchmarkResult, ProfileResult, CommandResult),
    ),
    "Report": (ReportData,),
}
"""What the live page is told by its agent, and what a report holds."""
PLAIN = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}
LINE_LENGTH = 120

Schema = Mapping[str, Any]


def main() -> None:
    """Write a file for each namespace."""
    FOLDER.mkdir(exist_ok=True)
    for namespace in NAMESPACES:
        path_of(namespace).write_text(declarations(namespace), encoding="utf-8")


def path_of(namespace: str) -> Path:
    """Where the shapes of a namespace stand."""
    return FOLDER / f"{namespace.lower()}.d.ts"


def declarations(namespace: str) -> str:
    """The file of a namespace: an interface for each model, a type for each list of words."""
    _, schema = models_json_schema([(model, "serialization") for model in NAMESPACES[namespace]])
    lines = [line for name, each in sorted(schema["$defs"].items()) for line in ("", *_declared(name, each))]
    head = ["// Made by `python -m scripts.web.shapes` from the models in Python: change those.", ""]
    return "\n".join([*head, f"declare namespace {namespace} {{", *lines[1:], "}", ""])


def _declared(name: str, schema: Schema) -> Iterator[str]:
    if "properties" not in schema:
        yield from _wrapped(f"  type {name} = ", _type(schema))
        return
    yield f"  interface {name} {{"
    for field, each in schema["properties"].items():  # one with a default is sent too
        yield f"    {field}: {_type(each)};"
    yield "  }"


def _wrapped(head: str, union: str) -> Iterator[str]:
    if len(head) + len(union) < LINE_LENGTH:
        yield f"{head}{union};"
        return
    yield head.rstrip()
    *most, last = union.split(" | ")
    yield from (f"    | {each}" for each in most)
    yield f"    | {last};"


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(map(json.dumps, schema["enum"]))
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return " | ".join(dict.fromkeys(map(_type, schema[key])))
    match schema.get("type"):
        case "array" if "prefixItems" in schema:
            return f"[{', '.join(map(_type, schema['prefixItems']))}]"
        case "array":
            items = _type(schema["items"])
            return f"({items})[]" if " | " in items else f"{items}[]"
        case "object":
            of_patterns = [*schema.get("patternProperties", {}).values(), {}]
            values = schema.get("additionalProperties", of_patterns[0])
            return f"Record<string, {'unknown' if values is True else _type(values)}>"
        case None:
            return "unknown"
        case plain:
            return PLAIN[str(plain)]


if __name__ == "__main__":
    main()
