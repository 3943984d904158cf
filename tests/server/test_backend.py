"""A page whose models run elsewhere: the same answers, one more try, words where there is none. Without Ray."""

import json
import threading
from collections.abc import Callable, Iterator

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

import app
from dashboard.server.backend import Backend, load_remote
from dashboard.server.options import adds_models, parse
from explain.maps import attention
from explain.methods import METHODS, PERTURBATION, supported
from fer_models.analyzer import Analyzer
from fer_models.errors import BackendError, FerError, UnknownNameError
from fer_models.media.images import read_image
from fer_models.models.card import ModelCard
from fer_models.schema import to_json
from fer_models.wire import ARRAYS, pack_image, unpack_image
from tests.helpers.backends import RunningBackend, backend_of, remote_of
from tests.helpers.serving import HTTP, free_port


@pytest.fixture(scope="module")
def serving_backend(analyzer: Analyzer) -> Iterator[RunningBackend]:
    with backend_of(analyzer) as running:
        yield running


@pytest.fixture
def backend(serving_backend: RunningBackend) -> RunningBackend:
    serving_backend.faults.asked.clear()
    serving_backend.faults.status.clear()
    serving_backend.services.busy = 0
    return serving_backend


@pytest.fixture
def remote(backend: RunningBackend) -> Iterator[Analyzer]:
    """A page's models, which the backend runs."""
    with remote_of(backend.url) as analyzer:
        yield analyzer


def answering(handler: Callable[[httpx.Request], httpx.Response], sleep: Callable[[float], None]) -> Backend:
    """A client that a function answers."""
    client = Backend("http://backend", sleep=sleep)
    client.close()
    client._client = httpx.Client(transport=httpx.MockTransport(handler), base_url="http://backend")
    return client


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(backend: RunningBackend, waits: list[float]) -> Iterator[Backend]:
    asking = Backend(backend.url, sleep=waits.append)
    yield asking
    asking.close()


def without_times(document: dict[str, object]) -> dict[str, object]:
    text = json.dumps(document)
    parsed: dict[str, object] = json.loads(
        text, object_hook=lambda each: {key: value for key, value in each.items() if key != "latency_ms"}
    )
    return parsed


def test_a_page_without_models_gives_the_same_answers_and_maps(
    remote: Analyzer, analyzer: Analyzer, picture: NDArray[np.uint8]
) -> None:
    assert list(remote.classifiers) == list(analyzer.classifiers)
    here, there = (each.analyze([picture, picture], features=True) for each in (analyzer, remote))
    assert len(there) == len(here) == 4
    for one, other in zip(here, there, strict=True):
        assert one.image == other.image and np.array_equal(one.face.box, other.face.box)
        assert np.array_equal(one.crop, other.crop) and list(one.predictions) == list(other.predictions)
        for name, prediction in one.predictions.items():
            assert other.predictions[name].labels == prediction.labels
            np.testing.assert_allclose(other.predictions[name].logits, prediction.logits, atol=1e-4)
            weights, far = (each.classifiers[name].class_weights for each in (analyzer, remote))
            assert weights is not None and far is not None and np.array_equal(weights, far)
            maps = attention(prediction, weights)[prediction.label].heat
            np.testing.assert_allclose(
                attention(other.predictions[name], far)[prediction.label].heat, maps, atol=1e-3 * float(np.ptp(maps))
            )


def test_the_backends_compare_is_the_pages(
    backend: RunningBackend, analyzer: Analyzer, photo: bytes, picture: NDArray[np.uint8]
) -> None:
    answer = HTTP.post(f"{backend.url}/compare", content=photo)
    assert answer.status_code == 200 and np.array_equal(read_image(photo), picture)
    expected = without_times(to_json(picture, analyzer.analyze([picture])))
    found = without_times(answer.json())
    assert found["image"] == expected["image"]
    for one, other in zip(expected["faces"], found["faces"], strict=True):  # type: ignore[call-overload]
        assert one["box"] == other["box"] and one["quality"] == other["quality"]
        for name, model in one["models"].items():
            assert other["models"][name]["label"] == model["label"]
            assert other["models"][name]["probabilities"] == pytest.approx(model["probabilities"], abs=1e-4)
    refused = HTTP.post(f"{backend.url}/compare", content=b"no picture")
    assert refused.status_code == 422 and "picture" in refused.json()["error"]
    assert HTTP.get(f"{backend.url}/readyz").json() == {"ready": True}


def test_only_chosen_models_and_no_unknown_one(backend: RunningBackend) -> None:
    with remote_of(backend.url, ["vgg16"]) as chosen:
        assert list(chosen.classifiers) == ["vgg16"]
    with pytest.raises(UnknownNameError, match="backend"):
        load_remote(backend.url, ["none"])


def test_what_needs_gradients_says_so_and_the_rest_works(remote: Analyzer, analyzer: Analyzer) -> None:
    here, there = (supported(each.classifiers["vgg16"]) for each in (analyzer, remote))
    assert not any(here.values())
    for name, facts in METHODS.items():
        works = facts.kind == PERTURBATION or facts.library_name is None
        assert ("backend" not in there[name]) == works and bool(there[name]) != works


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_one_failure_loses_no_answer(
    backend: RunningBackend, client: Backend, waits: list[float], status: int, picture: NDArray[np.uint8]
) -> None:
    backend.faults.status[status] = 1
    assert len(client.detect(picture)) == 2
    assert backend.faults.asked["POST /detect"] == 2 and len(waits) == 1 and waits[0] < 1
    backend.faults.status[status] = 2
    with pytest.raises(BackendError, match="Try again"):
        client.detect(picture)
    assert backend.faults.asked["POST /detect"] == 4


def test_a_lost_connection_is_opened_again_once(waits: list[float]) -> None:
    asked: list[httpx.Request] = []

    def lose(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) == 1:
            raise httpx.ReadError("the replica died")
        return httpx.Response(200, json={"models": []})

    client = answering(lose, waits.append)
    assert client.models() == [] and len(asked) == 2 and len(waits) == 1


def test_a_busy_backend_says_when_to_come_back_and_is_asked_once_more(
    backend: RunningBackend, client: Backend, waits: list[float], picture: NDArray[np.uint8]
) -> None:
    backend.services.busy = 1
    assert len(client.detect(picture)) == 2 and 1 <= waits[0] < 1.5
    backend.services.busy = 1
    refused = httpx.post(f"{backend.url}/detect", content=pack_image(picture), headers={"content-type": ARRAYS})
    assert refused.status_code == 503 and int(refused.headers["retry-after"]) == 1
    backend.services.busy = 2
    with pytest.raises(BackendError, match="busy"):
        client.detect(picture)
    assert len(waits) == 2 and backend.services.busy == 0


def test_a_wait_has_a_limit(waits: list[float]) -> None:
    def late(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503, headers={"retry-after": "86400"})

    with pytest.raises(BackendError, match="busy"):
        answering(late, waits.append).models()
    assert len(waits) == 1 and waits[0] < 6


def test_what_another_try_cannot_mend_is_not_tried_again(backend: RunningBackend, client: Backend) -> None:
    with pytest.raises(BackendError, match="runs no model none"):
        client.run("none", np.zeros((1, 3, 64, 64), np.float32), False)
    assert sum(backend.faults.asked.values()) == 1
    answer = httpx.post(f"{backend.url}/detect", content=b"not an array")
    assert answer.status_code == 422 and "Arrays" in answer.json()["error"]


def test_requests_at_the_same_time_all_get_their_own_answers(
    backend: RunningBackend, remote: Analyzer, analyzer: Analyzer
) -> None:
    generator = np.random.default_rng(1)
    pictures = [generator.integers(0, 256, (100, 110, 3), np.uint8) for _ in range(6)]
    expected = [each.predictions["vgg16"].logits for each in analyzer.analyze(pictures)]
    found = {}

    def ask(number: int) -> None:
        (face,) = remote.analyze([pictures[number]])
        found[number] = face.predictions["vgg16"].logits

    backend.faults.status[500] = 1  # whichever comes first
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 6
    for number, logits in found.items():
        np.testing.assert_allclose(logits, expected[number], atol=1e-4)


@pytest.mark.parametrize("url", ["backend:8000", "ftp://backend", "", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BackendError, match="--backend"):
        Backend(url)


def test_the_app_says_that_the_backend_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["--port", str(free_port()), "--backend", f"http://127.0.0.1:{free_port()}"]) == 2
    assert "cannot be reached" in capsys.readouterr().err


def test_something_else_at_the_address_is_no_backend(waits: list[float]) -> None:
    for content in (b"<html>", b"{}", b'{"models": [{"card": 1}]}'):
        answer = httpx.Response(200, content=content)
        with pytest.raises(FerError, match="backend"):
            answering(lambda _, answer=answer: answer, waits.append).models()  # type: ignore[misc]
    assert waits == []


def test_flags_of_local_models_are_refused_beside_a_backend(capsys: pytest.CaptureFixture[str]) -> None:
    for flags in (["--engine", "torch"], ["--model", "a.onnx"], ["--peers", "fer"], ["--add-models"]):
        with pytest.raises(SystemExit):
            parse(["--backend", "http://backend", *flags])
        assert flags[0] in capsys.readouterr().err
    options = parse(["--backend", "http://backend", "--models", "vgg16"])
    assert options.models == ["vgg16"] and not adds_models(options)


def test_pictures_travel_unchanged_and_nothing_else_is_taken_for_one(picture: NDArray[np.uint8]) -> None:
    turned = picture[:, ::-1]  # not contiguous
    assert np.array_equal(unpack_image(pack_image(turned)), turned)
    with pytest.raises(BackendError, match="image"):
        unpack_image(pack_image(picture[..., :2]))


def test_a_picture_without_faces_has_none_there_either(client: Backend, picture: NDArray[np.uint8]) -> None:
    assert client.detect(picture[:, :50]) == []


def test_cards_travel_unchanged(remote: Analyzer, analyzer: Analyzer) -> None:
    cards: dict[str, ModelCard] = {name: model.card for name, model in remote.classifiers.items()}
    assert cards == {name: model.card for name, model in analyzer.classifiers.items()}
