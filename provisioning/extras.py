"""Runtimes beyond the default that `up --with` installs: extras of edgerun's own, by the same names."""

import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

from provisioning.deployments import Deployment
from provisioning.errors import ProvisioningError
from provisioning.provider import Provider

MODULES = {"openvino": "openvino", "onnx": "onnxruntime", "gpu": "onnxruntime"}
"""The module that each brings."""
DISK_BYTES = {"openvino": 250_000_000, "onnx": 110_000_000, "gpu": 1_000_000_000}
"""What each takes on a device, with what it needs."""
LOOK = "import importlib.util as u, sys; print(*(n for n in sys.argv[1:] if u.find_spec(n) is None))"
"""A program for the agent's Python that prints which modules of its arguments are missing."""


def parse(text: str) -> list[str]:
    """The extras in a list with commas; raises ValueError."""
    names = sorted({name.strip() for name in text.split(",") if name.strip()})
    if unknown := [name for name in names if name not in MODULES]:
        raise ValueError(f"{', '.join(unknown)}: there are {', '.join(MODULES)}")
    if {"onnx", "gpu"} <= set(names):
        raise ValueError("onnx and gpu are the same runtime, without and with CUDA: choose one")
    return names


def of_device(options: Mapping[str, Any]) -> list[str]:
    """Every extra that a device of a deployment with these options installs."""
    return ["server", *options.get("with", ())]


def modules(options: Mapping[str, Any]) -> list[str]:
    """The modules that the agent's Python must find."""
    return sorted({MODULES[name] for name in options.get("with", ())})


def require(deployment: Deployment, provider: Provider) -> None:
    """Raise ProvisioningError when what `--with` names is not there, as in an image that was built without it."""
    wanted = modules(deployment.options)
    if not wanted:
        return
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        code = provider.exec(deployment, ["python", "-c", LOOK, *wanted], out, err)
        out.seek(0)
        if absent := out.read().decode(errors="replace").split() if code == 0 else wanted:
            arguments = ",".join(of_device(deployment.options))
            raise missing(absent, f"the image needs it: docker build --build-arg EXTRAS={arguments}")


def missing(absent: Iterable[str], hint: str) -> ProvisioningError:
    """The error for modules that the agent's Python does not find."""
    return ProvisioningError(f"--with: the agent's Python has no {', '.join(absent)}", hint=hint)
