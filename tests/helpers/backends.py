"""A backend without Ray: the cluster's API around an analyzer of this process, with faults on request."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
import uvicorn
from numpy.typing import NDArray
from starlette.types import ASGIApp, Receive, Scope, Send

from cluster.api import Busy, build_api
from dashboard.server.backend import Backend, load_remote
from fer_models.analyzer import Analyzer
from fer_models.models.engines.outputs import Outputs
from fer_models.results import Face
from fer_models.wire import ModelFacts


@dataclass
class LocalServices:
    """What `cluster.serve` runs in a cluster, in this process.

    Attributes:
        busy: how many of the next calls find a full queue.
    """

    analyzer: Analyzer
    busy: int = 0

    async def facts(self) -> list[ModelFacts]:
        return [
            ModelFacts(model.card, model.engine.name, model.engine.precision, model.class_weights)
            for model in self.analyzer.classifiers.values()
        ]

    async def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        self._count()
        return self.analyzer.detector.detect(image)

    async def run(self, name: str, inputs: NDArray[np.float32], features: bool) -> Outputs:
        self._count()
        return self.analyzer.classifiers[name].engine.run(torch.from_numpy(inputs), features=features)

    def _count(self) -> None:
        if self.busy:
            self.busy -= 1
            raise Busy


@dataclass
class Faults:
    """ASGI middleware that breaks requests.

    Attributes:
        status: by how many of the next requests each status is answered, without a word.
        asked: requests by method and path.
    """

    app: ASGIApp
    status: Counter[int] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.asked[f"{scope['method']} {scope['path']}"] += 1
            for status in +self.status:
                self.status[status] -= 1
                await send({"type": "http.response.start", "status": status, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
        await self.app(scope, receive, send)


@dataclass
class RunningBackend:
    url: str
    services: LocalServices
    faults: Faults


@contextmanager
def remote_of(url: str, models: Sequence[str] | None = None) -> Iterator[Analyzer]:
    """An analyzer whose models a backend runs; its connections end with the context."""
    analyzer = load_remote(url, models)
    assert isinstance(analyzer.detector, Backend)
    try:
        yield analyzer
    finally:
        analyzer.detector.close()


@contextmanager
def backend_of(analyzer: Analyzer) -> Iterator[RunningBackend]:
    """Serve an analyzer's models and detector on a free port of the loopback until the context ends."""
    services = LocalServices(analyzer)
    faults = Faults(build_api(lambda: services))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(faults, log_config=None, access_log=False, timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        end = time.monotonic() + 30
        while not server.started and thread.is_alive() and time.monotonic() < end:
            time.sleep(0.02)
        try:
            assert server.started
            yield RunningBackend(f"http://127.0.0.1:{listener.getsockname()[1]}", services, faults)
        finally:
            server.should_exit = True
            thread.join(30)
        assert not thread.is_alive()
