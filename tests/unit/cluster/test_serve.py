"""What the Ray Serve application answers where Ray loses a replica or has no room, with stand-ins for Ray's modules."""

import importlib.util
import sys
from collections.abc import Awaitable, Callable
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import numpy as np
import pytest
from fastapi.testclient import TestClient

import cluster.api
from cluster.api import RETRY_AFTER_S, build_api
from fer_models.analyzer import Analyzer
from fer_models.wire import ModelFacts, pack_image, pack_inputs

#: Ray's errors after which a request may be sent again, by the module that has them.
AGAIN: Final = {
    "ray.exceptions": ("RayActorError", "TaskCancelledError"),
    "ray.serve.exceptions": ("BackPressureError", "DeploymentUnavailableError"),
}


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`cluster.serve`, around modules that have of Ray what it imports."""

    def unchanged(*_: object, **__: object) -> Callable[[Any], Any]:
        return lambda decorated: decorated

    modules = {name: ModuleType(name) for name in ("ray", "ray.serve", "ray.serve.handle", *AGAIN)}
    for name, errors in AGAIN.items():
        vars(modules[name]).update({error: type(error, (Exception,), {}) for error in errors})
    vars(modules["ray.serve.handle"])["DeploymentHandle"] = object
    vars(modules["ray.serve"]).update(Application=object, batch=unchanged, ingress=unchanged)
    vars(modules["ray"])["serve"] = modules["ray.serve"]
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    path = cluster.api.__file__.replace("api.py", "serve.py")
    spec = importlib.util.spec_from_file_location("cluster_serve", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "cluster_serve", module)
    spec.loader.exec_module(module)
    return module


def handle(answer: Any = None, error: Exception | None = None) -> Any:
    """A deployment whose calls give an answer or end in an error."""

    async def call(*_: object) -> Any:
        if error is not None:
            raise error
        return answer

    def remote(*arguments: object) -> Awaitable[Any]:
        return call(*arguments)

    return SimpleNamespace(remote=remote)


def client_of(serve: Any, analyzer: Analyzer, error: Exception) -> TestClient:
    """The backend's API, whose detector and model end in an error."""
    model, engine = analyzer.classifiers["vgg16"], analyzer.classifiers["vgg16"].engine
    failing = handle(error=error)
    failing.facts = handle(ModelFacts(model.card, engine.name, engine.precision, model.class_weights))
    ingress = serve.Ingress(handle(error=error), {"vgg16": failing})
    return TestClient(build_api(lambda: ingress), raise_server_exceptions=False)


REQUESTS: Final = {
    "/detect": pack_image(np.zeros((100, 100, 3), np.uint8)),
    "/models/vgg16": pack_inputs(np.zeros((1, 3, 64, 64), np.float32), False),
}


@pytest.mark.parametrize("path", REQUESTS)
@pytest.mark.parametrize("name", [name for names in AGAIN.values() for name in names])
def test_a_lost_replica_and_a_full_queue_are_answered_with_a_time_to_come_back(
    serve: Any, analyzer: Analyzer, path: str, name: str
) -> None:
    died = type("Died", (getattr(serve, name),), {})  # Ray raises errors that are derived from these
    answer = client_of(serve, analyzer, died()).post(path, content=REQUESTS[path])
    assert answer.status_code == 503 and answer.headers["retry-after"] == str(RETRY_AFTER_S)
    assert "again" in answer.json()["error"]


@pytest.mark.parametrize("path", REQUESTS)
def test_another_error_of_a_model_is_not_called_busy(serve: Any, analyzer: Analyzer, path: str) -> None:
    answer = client_of(serve, analyzer, RuntimeError("gives no finite answers")).post(path, content=REQUESTS[path])
    assert answer.status_code == 500 and "retry-after" not in answer.headers


def test_a_replica_that_is_lost_before_the_models_are_known(serve: Any) -> None:
    lost = SimpleNamespace(facts=handle(error=serve.RayActorError()))
    client = TestClient(build_api(lambda: serve.Ingress(handle(), {"vgg16": lost})))
    assert client.get("/models").status_code == 503
