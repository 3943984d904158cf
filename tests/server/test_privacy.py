"""What was sent is gone: no byte of it on the disk after the stated time, nor after half an upload, nor at the end."""

import io
import os
import secrets
import socket
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fer_models.analyzer import Analyzer
from tests.helpers.serving import call, send, serving, until


def marked(picture: NDArray[np.uint8]) -> tuple[bytes, bytes]:
    """A picture file, and bytes that occur in it and nowhere else."""
    mark = secrets.token_hex(32)
    info, file = PngInfo(), io.BytesIO()
    info.add_text("mark", mark)
    Image.fromarray(picture).save(file, "PNG", pnginfo=info)
    assert mark.encode() in file.getvalue()
    return file.getvalue(), mark.encode()


def holders(mark: bytes, *folders: Path) -> list[Path]:
    """The files in some folders that hold the mark."""
    found = []
    for folder in folders:
        for name, _, files in os.walk(folder):
            for path in (Path(name) / file for file in files):
                try:
                    if path.is_file() and mark in path.read_bytes():
                        found.append(path)
                except OSError:
                    continue
    return found


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, ...]:
    """Everywhere the app could write: its temporary folder, the working directory, caches of the user."""
    import tempfile

    for name in ("tmp", "work", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path, Path("/dev/shm"), Path("/var/tmp")


def test_an_upload_is_nowhere_after_its_lifetime(
    analyzer: Analyzer, picture: NDArray[np.uint8], disk: tuple[Path, ...]
) -> None:
    content, mark = marked(picture)
    with serving(analyzer, upload_lifetime=6) as running:
        path = send(running.url, ("holiday.png", content)).json()[0]
        assert "event: complete" in call(running.url, "compare", [{"path": path}])[1]
        assert holders(mark, *disk)
        assert until(lambda: not holders(mark, *disk))
        assert not list(running.uploads.rglob("*holiday*"))


def test_an_upload_is_nowhere_after_the_end(
    analyzer: Analyzer, picture: NDArray[np.uint8], disk: tuple[Path, ...]
) -> None:
    content, mark = marked(picture)
    with serving(analyzer) as running:
        send(running.url, ("holiday.png", content))
        assert holders(mark, *disk)
    assert not holders(mark, *disk)


def test_half_an_upload_is_swept_too_and_harms_nobody(
    analyzer: Analyzer, picture: NDArray[np.uint8], disk: tuple[Path, ...]
) -> None:
    content, mark = marked(picture)
    with serving(analyzer, upload_lifetime=2) as running:
        port = int(running.url.rstrip("/").rpartition(":")[2])
        body = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + content
        head = (
            b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: 1000000\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(head + body)
            # Long enough for what came to be written out, then the client is gone.
            assert until(lambda: bool(running.files()))
        assert until(lambda: not running.files())
        assert not holders(mark, *disk)
        path = send(running.url, ("b.png", content)).json()[0]
        assert "event: complete" in call(running.url, "compare", [{"path": path}])[1]
