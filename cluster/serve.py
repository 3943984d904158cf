"""The backend as a Ray Serve application: an ingress, detection, and a deployment for each model.

    serve run cluster.serve:build models=vgg16,eac_mobilenet_v2 min_replicas=1 max_replicas=4
    python app.py --backend http://127.0.0.1:8000

Each deployment scales by itself between `min_replicas` and `max_replicas`. Faces of several requests that wait for a
model share a pass. Where a queue is full the ingress answers 503 with Retry-After, and so it does where a replica is
lost while it has a request: the page sends it again. Needs requirements-ray.txt.
"""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import torch
from fastapi import FastAPI
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator
from ray import serve
from ray.exceptions import RayActorError, TaskCancelledError
from ray.serve import Application
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from cluster.api import RETRY_AFTER_S, Busy, Services, build_api
from fer_models.analyzer import WEIGHTS, list_models
from fer_models.errors import FerError, UnknownNameError
from fer_models.faces.detector import CenterFace
from fer_models.models.classifier import BATCH, load_classifier
from fer_models.models.engines.outputs import Outputs
from fer_models.results import Face
from fer_models.wire import ModelFacts

T = TypeVar("T")

#: Requests in one pass of a model, and seconds that the first waits for company.
_JOINED: Final = 8
_COMPANY_S: Final = 0.004
#: Requests that one replica has at the same time: one pass and the next.
_ONGOING: Final = 2 * _JOINED


class Settings(BaseModel):
    """The arguments of the application.

    Attributes:
        models: names of models in the weights folder, a list or with commas between them; None means all.
        weights: that folder on every node; None means weights/ of the checkout.
        engine: as of `load_analyzer`.
        cores: of each replica.
        gpus: of each model's replica, a share of one such as 0.25; 0 means the CPU.
        min_replicas: of each deployment.
        max_replicas: of each deployment.
        max_queued: requests that may wait for each deployment; further ones are answered with 503.
    """

    model_config = ConfigDict(extra="forbid")

    models: list[str] | None = None
    weights: Path | None = None
    engine: str = "auto"
    cores: float = Field(default=1, gt=0)
    gpus: float = Field(default=0, ge=0)
    min_replicas: int = Field(default=1, ge=1)
    max_replicas: int = Field(default=4, ge=1)
    max_queued: int = Field(default=64, ge=1)

    @field_validator("models", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


class Model:
    """One model. Its replicas are alike and keep no state."""

    def __init__(self, name: str, settings: Settings) -> None:
        """Load it, on the cores that the replica has."""
        torch.set_num_threads(max(1, int(settings.cores)))
        device = "cuda" if settings.gpus else "cpu"
        self.classifier = load_classifier(name, settings.weights or WEIGHTS, device, settings.engine)

    async def facts(self) -> ModelFacts:
        """What a page must know about it."""
        engine = self.classifier.engine
        return ModelFacts(self.classifier.card, engine.name, engine.precision, self.classifier.class_weights)

    async def __call__(self, inputs: NDArray[np.float32], features: bool) -> Outputs:
        """One pass, as `Engine.run`, perhaps shared with other requests."""
        outputs: Outputs = await self.join((inputs, features))
        return outputs

    def check_health(self) -> None:
        """Raises if the model's answers are not finite; Serve then replaces the replica."""
        side = self.classifier.card.input.size
        (outputs,) = self._run([(np.zeros((1, 3, side, side), np.float32), False)])
        if not np.isfinite(outputs.logits).all():
            raise RuntimeError(f"{self.classifier.name} gives no finite answers")

    @serve.batch(max_batch_size=_JOINED, batch_wait_timeout_s=_COMPANY_S)  # type: ignore[untyped-decorator]
    async def join(self, requests: list[tuple[NDArray[np.float32], bool]]) -> list[Outputs]:
        """The outputs of several requests, each some inputs and whether it asks for feature maps."""
        return await asyncio.to_thread(self._run, requests)

    def _run(self, requests: list[tuple[NDArray[np.float32], bool]]) -> list[Outputs]:
        joined = torch.from_numpy(np.concatenate([inputs for inputs, _ in requests])).to(self.classifier.device)
        wanted = any(features for _, features in requests)
        passes = [self.classifier.engine.run(part, features=wanted) for part in torch.split(joined, BATCH)]
        logits = np.concatenate([each.logits for each in passes])
        maps = [each.features for each in passes if each.features is not None]
        found = np.concatenate(maps) if maps else None
        outputs, start = [], 0
        for inputs, features in requests:
            rows = slice(start, start := start + len(inputs))
            outputs.append(Outputs(logits[rows], found[rows] if features and found is not None else None))
        return outputs


class Detector:
    """Face detection on one core. Its replicas are alike and keep no state."""

    def __init__(self) -> None:
        """Read the weights, which happens at the first picture."""
        self.detector = CenterFace()
        self.check_health()

    async def __call__(self, image: NDArray[np.uint8]) -> list[Face]:
        """As `FaceDetector.detect`."""
        return await asyncio.to_thread(self.detector.detect, image)

    def check_health(self) -> None:
        """Raises if detection does; Serve then replaces the replica."""
        self.detector.detect(np.zeros((64, 64, 3), np.uint8))


def _services() -> Services:
    """The ingress of this process."""
    services: Services = serve.get_replica_context().servable_object
    return services


def _api() -> FastAPI:
    return build_api(_services)


@serve.ingress(_api)
class Ingress:
    """Answers HTTP and hands the work on."""

    def __init__(self, detector: DeploymentHandle, models: dict[str, DeploymentHandle]) -> None:
        """Join the deployments; models by name, in their order."""
        self._detector, self._models = detector, models
        self._facts: list[ModelFacts] = []

    async def facts(self) -> list[ModelFacts]:
        """As of `Services`; asked once."""
        if not self._facts:
            asked = [_answer(model.facts.remote()) for model in self._models.values()]
            self._facts = list(await asyncio.gather(*asked))
        return self._facts

    async def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """As of `Services`."""
        return await _answer(self._detector.remote(image))

    async def run(self, name: str, inputs: NDArray[np.float32], features: bool) -> Outputs:
        """As of `Services`."""
        return await _answer(self._models[name].remote(inputs, features))


async def _answer(response: Awaitable[T]) -> T:
    try:
        return await response
    except (BackPressureError, DeploymentUnavailableError, RayActorError, TaskCancelledError) as error:
        raise Busy from error


def build(settings: Settings) -> Application:
    """The application, as `serve run cluster.serve:build` and a RayService name it.

    Args:
        settings: its arguments.

    Raises:
        UnknownNameError: no such model.
        FerError: there is none, or the replicas' numbers do not fit.
    """
    if settings.min_replicas > settings.max_replicas:
        raise FerError(f"min_replicas {settings.min_replicas} is more than max_replicas {settings.max_replicas}.")
    known = list_models(settings.weights or WEIGHTS)
    names = known if settings.models is None else list(dict.fromkeys(settings.models))
    for name in names:
        if name not in known:
            raise UnknownNameError("model", name, known)
    if not names:
        raise FerError("There is no model to serve. Name the weights folder: weights=DIR.")
    scaling: dict[str, Any] = {
        "autoscaling_config": {
            "min_replicas": settings.min_replicas,
            "max_replicas": settings.max_replicas,
            "target_ongoing_requests": _JOINED // 2,
        },
        "max_ongoing_requests": _ONGOING,
        "max_queued_requests": settings.max_queued,
        "backpressure_config": {"retry_after_s": RETRY_AFTER_S},
        "health_check_period_s": 10,
        "health_check_timeout_s": 30,
        "graceful_shutdown_timeout_s": 10,
    }
    cores = {"num_cpus": settings.cores}
    resources = cores | ({"num_gpus": settings.gpus} if settings.gpus else {})
    models = {
        name: serve.deployment(Model)
        .options(name=f"model-{name}", ray_actor_options=resources, **scaling)
        .bind(name, settings)
        for name in names
    }
    detector = serve.deployment(Detector).options(name="detector", ray_actor_options=cores, **scaling).bind()
    ingress = serve.deployment(Ingress).options(
        name="ingress",
        ray_actor_options=cores,
        **scaling | {"max_ongoing_requests": 4 * _ONGOING, "max_queued_requests": 4 * settings.max_queued},
    )
    application: Application = ingress.bind(detector, models)
    return application
