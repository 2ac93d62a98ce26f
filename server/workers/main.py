"""A worker process: take an order, execute it, answer; end when the agent hangs up.

Started as `python -P -m server.workers.main SOCKET_FD MEMORY_FD RESULTS_FD AGENT_PID RUNTIME DELEGATES MEMORY_BYTES
DEVICE...`, or forked by `server.workers.template`.
"""

import mmap
import os
import select
import socket
import struct
import sys
import time
import traceback

import numpy as np

from contract.codes import ErrorCode
from image_model.catalog import EMBEDDED_FOLDER, EMBEDDED_MODEL, load_catalog
from server.processes.confinement import confine, keep_freed_memory, name_process, return_freed_memory
from server.runtimes import open_runtime
from server.runtimes.base import LoadOptions, Runtime, tflite_files
from server.tasks.base import OrderFailed
from server.workers.messages import (
    MAX_DETAIL_CHARS,
    MAX_MESSAGE_BYTES,
    Answer,
    Failed,
    Hello,
    Order,
    Predict,
    Prepare,
    Prepared,
    decode_order,
    encode_answer,
)
from server.workers.results import SLOT_BYTES
from server.workers.runner import Runner, Setting
from server.workers.starting import WORKER_NAME
from server.workers.tensors import infer

IDLE_S = 5
"""Without an order for so long, a worker gives the memory back that it keeps for the next picture."""


def main(argv: list[str]) -> int:
    """Run one worker until its socket closes."""
    socket_fd, memory_fd, results_fd, agent_pid, runtime_name, delegates, memory_bytes, *devices = argv
    name_process(WORKER_NAME)
    confine(int(agent_pid), int(memory_bytes))
    keep_freed_memory()
    memory = _mapped(memory_fd, mmap.PROT_READ)
    results = _mapped(results_fd, mmap.PROT_READ | mmap.PROT_WRITE)
    with socket.socket(fileno=int(socket_fd)) as agent:
        runtime = open_runtime(runtime_name, delegates=delegates == "delegates")
        agent.send(encode_answer(try_out(runtime)))
        runner = Runner(runtime, devices)
        agent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", IDLE_S, 0))
        while datagram := _next(agent):
            agent.send(encode_answer(answer(runner, decode_order(datagram), memory, results)))
    return 0


def _next(agent: socket.socket) -> bytes:
    """The next order, empty when the agent hangs up; memory that no order needed for a while is not kept for one."""
    try:
        return agent.recv(MAX_MESSAGE_BYTES)
    except BlockingIOError:  # for IDLE_S
        return_freed_memory()
    select.select([agent], [], [])
    return agent.recv(MAX_MESSAGE_BYTES)


def _mapped(fd: str, protection: int) -> memoryview:
    return memoryview(mmap.mmap(int(fd), os.fstat(int(fd)).st_size, prot=protection))


def try_out(runtime: Runtime) -> Hello:
    """Load and run the embedded model once: on some machines a delegate crashes, and better now than later."""
    if "tflite" not in runtime.formats:
        return Hello(runtime.name, runtime.version, "CPU", None, None, None)
    path = EMBEDDED_FOLDER / load_catalog()[EMBEDDED_MODEL].model.name
    files = tflite_files(path.read_bytes(), path)
    started = time.perf_counter_ns()
    model = runtime.load(files, LoadOptions())
    loaded = time.perf_counter_ns()
    model.invoke(*(np.zeros(tensor.shape, tensor.dtype) for tensor in model.inputs))
    ran = time.perf_counter_ns()
    hello = Hello(
        runtime=runtime.name,
        version=runtime.version,
        device=model.execution.device,
        delegate=model.delegate,
        load_ms=(loaded - started) / 1e6,
        first_inference_ms=(ran - loaded) / 1e6,
    )
    model.close()
    return hello


def answer(runner: Runner, order: Order, memory: memoryview, results: memoryview) -> Answer:
    """Execute one order; whatever goes wrong with it becomes its answer."""
    try:
        if isinstance(order, Prepare):
            runner.load(order.model, Setting.of(order.model, order.threads))
            return Prepared(order.id)
        given = memory[order.offset : order.offset + order.size]
        if isinstance(order, Predict):
            return runner.predict(order, given)
        return infer(runner, order, given, results[order.result_offset : order.result_offset + SLOT_BYTES])
    except OrderFailed as failure:
        return Failed(order.id, failure.code, str(failure)[:MAX_DETAIL_CHARS])
    except MemoryError:
        return Failed(
            order.id, ErrorCode.WORKER_OUT_OF_MEMORY, "the request or the model needs more memory than a worker has"
        )
    except Exception as error:
        traceback.print_exc()
        return Failed(order.id, ErrorCode.INTERNAL_ERROR, f"{type(error).__name__}: {error}"[:MAX_DETAIL_CHARS])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
