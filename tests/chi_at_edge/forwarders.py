"""A floating address that answers: TCP from it to the pod, for the ports that the container exposes."""

import contextlib
import socket
import threading

CHUNK_BYTES = 65536
CONNECT_TIMEOUT_S = 5.0


class Forwarder:
    """Listens on one port of a floating address and passes every connection on; closed with the binding."""

    def __init__(self, address: str, pod_address: str, port: int) -> None:
        self._target = (pod_address, port)
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server((address, port))
        threading.Thread(target=self._accept, name=f"forward {address}:{port}", daemon=True).start()

    def close(self) -> None:
        """Stop listening and cut what is connected."""
        for connection in (self._listener, *list(self._open)):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(visitor,), daemon=True).start()

    def _serve(self, visitor: socket.socket) -> None:
        with visitor:
            try:
                pod = socket.create_connection(self._target, timeout=CONNECT_TIMEOUT_S)
            except OSError:
                return
            with pod:
                pod.settimeout(None)
                for end in (visitor, pod):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open |= {visitor, pod}
                back = threading.Thread(target=_copy, args=(pod, visitor), daemon=True)
                back.start()
                _copy(visitor, pod)
                back.join()
                self._open -= {visitor, pod}


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
