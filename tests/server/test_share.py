"""The public link: opened in the background, announced within seconds, never in the way of the local page."""

import inspect
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio import networking, tunneling

from dashboard.server import share
from dashboard.server.share import LIFETIME, LinkError, PublicLink, make_link

GOOD = b'[{"host": "192.0.2.1", "port": 7000, "root_ca": "certificate"}]'


class Service(BaseHTTPRequestHandler):
    """Stands in for Gradio's service."""

    answer: tuple[int, bytes, float] = (200, GOOD, 0)

    def do_GET(self) -> None:
        status, body, pause = self.answer
        time.sleep(pause)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Service]]:
    server = HTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setattr(networking, "GRADIO_API_SERVER", f"http://127.0.0.1:{server.server_port}/tunnel")
    monkeypatch.setattr(share, "_PROBE", 0.5)
    monkeypatch.setattr(tunneling.Tunnel, "download_binary", lambda: None)
    yield Service
    Service.answer = (200, GOOD, 0)
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_lifetime_is_what_gradio_says() -> None:
    assert f"will last for up to {LIFETIME}" in inspect.getsource(gr.Blocks.launch)


def test_a_link_is_made_by_the_tunnel(service: type[Service], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Any] = []

    def setup(*arguments: Any) -> str:
        asked.extend(arguments)
        return "https://x.gradio.live"

    monkeypatch.setattr(networking, "setup_tunnel", setup)
    assert make_link("127.0.0.1", 7860, tmp_path) == "https://x.gradio.live"
    host, port, token, remote, certificate = asked
    assert (host, port, remote, Path(certificate).read_text()) == ("127.0.0.1", 7860, "192.0.2.1:7000", "certificate")
    assert len(token) > 30


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((503, b"", 0), "answers 503"),
        ((200, b"<html>log in</html>", 0), "something else than a tunnel"),
        ((200, b"[]", 0), "something else than a tunnel"),
        ((200, GOOD, 1.5), "does not answer"),
    ],
    ids=["down", "portal", "none", "hangs"],
)
def test_why_there_is_no_link(
    service: type[Service], tmp_path: Path, answer: tuple[int, bytes, float], expected: str
) -> None:
    service.answer = answer
    with pytest.raises(LinkError, match=expected):
        make_link("127.0.0.1", 7860, tmp_path)


def test_no_internet_no_program_no_tunnel(
    service: type[Service], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: Any) -> Any:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(networking, "GRADIO_API_SERVER", "http://127.0.0.1:9/tunnel")
        with pytest.raises(LinkError, match="cannot be reached"):
            make_link("127.0.0.1", 7860, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(tunneling.Tunnel, "download_binary", fail)
        with pytest.raises(LinkError, match="frpc"):
            make_link("127.0.0.1", 7860, tmp_path)
    monkeypatch.setattr(networking, "setup_tunnel", fail)
    with pytest.raises(LinkError, match="firewall"):
        make_link("127.0.0.1", 7860, tmp_path)


def opened(link: PublicLink, said: list[str], count: int) -> list[str]:
    started = time.monotonic()
    link.open()
    assert time.monotonic() - started < 1, "nobody waits for the link"
    while len(said) < count and time.monotonic() - started < 60:
        time.sleep(0.02)
    link.close()
    return said


def test_the_link_is_announced_with_its_lifetime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(share, "make_link", lambda *_: "https://x.gradio.live")
    said: list[str] = []
    (line,) = opened(PublicLink(7860, tmp_path, said.append), said, 1)
    assert "https://x.gradio.live" in line and "1 week" in line


def test_a_slow_link_is_reported_and_then_its_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    go = threading.Event()

    def slow(*_: Any) -> str:
        assert go.wait(60)
        raise LinkError("it broke.")

    monkeypatch.setattr(share, "make_link", slow)
    monkeypatch.setattr(share, "_PATIENCE", 0.05)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        go.set()

    first, second = opened(PublicLink(7860, tmp_path, say), said, 2)
    assert "not open yet" in first and "it broke." in second and "--host 0.0.0.0" in second


def test_closing_ends_the_tunnel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended: list[bool] = []

    class Process:
        def terminate(self) -> None:
            ended.append(True)

    said: list[str] = []
    link = PublicLink(7860, tmp_path, said.append)

    def make(*_: Any) -> str:
        tunnel: Any = tunneling.Tunnel("h", 1, "127.0.0.1", 7860, "t", None)
        tunnel.proc = Process()
        tunneling.CURRENT_TUNNELS.append(tunnel)
        return "https://x.gradio.live"

    monkeypatch.setattr(share, "make_link", make)
    opened(link, said, 1)
    tunneling.CURRENT_TUNNELS.clear()
    assert ended == [True] and capsys.readouterr().out == ""
