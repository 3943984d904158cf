"""The backend on Ray Serve with one shipped model: a process is killed under load, and too much is asked of it."""

import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import httpx
import numpy as np
import pytest

from fer_models.analyzer import WEIGHTS, load_analyzer
from fer_models.media.images import read_image
from fer_models.wire import pack_inputs
from tests.helpers.backends import remote_of
from tests.helpers.serving import free_port, until

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="needs requirements-ray.txt"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]

ROOT = WEIGHTS.parent
MODEL = "eac_mobilenet_v2"
PICTURE = ROOT / "examples" / "astronaut.jpg"


def processes(text: str) -> set[int]:
    """The running processes whose command line, which Ray's workers set, has this in it."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in path.read_bytes():
                found.add(int(path.parent.name))
        except OSError:
            continue  # it ended
    return found - {os.getpid()}


def of_session(folder: str) -> set[int]:
    """The processes of one Ray: they have its folder in their environment or on their command line."""
    found = processes(folder)
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if folder.encode() in path.read_bytes():
                found.add(int(path.parent.name))
        except OSError:
            continue
    return found - {os.getpid()}


@pytest.fixture(scope="module")
def backend() -> Iterator[tuple[str, str]]:
    """Its address, and the folder of its Ray."""
    folder, port = tempfile.mkdtemp(prefix="ray", dir="/tmp"), free_port()
    command = [sys.executable, "-m", "tests.helpers.ray_backend", folder, str(port), MODEL]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "FER_TEST_RAY": folder}
    # Ray's own ports listen on all addresses: nobody else gets in without the token.
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    log = Path(folder) / "driver.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    assert process.stdin is not None and process.stdout is not None
    try:
        assert select.select([process.stdout], [], [], 150)[0] and process.stdout.readline() == "ready\n", (
            log.read_text()[-3000:]
        )
        yield f"http://127.0.0.1:{port}", folder
        process.stdin.close()
        assert process.wait(60) == 0, log.read_text()[-3000:]
        assert until(lambda: not of_session(folder), 30), "Ray left processes behind"
    finally:
        for number in of_session(folder) | ({process.pid} if process.poll() is None else set()):
            try:
                os.kill(number, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait(30)
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


def test_the_backend_answers_as_the_page_does_here(backend: tuple[str, str]) -> None:
    url, _ = backend
    image = read_image(PICTURE)
    (here,) = load_analyzer([MODEL], device="cpu").analyze([image], features=True)
    with remote_of(url) as remote:
        (there,) = remote.analyze([image], features=True)
    assert np.allclose(there.face.box, here.face.box) and np.array_equal(there.crop, here.crop)
    one, other = here.predictions[MODEL], there.predictions[MODEL]
    np.testing.assert_allclose(other.logits, one.logits, atol=1e-3)
    assert one.features is not None and other.features is not None
    np.testing.assert_allclose(other.features, one.features, atol=1e-3 * float(np.ptp(one.features)))
    answer = httpx.post(f"{url}/compare", content=PICTURE.read_bytes(), timeout=60)
    (face,) = answer.json()["faces"]
    assert face["models"][MODEL]["label"] == one.label
    assert face["models"][MODEL]["probabilities"][one.label] == pytest.approx(one.confidence, abs=1e-3)
    assert httpx.get(f"{url}/readyz", timeout=60).json() == {"ready": True}


def test_a_replica_killed_under_load_loses_no_answer(backend: tuple[str, str]) -> None:
    url, _ = backend
    image = read_image(PICTURE)
    expected = load_analyzer([MODEL], device="cpu").analyze([image])[0].predictions[MODEL].logits
    replicas = processes(f"ray::ServeReplica:default:model-{MODEL}")
    (replica,) = replicas
    answers: list[float] = []
    enough = threading.Event()

    def use(_: int) -> None:
        with remote_of(url) as remote:
            while not enough.is_set():
                (face,) = remote.analyze([image])  # raises where an answer is lost
                answers.append(float(np.abs(face.predictions[MODEL].logits - expected).max()))

    with ThreadPoolExecutor(4) as people:
        using = [people.submit(use, number) for number in range(4)]
        try:
            assert until(lambda: len(answers) >= 8, 60)
            os.kill(replica, signal.SIGKILL)
            before = len(answers)
            assert until(lambda: len(answers) >= before + 12 or any(each.done() for each in using), 120)
        finally:
            enough.set()
        for each in using:
            each.result(90)
    assert max(answers) < 1e-3
    after = processes(f"ray::ServeReplica:default:model-{MODEL}")
    assert len(after) == 1 and after != {replica}


def test_more_than_it_can_do_is_refused_with_a_time_to_come_back(backend: tuple[str, str]) -> None:
    url, _ = backend
    with remote_of(url) as remote:
        side = remote.classifiers[MODEL].card.input.size
    content = pack_inputs(np.zeros((16, 3, side, side), np.float32), False)
    start = threading.Barrier(40)

    def ask(_: int) -> httpx.Response:
        with httpx.Client(timeout=90) as client:
            start.wait(60)
            return client.post(f"{url}/models/{MODEL}", content=content)

    with ThreadPoolExecutor(40) as crowd:
        answers = list(crowd.map(ask, range(40)))
    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, 503}
    refused = [answer for answer in answers if answer.status_code == 503]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    began = time.monotonic()
    assert httpx.get(f"{url}/healthz", timeout=60).json() == {"alive": True} and time.monotonic() - began < 30
