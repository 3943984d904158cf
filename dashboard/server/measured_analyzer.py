"""An analyzer that counts and times what it does, for `Metrics`."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.server.metrics import Metrics
from fer_models.analyzer import Analyzer
from fer_models.faces.detector import FaceDetector
from fer_models.faces.following import FaceFollower
from fer_models.results import Face, FaceAnalysis, FaceCrops


class MeasuredAnalyzer(Analyzer):
    """An analyzer that counts what it does. Its answers are the other's."""

    def __init__(self, analyzer: Analyzer, metrics: Metrics) -> None:
        """Measure `analyzer`, sharing its models and detector."""
        detector = _TimedDetector(analyzer.detector, metrics)
        super().__init__(list(analyzer.classifiers.values()), detector, analyzer.left_out)
        self._metrics = metrics

    def analyze(
        self,
        images: Sequence[NDArray[np.uint8]],
        *,
        whole: bool = False,
        features: bool = False,
        models: Sequence[str] | None = None,
        follower: FaceFollower | None = None,
        times_s: Sequence[float] = (),
    ) -> list[FaceAnalysis]:
        """As `Analyzer.analyze`."""
        started = time.perf_counter()
        try:
            analyses = super().analyze(
                images, whole=whole, features=features, models=models, follower=follower, times_s=times_s
            )
        except Exception as error:
            self._metrics.error(type(error).__name__)
            raise
        self._metrics.stage_seconds.labels("all").observe(time.perf_counter() - started)
        return analyses

    def detect(
        self,
        image: NDArray[np.uint8],
        *,
        whole: bool = False,
        follower: FaceFollower | None = None,
        time_s: float = 0.0,
    ) -> list[tuple[Face, FaceCrops]]:
        """As `Analyzer.detect`."""
        self._metrics.pictures.inc()
        return super().detect(image, whole=whole, follower=follower, time_s=time_s)

    def predict(
        self,
        faces: Sequence[tuple[int, Face, FaceCrops]],
        *,
        features: bool = False,
        models: Sequence[str] | None = None,
    ) -> list[FaceAnalysis]:
        """As `Analyzer.predict`."""
        analyses = super().predict(faces, features=features, models=models)
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
