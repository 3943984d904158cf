"""The backend's HTTP API: the JSON of /compare, and what a page without models of its own asks. No Ray here.

    POST /compare        a picture's file in, the JSON of `fer_models.schema` out
    GET  /models         the models, as `fer_models.wire.facts_from_json` reads them
    POST /detect         a picture's pixels in, its faces out (`fer_models.wire`)
    POST /models/NAME    prepared inputs in, logits and feature maps out
    GET  /healthz        the process is alive
    GET  /readyz         every model answers

Errors are {"error": sentence}. A backend that has too much to do answers 503 with Retry-After.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, Protocol

import anyio.to_thread
import numpy as np
import torch
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from numpy.typing import NDArray

from fer_models.analyzer import Analyzer
from fer_models.errors import FerError
from fer_models.media.images import read_picture
from fer_models.models.classifier import Classifier
from fer_models.models.engines.outputs import Outputs
from fer_models.models.engines.remote_engine import RemoteEngine
from fer_models.results import Face
from fer_models.schema import to_json
from fer_models.wire import ARRAYS, ModelFacts, facts_to_json, pack_faces, pack_outputs, unpack_image, unpack_inputs

#: Seconds after which a client may ask a busy backend again.
RETRY_AFTER_S: Final = 1
#: Bytes of a request: the largest picture is 64 megapixels.
_MOST_BYTES: Final = 200_000_000
#: Seconds that detection or a model may take for one request.
_LIMIT_S: Final = 60.0
_SELF_TEST_SIDE: Final = 64


class Busy(Exception):
    """Detection or a model has too much to do, or was lost on the way: the request may be sent again."""


class Services(Protocol):
    """Where detection and the models run."""

    async def facts(self) -> list[ModelFacts]:
        """The models in their order; raises `Busy`."""
        ...

    async def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """As `FaceDetector.detect`; raises `Busy`."""
        ...

    async def run(self, name: str, inputs: NDArray[np.float32], features: bool) -> Outputs:
        """One pass of a model; raises `Busy`."""
        ...


def build_api(services: Callable[[], Services]) -> FastAPI:
    """The API.

    Args:
        services: called with each request.
    """
    api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    analyzers: list[Analyzer] = []  # one for the process, once the models are known

    async def analyzer() -> Analyzer:
        if not analyzers:
            analyzers.append(await _analyzer(services))
        return analyzers[0]

    @api.exception_handler(Busy)
    async def busy(_: Request, __: Exception) -> Response:
        return _error(503, "The backend is busy. Try again in a moment.")

    @api.exception_handler(FerError)
    async def refused(_: Request, error: Exception) -> Response:
        return _error(422, str(error))

    @api.post("/compare")
    async def compare(request: Request) -> Response:
        content = await _body(request)
        return JSONResponse(await anyio.to_thread.run_sync(partial(_compare, await analyzer(), content)))

    @api.get("/models")
    async def models() -> Response:
        return JSONResponse(facts_to_json(await services().facts()))

    @api.post("/models/{name}")
    async def run(name: str, request: Request) -> Response:
        if name not in [model.card.name for model in await services().facts()]:
            return _error(404, f"This backend runs no model {name}.")
        inputs, features = unpack_inputs(await _body(request))
        return Response(pack_outputs(await services().run(name, inputs, features)), media_type=ARRAYS)

    @api.post("/detect")
    async def detect(request: Request) -> Response:
        image = unpack_image(await _body(request))
        return Response(pack_faces(await services().detect(image)), media_type=ARRAYS)

    @api.get("/healthz")
    async def alive() -> Response:
        return JSONResponse({"alive": True})

    @api.get("/readyz")
    async def ready() -> Response:
        square = np.full((_SELF_TEST_SIDE, _SELF_TEST_SIDE, 3), 128, np.uint8)
        faces = await anyio.to_thread.run_sync(partial((await analyzer()).analyze, [square], whole=True))
        finite = all(np.isfinite(each.probabilities).all() for each in faces[0].predictions.values())
        return JSONResponse({"ready": finite}, 200 if finite else 503)

    return api


def _compare(analyzer: Analyzer, content: bytes) -> dict[str, Any]:
    picture = read_picture(content)
    return to_json(picture.pixels, analyzer.analyze([picture.pixels]), picture.notes)


async def _analyzer(services: Callable[[], Services]) -> Analyzer:
    """An analyzer for threads of this process, whose detection and passes the event loop hands on."""
    loop = asyncio.get_running_loop()

    def wait(answer: Awaitable[Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(_limited(answer), loop).result()

    def send(name: str, inputs: NDArray[np.float32], features: bool) -> Outputs:
        outputs: Outputs = wait(services().run(name, inputs, features))
        return outputs

    class Detector:
        def detect(self, image: NDArray[np.uint8]) -> list[Face]:
            faces: list[Face] = wait(services().detect(image))
            return faces

    classifiers = [
        Classifier(
            model.card,
            None,
            torch.device("cpu"),
            RemoteEngine(partial(send, model.card.name), model.engine, model.precision),
            model.class_weights,
        )
        for model in await services().facts()
    ]
    return Analyzer(classifiers, Detector())


async def _limited(answer: Awaitable[Any]) -> Any:
    try:
        return await asyncio.wait_for(answer, _LIMIT_S)
    except TimeoutError:
        raise Busy from None


async def _body(request: Request) -> bytes:
    """The request's content.

    Raises:
        FerError: it is too large.
    """
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > _MOST_BYTES:
            raise FerError(f"The request has more than {_MOST_BYTES // 1_000_000} MB. Send a smaller picture.")
    return b"".join(parts)


def _error(status: int, text: str) -> Response:
    headers = {"retry-after": str(RETRY_AFTER_S)} if status == 503 else {}
    return JSONResponse({"error": text}, status, headers)
