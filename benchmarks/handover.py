"""What it costs to hand a picture to another process, for each way that was considered.

A child takes pictures and answers each with a kilobyte, as a worker would, but does no work in between. Every way
carries the same bytes into the child's memory and back out as a `bytes`-like object that Pillow can read from. CPU
time of both processes counts, since at full load every core is busy; wall time is one lone round trip.
"""

import argparse
import mmap
import multiprocessing.connection
import os
import socket
import statistics
import time
from collections.abc import Callable
from multiprocessing.reduction import recv_handle, send_handle
from typing import NamedTuple

from benchmarks.common import supplied, table
from server.processes.confinement import keep_freed_memory

ANSWER = bytes(1000)
SLOT_BYTES = 10 << 20
LENGTH = 8


class Ends(NamedTuple):
    """The parent's and the child's side of one way."""

    ask: Callable[[bytes], None]
    """Parent: hand over a picture and wait for the answer."""
    serve: Callable[[], bool]
    """Child: take a picture, touch it, answer; False at the end."""


def pipe() -> Ends:
    """The picture's bytes through multiprocessing's connection, which is a Unix stream socket."""
    ours, theirs = multiprocessing.connection.Pipe()

    def ask(image: bytes) -> None:
        ours.send_bytes(image)
        ours.recv_bytes()

    def serve() -> bool:
        touch(theirs.recv_bytes())
        theirs.send_bytes(ANSWER)
        return True

    return Ends(ask, serve)


def stream_socket() -> Ends:
    """The picture's bytes through a Unix stream socket, read into memory that is kept."""
    ours, theirs = socket.socketpair()
    buffer = bytearray(SLOT_BYTES)

    def ask(image: bytes) -> None:
        ours.sendall(len(image).to_bytes(LENGTH) + image)
        ours.recv(4096)

    def serve() -> bool:
        size = int.from_bytes(theirs.recv(LENGTH, socket.MSG_WAITALL))
        view = memoryview(buffer)[:size]
        theirs.recv_into(view, size, socket.MSG_WAITALL)
        touch(view)
        theirs.send(ANSWER)
        return True

    return Ends(ask, serve)


def fresh_memory_file() -> Ends:
    """A new memory file for each picture, its descriptor passed along."""
    ours, theirs = multiprocessing.connection.Pipe()

    def ask(image: bytes) -> None:
        descriptor = os.memfd_create("image")
        os.write(descriptor, image)
        send_handle(ours, descriptor, os.getpid())
        os.close(descriptor)
        ours.recv_bytes()

    def serve() -> bool:
        descriptor = recv_handle(theirs)
        with mmap.mmap(descriptor, os.fstat(descriptor).st_size, prot=mmap.PROT_READ) as memory:
            touch(memory)
        os.close(descriptor)
        theirs.send_bytes(ANSWER)
        return True

    return Ends(ask, serve)


def shared_memory() -> Ends:
    """A memory file shared from the start, its place and size told by a datagram. What the agent does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    descriptor = os.memfd_create("images")
    os.ftruncate(descriptor, SLOT_BYTES)
    memory = mmap.mmap(descriptor, SLOT_BYTES)

    def ask(image: bytes) -> None:
        memory[: len(image)] = image
        ours.send(len(image).to_bytes(LENGTH))
        ours.recv(4096)

    def serve() -> bool:
        size = int.from_bytes(theirs.recv(LENGTH))
        touch(memoryview(memory)[:size])
        theirs.send(ANSWER)
        return True

    return Ends(ask, serve)


WAYS = (pipe, stream_socket, fresh_memory_file, shared_memory)


def touch(image: bytes | memoryview | mmap.mmap) -> None:
    """Read every byte once, as a decoder does."""
    bytes(image[:])


def measure(way: Callable[[], Ends], image: bytes, count: int) -> tuple[float, float]:
    """CPU milliseconds of both processes and wall milliseconds, a picture."""
    ends = way()
    child = os.fork()
    if child == 0:
        while ends.serve():
            pass
    try:
        for _ in range(count // 10):
            ends.ask(image)
        before, walls = _cpu_s(child), []
        for _ in range(count):
            started = time.perf_counter()
            ends.ask(image)
            walls.append(time.perf_counter() - started)
        used = _cpu_s(child) - before
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    return used / count * 1e3, statistics.median(walls) * 1e3


def _cpu_s(child: int) -> float:
    clock = time.clock_gettime(_process_clock(child))
    return clock + time.process_time()


def _process_clock(pid: int) -> int:
    """The CPU-time clock of another process, as clock_getcpuclockid(3) computes it on Linux."""
    return (~pid << 3) | 2


def main() -> None:
    """Measure each way in turn, several times, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1500, help="pictures a measurement")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    keep_freed_memory()
    image = supplied().image.read_bytes()
    results: dict[str, list[tuple[float, float]]] = {way.__name__: [] for way in WAYS}
    for _ in range(arguments.rounds):
        for way in WAYS:
            results[way.__name__].append(measure(way, image, arguments.count))
    best = min(statistics.median(cpu for cpu, _ in each) for each in results.values())
    rows = []
    for name, each in results.items():
        cpu, wall = (statistics.median(values) for values in zip(*each, strict=True))
        rows.append([name.replace("_", " "), f"{cpu:.3f}", f"{wall:.3f}", f"{cpu / best:.2f}"])
    print(table(["way", "CPU ms", "wall ms", "CPU ratio to the best"], rows))


if __name__ == "__main__":
    main()
