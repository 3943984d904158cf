"""Figures for Prometheus: requests, times per stage and model, faces, errors, the queue. None says who or what."""

from collections.abc import Callable
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

#: Upper bounds of the histograms in seconds: a small face on a GPU to a crowd on a busy CPU.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The figures of one running app, in a registry of their own."""

    def __init__(self) -> None:
        """All at zero."""
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry}
        timed = own | {"buckets": _BUCKETS}
        self.requests = Counter("fer_requests", "HTTP requests", ["endpoint", "status"], **own)
        self.request_seconds = Histogram("fer_request_seconds", "Time until the answer began", ["endpoint"], **timed)
        self.pictures = Counter("fer_pictures", "Pictures or frames that were analysed", **own)
        self.faces = Counter("fer_faces", "Faces that were classified", **own)
        self.stage_seconds = Histogram("fer_stage_seconds", "Time per stage: detect, models, all", ["stage"], **timed)
        self.model_seconds = Histogram("fer_model_seconds", "Time per model on the faces of a call", ["model"], **timed)
        self.errors = Counter("fer_errors", "Errors, by exception or by the logger that reported them", ["kind"], **own)
        self.queue = Gauge("fer_queue_length", "Calls that wait", **own)
        ProcessCollector(namespace="fer", registry=self.registry)

    def error(self, kind: str) -> None:
        """Count an error."""
        self.errors.labels(kind).inc()

    def request(self, endpoint: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self.requests.labels(endpoint, str(status)).inc()
        self.request_seconds.labels(endpoint).observe(seconds)

    def set_queue_length(self, length: Callable[[], int]) -> None:
        """Call `length` for the queue's length whenever the figures are read."""
        self.queue.set_function(length)

    def serve(self, port: int) -> None:
        """Answer Prometheus at 127.0.0.1:port from a thread that ends with the process.

        Loopback only: the figures say how much the app is used, which is nobody's business on a public link.

        Raises:
            OSError: the port is taken.
        """
        start_http_server(port, addr="127.0.0.1", registry=self.registry)
