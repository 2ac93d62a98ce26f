"""A plain uvicorn with a thread pool, for comparison: raw body, one interpreter a thread, no limits, no isolation.

Started by other benchmarks as `python -m benchmarks.bare_server MODEL PORT_FILE [CERTIFICATE KEY]`.
"""

import asyncio
import io
import json
import os
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn
from starlette.types import Receive, Scope, Send

from contract.classify import ClassifyOptions
from image_model.postprocess import dequantise, softmax, top_k
from image_model.preprocess import FINE, decode, resize
from server.runtimes import open_runtime
from server.runtimes.base import LoadOptions, tflite_files
from server.tasks.images import input_spec


class BareServer:
    """The ASGI application."""

    def __init__(self, model_path: Path) -> None:
        self._model = model_path.read_bytes()
        self._mine = threading.local()
        self._threads = ThreadPoolExecutor(len(os.sched_getaffinity(0)), initializer=self._load)

    def _load(self) -> None:
        runtime = open_runtime("litert", delegates=True)
        self._mine.model = runtime.load(tflite_files(self._model), LoadOptions())

    def _classify(self, image: bytes) -> bytes:
        model = self._mine.model
        spec, sink = input_spec(model.inputs[0]), model.outputs[0]
        decoded = decode(io.BytesIO(image), (spec.width, spec.height), headroom=FINE, max_pixels=40_000_000)
        stored = model.invoke(resize(decoded.image, spec)[None])[0]
        scores = softmax(dequantise(stored.ravel(), sink.scale, sink.zero_point))
        best = top_k(scores, ClassifyOptions().top_k)
        return json.dumps([[int(index), float(scores[index])] for index in best]).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Classify the body of any request, and send its id back."""
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        answer = await asyncio.get_running_loop().run_in_executor(self._threads, self._classify, bytes(body))
        headers = [(name, value) for name, value in scope["headers"] if name == b"x-request-id"]
        headers.append((b"content-length", str(len(answer)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def main(argv: list[str]) -> None:
    """Serve until told to stop."""
    model, port_file, *tls = argv
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        Path(port_file).write_text(str(listener.getsockname()[1]))
        certificate, key = tls or (None, None)
        config = uvicorn.Config(
            BareServer(Path(model)),
            loop="uvloop",
            http="httptools",
            lifespan="off",
            log_level="critical",
            timeout_graceful_shutdown=1,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1:])
