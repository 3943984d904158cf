"""The models of a page that has none of its own: they run behind a URL (`cluster.serve`, `app.py --backend`)."""

import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import httpx
import numpy as np
import torch
from numpy.typing import NDArray

from fer_models.analyzer import Analyzer
from fer_models.errors import BackendError, FerError, UnknownNameError
from fer_models.media.images import as_image
from fer_models.models.classifier import Classifier
from fer_models.models.engines.outputs import Outputs
from fer_models.models.engines.remote_engine import RemoteEngine
from fer_models.results import Face
from fer_models.wire import (
    ARRAYS,
    ModelFacts,
    facts_from_json,
    pack_image,
    pack_inputs,
    unpack_faces,
    unpack_outputs,
)

#: Seconds that an answer may take, and a connection.
_TIMEOUT: Final = httpx.Timeout(60, connect=5)
#: Statuses after which the same request may succeed: a replica died, none is free, the proxy before them had no answer.
_AGAIN: Final = (500, 502, 503, 504)
#: Seconds before a request is sent again: as the backend asks, but no longer than this; without its word, this short.
_LONGEST_WAIT: Final = 5.0
_SHORT_WAIT: Final = 0.2


class Backend:
    """Asks the backend, and asks once more where that may help. Safe to call from several threads."""

    def __init__(self, url: str, sleep: Callable[[float], None] = time.sleep) -> None:
        """Prepare it; nothing is sent yet.

        Args:
            url: its address; a name and a password in it are sent as HTTP Basic.
            sleep: waits so many seconds.

        Raises:
            BackendError: that is no address.
        """
        try:
            address = httpx.URL(url.rstrip("/") + "/")
        except httpx.InvalidURL:
            address = httpx.URL("")
        if address.scheme not in ("http", "https") or not address.host:
            raise BackendError(f"--backend {url!r} is no address such as http://127.0.0.1:8000.")
        self._sleep = sleep
        self._client = httpx.Client(base_url=address, timeout=_TIMEOUT, trust_env=False)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def models(self) -> list[ModelFacts]:
        """The models that it runs.

        Raises:
            BackendError: it cannot be reached, or is something else.
            CardError: a card is malformed.
        """
        return facts_from_json(self._ask("GET", "models"))

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """As `FaceDetector.detect`.

        Raises:
            ImageError: the picture has another shape or dtype.
            BackendError: there is no answer.
        """
        return unpack_faces(self._ask("POST", "detect", pack_image(as_image(image))))

    def run(self, name: str, inputs: NDArray[np.float32], features: bool) -> Outputs:
        """One pass of a model, as `Engine.run`.

        Raises:
            BackendError: there is no answer.
        """
        return unpack_outputs(self._ask("POST", f"models/{name}", pack_inputs(inputs, features)), len(inputs))

    def _ask(self, method: str, path: str, content: bytes | None = None) -> bytes:
        wait = self._try(method, path, content)
        if isinstance(wait, bytes):
            return wait
        self._sleep(wait[0])
        answer = self._try(method, path, content)
        if isinstance(answer, bytes):
            return answer
        raise BackendError(answer[1])

    def _try(self, method: str, path: str, content: bytes | None) -> bytes | tuple[float, str]:
        """The answer; or how long to wait before the next try, and what to say if there is none.

        Raises:
            BackendError: another try would end alike.
        """
        headers = {} if content is None else {"content-type": ARRAYS}
        try:
            answer = self._client.request(method, path, content=content, headers=headers)
        except httpx.TimeoutException:
            return _SHORT_WAIT, "The backend that runs the models does not answer in time. Try again in a moment."
        except httpx.HTTPError:
            return _SHORT_WAIT, "The backend that runs the models cannot be reached. Try again in a moment."
        if answer.status_code == 200:
            return answer.content
        if answer.status_code not in _AGAIN:
            raise BackendError(f"The backend that runs the models refused a request: {_reason(answer)}")
        if answer.status_code == 503:
            return _wait(answer), "The backend that runs the models is busy. Try again in a moment."
        return _SHORT_WAIT, "The backend that runs the models failed. Try again in a moment."


def load_remote(url: str, models: Sequence[str] | None = None) -> Analyzer:
    """An analyzer without models of its own: what needs a network is asked of a backend, the rest is done here.

    Args:
        url: of the backend.
        models: only these, in this order; None means all that it runs.

    Raises:
        BackendError: it cannot be reached, or is no backend.
        CardError: a card is malformed.
        UnknownNameError: it does not run one of the models.
    """
    backend = Backend(url)
    try:
        facts = {each.card.name: each for each in backend.models()}
        for name in models or ():
            if name not in facts:
                raise UnknownNameError("model of the backend", name, facts)
    except FerError:
        backend.close()
        raise
    chosen = [facts[name] for name in dict.fromkeys(models or facts)]
    return Analyzer([_classifier(backend, each) for each in chosen], backend)


def _classifier(backend: Backend, facts: ModelFacts) -> Classifier:
    engine = RemoteEngine(partial(backend.run, facts.card.name), facts.engine, facts.precision)
    return Classifier(facts.card, None, torch.device("cpu"), engine, facts.class_weights)


def _wait(answer: httpx.Response) -> float:
    """Seconds after which a busy backend may be asked again; a little more, so that not all come back at once."""
    asked = answer.headers.get("retry-after", "")
    seconds = min(float(asked), _LONGEST_WAIT) if asked.isascii() and asked.isdigit() else _SHORT_WAIT
    return seconds + random.uniform(0, _SHORT_WAIT)


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"])[:300]
    except (ValueError, LookupError, TypeError):
        return f"it answered {answer.status_code}."
