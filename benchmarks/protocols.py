"""Inferences a second over the Open Inference Protocol against bare invokes on all cores, in one run.

A tensor of 224 x 224 x 3 bytes goes in and 1001 come out, as binary data: over REST with wrk, over gRPC with a client
in Python, which costs more of the cores that it shares with the agent. Rounds alternate between the bare loops and the
agent, so that a machine whose speed drifts shows as noise and not as a ratio. Aim: REST at 16 clients reaches 0.92.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.common import Load, Supplied, agent, post_load, push, require_wrk, supplied, table
from contract.openinference import ModelMetadata
from contract.paths import V2_INFER, V2_MODEL

CLIENTS = (1, 4, 16)
START_DELAY_S = 3.0
"""Time for the bare loops to import and warm up before they all begin."""


@dataclass(frozen=True)
class Requests:
    """The same request in the form of each transport, as files."""

    rest: Path
    header_bytes: int
    grpc: Path


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    arguments = parser.parse_args()
    require_wrk()
    model, cores = supplied(), len(os.sched_getaffinity(0))
    rounds = [_round(model, cores, arguments.seconds, arguments.clients) for _ in range(arguments.rounds)]
    print(_report(rounds, cores))


def bare_invokes(model: Supplied, count: int, seconds: float) -> Load:
    """So many processes, each invoking the model over and over."""
    start = time.monotonic() + START_DELAY_S
    arguments = ["litert", str(model.model), "0", "1", str(start), str(seconds)]
    command = [sys.executable, "-m", "benchmarks.bare_invoke", *arguments]
    loops = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(count)
    ]
    took_ms = sorted(took for each in loops for took in json.loads(each.communicate()[0]))
    return Load(len(took_ms), seconds, 0, statistics.median(took_ms), took_ms[int(0.99 * (len(took_ms) - 1))])


def _round(model: Supplied, cores: int, seconds: float, clients: Sequence[int]) -> dict[str, Load]:
    measured = {"bare": bare_invokes(model, cores, seconds)}
    with agent("--grpc-port", "0") as running, tempfile.TemporaryDirectory() as folder:
        push(running.host, model)
        name = model.pulled.entry.name
        requests = _requests(running.host.url, name, Path(folder))
        url = running.host.url + V2_INFER.format(name=name)
        address = f"127.0.0.1:{running.grpc_port}"

        def rest(count: int, seconds: float) -> Load:
            length = str(requests.header_bytes)
            return post_load(url, requests.rest, count, seconds, CONTENT_TYPE="", HEADER_BYTES=length)

        rest(4, 1.0)
        for count in clients:
            measured[f"REST {count}"] = rest(count, seconds)
            measured[f"gRPC {count}"] = _grpc(address, requests.grpc, count, seconds)
    return measured


def _requests(url: str, name: str, folder: Path) -> Requests:
    from server.grpc import open_inference_pb2 as messages

    metadata = ModelMetadata.model_validate_json(httpx.get(url + V2_MODEL.format(name=name), trust_env=False).content)
    source = metadata.inputs[0]
    shape = [1, *source.shape[1:]]
    content = os.urandom(224 * 224 * 3)
    described = {"name": source.name, "datatype": source.datatype, "shape": shape}
    entry = {**described, "parameters": {"binary_data_size": len(content)}}
    header = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}}).encode()
    found = Requests(folder / "rest", len(header), folder / "grpc")
    found.rest.write_bytes(header + content)
    tensor = messages.ModelInferRequest.InferInputTensor(name=source.name, datatype=source.datatype, shape=shape)
    message = messages.ModelInferRequest(model_name=name, inputs=[tensor], raw_input_contents=[content])
    found.grpc.write_bytes(message.SerializeToString())
    return found


def _grpc(address: str, request: Path, clients: int, seconds: float) -> Load:
    command = [sys.executable, "-m", "benchmarks.grpc_load", address, str(request), str(clients), str(seconds)]
    return Load(**json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def _report(rounds: list[dict[str, Load]], cores: int) -> str:
    rows = []
    for name in rounds[0]:
        each = [measured[name] for measured in rounds]
        ratios = [measured[name].per_second / measured["bare"].per_second for measured in rounds]
        figures = [
            statistics.median(values)
            for values in zip(*((m.per_second, m.p50_ms, m.p99_ms) for m in each), strict=True)
        ]
        title = f"{cores} bare loops" if name == "bare" else f"{name} clients"
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        rows.append([title, *(f"{figure:.1f}" for figure in figures), ratio])
    errors = sum(each.errors for measured in rounds for each in measured.values())
    header = ["", "inferences/s", "p50 ms", "p99 ms", "ratio to bare loops"]
    return "\n".join([table(header, rows), "", f"{len(rounds)} rounds, medians (least-most); {errors} requests failed"])


if __name__ == "__main__":
    main()
