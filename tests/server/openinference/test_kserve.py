"""KServe's own Python client against an agent.

It asks for versions of libraries that cannot lie beside edgerun's (psutil before 6, python-dateutil before 3), so that
it runs from an environment of its own: `EDGERUN_KSERVE_PYTHON` names that one's Python (`pip install kserve`).
"""

import json
import os
import subprocess

import pytest

from tests.server.openinference.conftest import ARITHMETIC, Served

VARIABLE = "EDGERUN_KSERVE_PYTHON"
PROGRAM = """
import asyncio, json, sys
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

url, grpc, model = sys.argv[1:]
values = np.array([[1, 2, 3], [4, 5, 6]], np.float32)

def request(binary):
    inputs = [InferInput(name=name, shape=[2, 3], datatype="FP32") for name in ("a", "b")]
    for each in inputs:
        each.set_data_from_numpy(values, binary_data=binary)
    return InferRequest(model_name=model, infer_inputs=inputs)

async def main():
    rest, found = InferenceRESTClient(RESTConfig(protocol="v2")), {}
    found["ready"] = await rest.is_server_live(url) and await rest.is_server_ready(url)
    found["model"] = await rest.is_model_ready(url, model)
    for way, binary in (("json", False), ("binary", True)):
        reply = await rest.infer(url, request(binary), model_name=model)
        found[way] = next(each for each in reply.outputs if each.name == "sum").as_numpy().tolist()
    reply = await InferenceGRPCClient(grpc).infer(request(True))
    found["grpc"] = next(each for each in reply.outputs if each.name == "sum").as_numpy().tolist()
    print(json.dumps(found))

asyncio.run(main())
"""


def test_kserves_client_infers_over_rest_and_grpc(served: Served) -> None:
    """With tensors in JSON, as binary data, and in gRPC's messages."""
    python = os.environ.get(VARIABLE)
    if python is None:
        pytest.skip(f"set {VARIABLE} to the Python of an environment that has kserve")
    command = [python, "-c", PROGRAM, served.agent.url, served.grpc_address, ARITHMETIC]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    expected = [[2, 4, 6], [8, 10, 12]]
    assert found == {"ready": True, "model": True, "json": expected, "binary": expected, "grpc": expected}
