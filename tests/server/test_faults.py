"""What breaks around the app: lost weights, damaged files, a full disk. It goes on, or says what to do and stops."""

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import app
from fer_models.analyzer import Analyzer, load_analyzer
from tests.helpers.serving import call, free_port, send, serving


def test_weights_deleted_while_it_runs_are_not_missed(
    weights_dir: Path, fake_detector: Any, photo: bytes, tmp_path: Path
) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(weights_dir, weights)
    with serving(load_analyzer(weights=weights, device="cpu", detector=fake_detector)) as running:
        shutil.rmtree(weights)
        path = send(running.url, ("a.png", photo)).json()[0]
        assert "event: complete" in call(running.url, "compare", [{"path": path}])[1]
        assert running.health.ready()


def test_a_truncated_weight_file_stops_the_start_with_words(
    weights_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(weights_dir, weights)
    file = weights / "vgg16.safetensors"
    file.write_bytes(file.read_bytes()[:5000])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert app.main(["--port", str(free_port()), "--weights", str(weights)]) == 2
    error = capsys.readouterr().err
    assert "is truncated" in error and "Restore it with" in error and error.count("\n") == 1


@pytest.fixture
def tiny_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB for everything temporary."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, b"size=24m"):
        pytest.skip(f"a small disk cannot be mounted here: {os.strerror(ctypes.get_errno())}")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_reported_and_the_app_runs_on(tiny_disk: Path, analyzer: Analyzer, photo: bytes) -> None:
    with serving(analyzer) as running:
        path = send(running.url, ("a.png", photo)).json()[0]
        filler = tiny_disk / "filler"
        filler.write_bytes(bytes(10_000_000))
        refused = send(running.url, ("b.png", photo))
        assert refused.status_code == 507 and "disk is full" in refused.json()["detail"]
        assert "event: complete" in call(running.url, "compare", [{"path": path}])[1]
        filler.unlink()
        assert send(running.url, ("b.png", photo)).status_code == 200
