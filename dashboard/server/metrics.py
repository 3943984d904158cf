"""Figures for Prometheus: requests, times a stage and model, faces, errors, the queue. None tells who or what."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

from fer_models.analyzer import Analyzer
from fer_models.faces.detector import FaceDetector
from fer_models.results import Face, FaceAnalysis

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
        self.request_seconds = Histogram("fer_request_seconds", "Time to the answer's start", ["endpoint"], **timed)
        self.pictures = Counter("fer_pictures", "Pictures or frames that were analysed", **own)
        self.faces = Counter("fer_faces", "Faces that were read", **own)
        self.stage_seconds = Histogram("fer_stage_seconds", "Time of a stage: detect, models, all", ["stage"], **timed)
        self.model_seconds = Histogram("fer_model_seconds", "Time of a model on a call's faces", ["model"], **timed)
        self.errors = Counter("fer_errors", "Errors, by exception or by the logger that told them", ["kind"], **own)
        self.queue = Gauge("fer_queue_length", "Requests that wait", **own)
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


class MeasuredAnalyzer(Analyzer):
    """An analyzer that counts what it does. Its answers are the other's."""

    def __init__(self, analyzer: Analyzer, metrics: Metrics) -> None:
        """Measure `analyzer`, sharing its models and detector."""
        super().__init__(list(analyzer.classifiers.values()), _TimedDetector(analyzer.detector, metrics))
        self._metrics = metrics

    def analyze(
        self,
        images: Sequence[NDArray[np.uint8]],
        *,
        whole: bool = False,
        features: bool = False,
        models: Sequence[str] | None = None,
    ) -> list[FaceAnalysis]:
        """As `Analyzer.analyze`."""
        started = time.perf_counter()
        try:
            analyses = super().analyze(images, whole=whole, features=features, models=models)
        except Exception as error:
            self._metrics.error(type(error).__name__)
            raise
        self._metrics.stage_seconds.labels("all").observe(time.perf_counter() - started)
        return analyses

    def detect(self, image: NDArray[np.uint8], *, whole: bool = False) -> list[tuple[Face, NDArray[np.uint8]]]:
        """As `Analyzer.find`."""
        self._metrics.pictures.inc()
        return super().detect(image, whole=whole)

    def predict(
        self,
        found: Sequence[tuple[int, Face, NDArray[np.uint8]]],
        *,
        features: bool = False,
        models: Sequence[str] | None = None,
    ) -> list[FaceAnalysis]:
        """As `Analyzer.read`."""
        analyses = super().predict(found, features=features, models=models)
        self._metrics.faces.inc(len(analyses))
        if analyses:
            seconds = {
                name: sum(analysis.predictions[name].latency_ms for analysis in analyses) / 1000
                for name in analyses[0].predictions
            }
            for name, value in seconds.items():
                self._metrics.model_seconds.labels(name).observe(value)
            self._metrics.stage_seconds.labels("models").observe(sum(seconds.values()))
        return analyses


class _TimedDetector:
    def __init__(self, detector: FaceDetector, metrics: Metrics) -> None:
        self._detector = detector
        self._seconds = metrics.stage_seconds.labels("detect")

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        with self._seconds.time():
            return self._detector.detect(image)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._detector, name)
