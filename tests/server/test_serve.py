"""The app as it is served: health, figures, logs, passwords, limits, and its end."""

import contextlib
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from numpy.typing import NDArray

import app
from dashboard.page import launch_settings
from dashboard.server.gradio_internals import is_busy
from dashboard.server.health import Health
from dashboard.server.logs import json_logs
from dashboard.server.measured_analyzer import MeasuredAnalyzer
from dashboard.server.metrics import Metrics
from dashboard.server.options import Settings
from dashboard.server.uploads_folder import remove_abandoned, size_of, sweep, upload_folder
from dashboard.video.session import VideoSession
from fer_models.analyzer import Analyzer
from fer_models.errors import ImageError
from fer_models.registry import MODELS
from tests.helpers.clips import ramp, write_clip
from tests.helpers.serving import HTTP, Running, call, free_port, mounted, send, serving, until


def compare(running: Running, photo: bytes, client: httpx.Client = HTTP) -> str:
    path = client.post(f"{running.url}gradio_api/upload", files={"files": ("a.png", photo)}, timeout=60).json()[0]
    return call(running.url, "compare", [{"path": path}], client)[1]


def value(running: Running, name: str, **labels: str) -> float:
    return running.metrics.registry.get_sample_value(name, labels) or 0.0


# What clients of the API are told.


@pytest.mark.parametrize(
    ("endpoint", "data", "expected"),
    [
        ("compare", ["data:image/png;base64,AAAA"], "handle_file"),
        ("compare", [3], "handle_file"),
        ("compare", [{"path": "http://127.0.0.1:9/face.png", "meta": {"_type": "gradio.FileData"}}], "handle_file"),
        ("compare", [], "takes 1 values, 0 came: Image"),
        ("explain", [None], "takes 4 values, 1 came: Image, "),
    ],
)
def test_data_that_is_no_upload_is_answered_with_what_to_send(
    running: Running, endpoint: str, data: list[Any], expected: str
) -> None:
    answer = call(running.url, endpoint, data)[1]
    assert "event: error" in answer and expected in answer and "Traceback" not in answer


# Health.


def test_it_lives_and_is_ready(running: Running) -> None:
    answers = [HTTP.get(f"{running.url}{path}", timeout=60) for path in ("healthz", "readyz")]
    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (200, {"alive": True}),
        (200, {"ready": True}),
    ]


class Counted(Analyzer):
    def __init__(self, analyzer: Analyzer) -> None:
        super().__init__(list(analyzer.classifiers.values()), analyzer.detector)
        self.calls, self.broken = 0, False

    def analyze(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        if self.broken:
            raise RuntimeError("the device is gone")
        return super().analyze(*args, **options)


def test_the_self_test_is_cached_but_not_its_failure(analyzer: Analyzer) -> None:
    counted = Counted(analyzer)
    health = Health(counted)
    counted.broken = True
    assert not health.ready() and not health.ready() and counted.calls == 2
    counted.broken = False
    assert health.ready() and health.ready() and counted.calls == 3
    health.draining = True
    assert not health.ready()
    stale = Health(counted, fresh=0)
    assert stale.ready() and stale.ready() and counted.calls == 5


# Figures.


def test_figures_count_what_was_read(running: Running, photo: bytes) -> None:
    names = ("fer_pictures_total", "fer_faces_total")
    before = [value(running, name) for name in names]
    work = value(running, "fer_requests_total", endpoint="work", status="200")
    models = [value(running, "fer_model_seconds_count", model=name) for name in MODELS]
    assert "event: complete" in compare(running, photo)
    assert [value(running, name) for name in names] == [before[0] + 1, before[1] + 2]
    assert value(running, "fer_requests_total", endpoint="work", status="200") == work + 2
    assert [value(running, "fer_model_seconds_count", model=name) for name in MODELS] == [n + 1 for n in models]
    for stage in ("detect", "models", "all"):
        assert value(running, "fer_stage_seconds_count", stage=stage) > 0
    assert value(running, "fer_queue_length") == 0
    assert value(running, "fer_process_resident_memory_bytes") > 1e6


def test_figures_count_errors(analyzer: Analyzer) -> None:
    metrics = Metrics()
    with pytest.raises(ImageError):
        MeasuredAnalyzer(analyzer, metrics).analyze([np.zeros((4, 4, 3), np.uint8)])
    assert metrics.registry.get_sample_value("fer_errors_total", {"kind": "ImageError"}) == 1
    assert metrics.registry.get_sample_value("fer_pictures_total") == 0


def test_measuring_changes_no_answer(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    plain, measured = analyzer.analyze([picture]), MeasuredAnalyzer(analyzer, Metrics()).analyze([picture])
    assert len(plain) == len(measured) == 2
    for expected, face in zip(plain, measured, strict=True):
        for name in MODELS:
            assert np.array_equal(expected.predictions[name].probabilities, face.predictions[name].probabilities)


def test_figures_are_not_on_the_public_port(running: Running) -> None:
    assert HTTP.get(f"{running.url}metrics").status_code == 404


# Logs.


def test_logs_are_json_without_names_addresses_or_words_of_errors(
    analyzer: Analyzer, photo: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    errors: list[str] = []
    with json_logs("info", errors.append), serving(analyzer) as running:
        send(running.url, ("holiday of anna.png", photo))
        compare(running, photo)
        try:
            raise ValueError("/uploads/holiday of anna.png")
        except ValueError:
            logging.getLogger("somebody.else").exception("cannot read %s", "holiday of anna.png")
            import traceback

            traceback.print_exc()
    text = capsys.readouterr().err
    lines = [json.loads(line) for line in text.splitlines()]
    assert "anna" not in text and "127.0.0.1" not in text and str(running.uploads) not in text
    upload, *_ = (line for line in lines if line.get("endpoint") == "upload")
    assert upload["status"] == 200 and upload["ms"] >= 0 and upload["level"] == "info"
    line = next(line for line in lines if line["logger"] == "somebody.else")
    assert line["message"] == "cannot read %s" and line["error"] == "ValueError"
    assert re.fullmatch(r"test_serve\.py:\d+ test_logs_are_json.*", line["stack"][0])
    assert errors.count("somebody.else") == 1 and "dashboard.server.logs" in errors


# Passwords.


def test_without_the_password_there_is_nothing_but_health(locked: Running, photo: bytes) -> None:
    url = locked.url
    assert '"auth_required":true' in HTTP.get(url, timeout=60).text
    assert "compare-image" not in HTTP.get(url).text  # Gradio tells the endpoints' names, but no component
    for path in ("config", "gradio_api/info", "gradio_api/queue/status", "gradio_api/file=/etc/hostname"):
        assert HTTP.get(url + path).status_code == 401, path
    before = locked.files()
    assert send(url, ("a.png", photo)).status_code == 401
    assert locked.files() == before
    for path in ("call/compare", "run/compare", "api/compare", "queue/join", "call/v2/compare"):
        body = {"data": [None], "session_hash": "x", "fn_index": 0}
        assert HTTP.post(f"{url}gradio_api/{path}", json=body).status_code == 401, path
    assert HTTP.post(f"{url}live/frame?number=1", content="data:image/jpeg;base64,").status_code == 410, "no token"
    assert HTTP.get(f"{url}healthz").status_code == HTTP.get(f"{url}readyz", timeout=60).status_code == 200


def test_the_password_opens_it(locked: Running, photo: bytes, tmp_path: Path) -> None:
    with httpx.Client() as visitor:
        wrong = visitor.post(f"{locked.url}login", data={"username": "anna", "password": "guess"})
        assert wrong.status_code == 400 and not visitor.cookies
        right = visitor.post(f"{locked.url}login", data={"username": "anna", "password": "secret"})
        assert right.status_code == 200
        assert "event: complete" in compare(locked, photo, visitor)
    (tmp_path / "a.png").write_bytes(photo)
    client = Client(locked.url, auth=("anna", "secret"), verbose=False)
    assert len(client.predict(handle_file(tmp_path / "a.png"), api_name="/compare")["faces"]) == 2


# Limits.


def test_a_visitor_who_asks_too_often_is_refused(analyzer: Analyzer, photo: bytes) -> None:
    with serving(analyzer, rate_limit=3) as running:
        assert "event: complete" in compare(running, photo)
        assert call(running.url, "compare", [None])[0] == 200
        status, text = call(running.url, "compare", [None])
        assert status == 429 and "Too many requests" in text
        assert HTTP.get(running.url, timeout=60).status_code == 200


def test_nobody_goes_round_the_queue(running: Running, photo: bytes) -> None:
    path = send(running.url, ("a.png", photo)).json()[0]
    answer = HTTP.post(f"{running.url}gradio_api/run/compare", json={"data": [{"path": path}]}, timeout=60)
    assert answer.status_code == 404 and "queue" in answer.text


def test_uploads_larger_than_allowed_are_refused(analyzer: Analyzer) -> None:
    with serving(analyzer, max_upload_mb=1) as running:
        assert send(running.url, ("a", bytes(999_000))).status_code == 200
        assert send(running.url, ("a", bytes(2_000_000))).status_code == 413
        # Also as many small ones.
        assert send(running.url, *((str(n), bytes([n]) * 300_000) for n in range(5))).status_code == 413
        assert size_of(running.uploads) < 1_000_000


def test_settings_reach_gradio(analyzer: Analyzer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    settings = Settings(tmp_path, queue_size=7, concurrency=2, max_upload_mb=5)
    _, page, _, _ = mounted(analyzer, settings)
    assert (page._queue.max_size, page.max_file_size, page.api_open) == (7, 5_000_000, False)
    assert page._queue.default_concurrency_limit == 2
    limits = [function.concurrency_limit for function in page.fns.values()]
    assert 2 in limits and all(limit in ("default", None) or limit <= 2 for limit in limits)
    kept = launch_settings()
    assert (page.footer_links, page.run_history, page.enable_monitoring) == (["api"], False, False)
    assert page.state_session_capacity == kept["state_session_capacity"] == page.app.state_holder.capacity
    assert page.css == kept["css"] and page.theme.name == kept["theme"].name and not page.show_error
    assert not page.pwa and not page.ssr_mode and not page.analytics_enabled


def test_gradio_keeps_no_statistics_of_calls(running: Running, photo: bytes) -> None:
    assert "event: complete" in compare(running, photo)
    assert until(lambda: not is_busy(running.page))
    queue = running.page._queue
    assert queue.events_recorded > 0
    assert queue.event_analytics == {} and queue.cached_event_analytics_summary == {"functions": {}}


def test_a_proxy_can_serve_it_under_a_path(analyzer: Analyzer) -> None:
    with serving(analyzer, root_path="/faces", trusted_proxies=1) as running:
        headers = {"x-forwarded-host": "example.org", "x-forwarded-proto": "https"}
        config = HTTP.get(f"{running.url}config", headers=headers, timeout=60).json()
        assert config["root"] == "https://example.org/faces"


# The folder of uploads.


def test_the_folder_is_private_and_goes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("GRADIO_TEMP_DIR", "before")
    with upload_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert tempfile.gettempdir() == os.environ["GRADIO_TEMP_DIR"] == str(folder)
        (folder / "deep").mkdir()
        (folder / "deep" / "upload").write_bytes(b"x")
        remove_abandoned(tmp_path)
        assert (folder / "deep" / "upload").exists(), "a run that lives keeps its uploads"
    assert not list(tmp_path.iterdir())
    assert os.environ["GRADIO_TEMP_DIR"] == "before" and tempfile.tempdir == str(tmp_path)


def test_folders_of_killed_runs_are_removed(tmp_path: Path) -> None:
    for name in ("fer-compare-killed", "fer-compare-no-lock", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "upload").write_bytes(b"x")
    (tmp_path / "fer-compare-killed" / ".running").touch()
    remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fer-compare-no-lock", "other"]


def test_the_sweep_deletes_what_is_old_and_only_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/upload", "half", "kept", ".running"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "link").symlink_to("/etc/hostname")
    assert sweep(tmp_path, 60) == 0
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert sweep(tmp_path, 60, {str(tmp_path / "kept")}) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [".running", "kept"]
    assert Path("/etc/hostname").exists()


def test_what_a_session_keeps_outlives_the_uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A video's results are there for the hour that the page promises; what was left behind goes later."""
    session = VideoSession(write_clip(tmp_path / "clip.mp4", [ramp(0)] * 3), tmp_path)
    names = [f"{session.folder.name}/annotated.mp4", f"{session.folder.name}/deep/frames.csv", "upload/clip.mp4"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b"x")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    sweep(tmp_path, 300)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        *("annotated.mp4", "frames.csv", "source")
    ]
    monkeypatch.setattr(time, "time", lambda: now + 3 * 3600 + 60)
    sweep(tmp_path, 300)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("jump", [86400, -86400])
def test_a_clock_that_jumps_keeps_no_upload(
    analyzer: Analyzer, photo: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    """Forwards or back by a day: what was sent before goes at the next sweep, what is sent after it is read."""
    (tmp_path / "upload").write_bytes(b"x")
    now = time.time
    with serving(analyzer) as running:
        assert "event: complete" in compare(running, photo)
        monkeypatch.setattr(time, "time", lambda: now() + jump)
        assert sweep(tmp_path, 300) == 1
        assert "event: complete" in compare(running, photo)
        assert HTTP.get(f"{running.url}readyz", timeout=60).status_code == 200


# Starting and stopping as a process.

START = """
import sys
import conftest
import app
from fer_models import analyzer

class Slow(conftest.FakeDetector):
    def detect(self, image):
        import time
        time.sleep(1.5)
        return super().detect(image)

load = analyzer.load_analyzer
analyzer.load_analyzer = lambda models, **options: load(models, detector=Slow(), **options)
sys.exit(app.main(sys.argv[1:]))
"""


def start(weights: Path, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join(map(str, (Path(app.__file__).parent, Path(__file__).resolve().parents[1])))
    return subprocess.Popen(
        [sys.executable, "-c", START, "--weights", str(weights), "--device", "cpu", *arguments],
        env=os.environ | {"PYTHONPATH": paths, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until_alive(process: subprocess.Popen[str], url: str) -> None:
    for _ in range(1200):
        assert process.poll() is None, process.communicate()
        try:
            HTTP.get(f"{url}healthz")
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the app does not start")


@dataclass(frozen=True)
class Restarted:
    """An app that was started where another was killed in the middle of an upload.

    Attributes:
        weights: content of the weights folder before.
        left: files that the killed one left in the folder.
    """

    process: subprocess.Popen[str]
    port: int
    metrics: int
    folder: Path
    weights: dict[Path, bytes]
    left: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file() and path.name != ".running"]


@pytest.fixture(scope="module")
def restarted(weights_dir: Path, photo: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restarted]:
    folder = tmp_path_factory.mktemp("restarted")
    port = free_port()
    weights = {path: path.read_bytes() for path in weights_dir.iterdir()}
    killed = Restarted(start(weights_dir, folder, "--port", str(port)), port, 0, folder, weights, [])
    try:
        wait_until_alive(killed.process, killed.url)
        send(killed.url, ("whole.png", photo))
        with socket.create_connection(("127.0.0.1", port)) as half:
            before = len(killed.files())
            half.sendall(
                b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
                b"Content-Length: 1000000\r\n\r\n"
                b'--b\r\nContent-Disposition: form-data; name="files"; filename="half.png"\r\n\r\n' + photo
            )
            assert until(lambda: len(killed.files()) > before)
            killed.process.kill()
            killed.process.communicate(timeout=60)
    finally:
        killed.process.kill()
        killed.process.wait()
    left = [path.name for path in killed.files()]
    metrics = free_port()
    arguments = ["--port", str(port), "--metrics-port", str(metrics), "--log-level", "info"]
    process = start(weights_dir, folder, *arguments)
    try:
        wait_until_alive(process, killed.url)
        yield Restarted(process, port, metrics, folder, weights, left)
    finally:
        process.kill()
        process.wait()


def test_kill_9_in_the_middle_of_an_upload_leaves_nothing_that_harms(
    restarted: Restarted, weights_dir: Path, photo: bytes
) -> None:
    assert "whole.png" in restarted.left, "nobody could tidy up"
    assert not restarted.files()
    path = send(restarted.url, ("a.png", photo)).json()[0]
    assert "event: complete" in call(restarted.url, "compare", [{"path": path}])[1]
    assert {path: path.read_bytes() for path in weights_dir.iterdir()} == restarted.weights


def test_sigterm_finishes_what_runs_and_ends_with_0(restarted: Restarted, photo: bytes) -> None:
    """The last test of this app, which ends it."""
    url, process = restarted.url, restarted.process
    assert "fer_process_resident_memory_bytes" in HTTP.get(f"http://127.0.0.1:{restarted.metrics}/metrics").text
    path = send(url, ("anna.png", photo)).json()[0]
    assert Path(path).is_relative_to(restarted.folder)
    event = HTTP.post(f"{url}gradio_api/call/compare", json={"data": [{"path": path}]}, timeout=60).json()
    with (
        HTTP.stream("GET", f"{url}gradio_api/heartbeat/somebody", timeout=60),  # a page that is open
        HTTP.stream("GET", f"{url}gradio_api/call/compare/{event['event_id']}", timeout=60) as answer,
    ):
        stopped = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert "event: complete" in "".join(answer.iter_text())
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and time.monotonic() - stopped < 60
    assert out.splitlines()[-1] == "Stopped." and f"Open http://127.0.0.1:{restarted.port} in" in out
    assert all(json.loads(line)["level"] != "error" for line in err.splitlines()), err
    # Gradio leaves an empty folder of its own; no file is left.
    assert "anna" not in err and not [path for path in restarted.folder.rglob("*") if not path.is_dir()]


def test_clients_that_go_in_the_middle_of_an_answer_leave_nothing_behind(running: Running, photo: bytes) -> None:
    path = send(running.url, ("a.png", photo)).json()[0]
    for _ in range(8):
        event = HTTP.post(f"{running.url}gradio_api/call/compare", json={"data": [{"path": path}]}, timeout=60).json()
        address = f"{running.url}gradio_api/call/compare/{event['event_id']}"
        with contextlib.suppress(httpx.ReadTimeout), httpx.Client(verify=False, timeout=0.01) as client:
            client.get(address)
    assert until(lambda: not is_busy(running.page))
    assert "event: complete" in compare(running, photo)


def test_a_taken_port_for_figures_is_reported(
    weights_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        number = taken.getsockname()[1]
        assert app.main(["--port", str(free_port()), "--metrics-port", str(number)]) == 2
    output = capsys.readouterr()
    assert str(number) in output.err and "Loading" not in output.out
