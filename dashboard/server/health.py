"""/healthz and /readyz: whether the process is alive, and whether the models answer."""

import logging
import threading
import time
from typing import Final

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fer_models.analyzer import Analyzer

#: Seconds for which the result of a self-test is valid.
_FRESH: Final = 60
#: Side in px of the grey square that the self-test takes as one face.
_SIDE: Final = 64

_log = logging.getLogger(__name__)


class Health:
    """Answers load balancers and container engines, with nothing but yes or no.

    Attributes:
        draining: set when the app is about to stop: it is no longer ready, but still alive.
    """

    def __init__(self, analyzer: Analyzer, fresh: float = _FRESH) -> None:
        """Test `analyzer` at most once in `fresh` seconds, however many requests come."""
        self.draining = False
        self._analyzer = analyzer
        self._fresh = fresh
        self._lock = threading.Lock()
        self._tested = float("-inf")

    def ready(self) -> bool:
        """Whether every model classifies a grey square. A failed test is repeated at the next request."""
        if self.draining:
            return False
        with self._lock:
            if time.monotonic() - self._tested < self._fresh:
                return True
            try:
                (face,) = self._analyzer.analyze([np.full((_SIDE, _SIDE, 3), 128, np.uint8)], whole=True)
                finite = all(np.isfinite(prediction.probabilities).all() for prediction in face.predictions.values())
            except Exception:
                _log.exception("the self-test failed")
                return False
            if finite:
                self._tested = time.monotonic()
            return finite

    @property
    def routes(self) -> list[Route]:
        """The two routes."""
        return [Route("/healthz", _alive), Route("/readyz", self._answer)]

    def _answer(self, _: Request) -> Response:
        ready = self.ready()
        return JSONResponse({"ready": ready}, 200 if ready else 503)


async def _alive(_: Request) -> Response:
    # On the event loop: if that hangs, so does this answer, as it should.
    return JSONResponse({"alive": True})
