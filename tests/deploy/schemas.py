"""Schemas of Kubernetes and KServe, as the packages `kubernetes` and `kserve` carry them.

Both generate a class for each kind of object from the OpenAPI document of their project: `openapi_types` has the type
of each attribute, `attribute_map` its key in YAML, and the setters what is required and which values are allowed. They
are read here without being imported: scripts/setup unpacks the wheels without what they depend on, because kserve asks
for versions that cannot lie beside edgerun's (psutil before 6, python-dateutil before 3).
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(sys.prefix) / "schemas"
MODELS = (FOLDER / "kserve" / "models", FOLDER / "kubernetes" / "client" / "models")
PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "object": (str, int, float, bool, dict, list),
    "datetime": (str,),
    "ResourceQuantity": (str,),
}
"""`object` is what neither package describes further: whole numbers or names of ports, statuses."""
RENAMED = {"K8sIoApiAppsV1DeploymentStrategy": "V1DeploymentStrategy"}
KINDS = {
    ("apps/v1", "Deployment"): "V1Deployment",
    ("v1", "Service"): "V1Service",
    ("v1", "PersistentVolumeClaim"): "V1PersistentVolumeClaim",
    ("v1", "Namespace"): "V1Namespace",
    ("serving.kserve.io/v1alpha1", "ServingRuntime"): "V1alpha1ServingRuntime",
    ("serving.kserve.io/v1beta1", "InferenceService"): "V1beta1InferenceService",
}


@dataclass(frozen=True)
class Schema:
    """One kind of object."""

    types: dict[str, str]
    """The type of each key."""
    required: frozenset[str]
    allowed: dict[str, list[Any]]


def faults_of(document: Any) -> list[str]:
    """What is wrong with a manifest: keys that nobody knows, values of another type, required keys that are missing."""
    kind = KINDS.get((document.get("apiVersion"), document.get("kind")))
    if kind is None:
        return [f"no schema for {document.get('apiVersion')} {document.get('kind')}"]
    return list(_faults(document, kind, document["kind"]))


def _faults(value: Any, kind: str, place: str) -> Iterator[str]:
    kind = RENAMED.get(kind, kind)
    if inner := re.fullmatch(r"list\[(.+)\]", kind):
        if not isinstance(value, list):
            yield f"{place} is no list"
            return
        for number, each in enumerate(value):
            yield from _faults(each, inner[1], f"{place}[{number}]")
    elif inner := re.fullmatch(r"dict[(\[]str, (.+)[)\]]", kind):
        if not isinstance(value, dict):
            yield f"{place} is no mapping"
            return
        for key, each in value.items():
            yield from _faults(each, inner[1], f"{place}.{key}")
    elif kind in PLAIN:
        if not isinstance(value, PLAIN[kind]) or (isinstance(value, bool) and bool not in PLAIN[kind]):
            yield f"{place} is {value!r}, not of type {kind}"
    elif not isinstance(value, dict):
        yield f"{place} is {value!r}, not a {kind}"
    else:
        yield from _object_faults(value, schema(kind), place)


def _object_faults(value: dict[str, Any], known: Schema, place: str) -> Iterator[str]:
    yield from (f"{place} has no {key}" for key in sorted(known.required - value.keys()))
    for key, each in value.items():
        if key not in known.types:
            yield f"{place}.{key} is unknown"
        elif key in known.allowed and each not in known.allowed[key]:
            yield f"{place}.{key} is {each!r}, none of {', '.join(map(str, known.allowed[key]))}"
        else:
            yield from _faults(each, known.types[key], f"{place}.{key}")


@cache
def schema(kind: str) -> Schema:
    """What is known of a class by its name; raises KeyError."""
    text = _files()[kind].read_text()
    types, keys = (_literal(text, name) for name in ("openapi_types", "attribute_map"))
    required = re.findall(r"client_side_validation and (\w+) is None", text)
    allowed = {
        keys[name]: ast.literal_eval(values)
        for values, name in re.findall(r"allowed_values = (\[[^]]*\]).*?and (\w+) not in allowed_values", text, re.S)
    }
    return Schema(
        {keys[name]: kind for name, kind in types.items()}, frozenset(keys[name] for name in required), allowed
    )


def _literal(text: str, name: str) -> dict[str, str]:
    found = re.search(rf"^    {name} = ({{.*?^    }})", text, re.S | re.M)
    assert found, name
    values: dict[str, str] = ast.literal_eval(found[1])
    return values


@cache
def _files() -> dict[str, Path]:
    """The file of each class: the classes of kserve come first where both have one of a name."""
    found: dict[str, Path] = {}
    for folder in MODELS:
        for path in folder.glob("*.py"):
            if match := re.search(r"^class (\w+)\(object\)", path.read_text(), re.M):
                found.setdefault(match[1], path)
    return found
