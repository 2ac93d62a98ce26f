"""The process that workers are forked from: it has imported what they need, and neither loads a model nor reads one.

Started as `python -P -m server.workers.template CONTROL_FD AGENT_PID RUNTIME`. A datagram on the control socket brings
the descriptors of one worker (its socket, the memory of requests, its memory of results, its standard error) and the
rest of what `server.workers.main` is started with. When the socket closes, it ends.
"""

import gc
import json
import os
import socket
import sys
import time
import traceback
from pathlib import Path

from server.processes.confinement import confine, forget_file_pages, name_process, return_freed_memory
from server.runtimes import open_runtime
from server.workers import main as worker
from server.workers.messages import MAX_MESSAGE_BYTES, Born, encode_answer
from server.workers.starting import CANNOT_FORK, TEMPLATE_NAME

ORPHAN_POLL_S = 0.0002
_STDERR = 2


def main(argv: list[str]) -> int:
    """Fork workers until the socket closes."""
    control_fd, agent_pid, runtime = argv
    name_process(TEMPLATE_NAME)
    confine(int(agent_pid), None)
    gc.disable()  # until `_share_all`: imports leave little garbage, and to look for it takes 20 ms
    open_runtime(runtime, delegates=True)
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        print(f"{runtime} starts threads when it is imported: workers are started one by one", file=sys.stderr)
        return CANNOT_FORK
    _share_all()
    forgotten = False  # the first worker is not kept waiting for it
    with socket.socket(fileno=int(control_fd)) as control:
        while True:
            datagram, descriptors, _, _ = socket.recv_fds(control, MAX_MESSAGE_BYTES, 4, socket.MSG_CMSG_CLOEXEC)
            if not datagram:
                return 0
            _fork_twice(control, descriptors, json.loads(datagram))
            if not forgotten:
                forget_file_pages()
                forgotten = True


def _share_all() -> None:
    """Make as much of this process' memory as can be stay the same in its children, which share what they leave alone.

    The garbage collector would write into every object, and free memory between them be used again.
    """
    return_freed_memory()
    gc.freeze()
    gc.enable()
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, _STDERR)  # until now it was the first worker's
    os.close(nothing)


def _fork_twice(control: socket.socket, descriptors: list[int], arguments: list[str]) -> None:
    """Fork a worker that is nobody's child, whom the agent adopts."""
    try:
        between = os.fork()
    except OSError as error:
        os.write(descriptors[-1], f"no worker can be forked: {error.strerror}\n".encode())
    else:
        if between == 0:
            _fork_worker(control, descriptors, arguments)
        os.waitpid(between, 0)
    for descriptor in descriptors:
        os.close(descriptor)


def _fork_worker(control: socket.socket, descriptors: list[int], arguments: list[str]) -> None:
    """In the process between: fork the worker and end. Never returns, in either of them."""
    *passed, stderr = descriptors
    parent, status = os.getpid(), 1
    try:
        os.dup2(stderr, _STDERR)
        os.close(stderr)
        control.close()
        if os.fork() == 0:
            while os.getppid() == parent:
                time.sleep(ORPHAN_POLL_S)
            os.setsid()
            os.write(passed[0], encode_answer(Born(os.getpid())))
            status = worker.main([*map(str, passed), *arguments])
        else:
            status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
