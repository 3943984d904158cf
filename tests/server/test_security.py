"""What strangers may try: paths, addresses, disguised files, bombs, pickles. None of it works."""

import io
import json
import pickle
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fer_models.analyzer import Analyzer, load_analyzer
from fer_models.errors import FerError, ImageError
from fer_models.media.images import read_image
from tests.helpers.serving import HTTP, Running, call, send, serving

#: Files that every machine has and no visitor may see, and words in them.
SECRETS = {"/etc/passwd": "root:", "/proc/self/environ": "PATH=", "/etc/../etc/passwd": "root:"}


class Listener:
    """A server on this machine that no visitor may reach through the app."""

    def __init__(self, socket_: socket.socket) -> None:
        self.socket = socket_
        self.url = f"http://127.0.0.1:{socket_.getsockname()[1]}/secret.png"

    def was_asked(self) -> bool:
        self.socket.settimeout(1)
        try:
            self.socket.accept()[0].close()
        except TimeoutError:
            return False
        return True


@pytest.fixture
def listener() -> Iterator[Listener]:
    with closing(socket.create_server(("127.0.0.1", 0))) as opened:
        yield Listener(opened)


def joined(running: Running, index: int, data: list[Any]) -> str:
    """What the page's own callback `index` answers, called as the page does."""
    session = f"s{index}"
    body = {"data": data, "fn_index": index, "session_hash": session}
    answer = HTTP.post(f"{running.url}gradio_api/queue/join", json=body, timeout=60)
    if answer.status_code != 200:
        return answer.text
    text = ""
    with HTTP.stream("GET", f"{running.url}gradio_api/queue/data", params={"session_hash": session}, timeout=60) as sse:
        for line in sse.iter_lines():
            text += line
            if "process_completed" in line or "unexpected_error" in line:
                break
    return text


def every_callback(running: Running) -> list[tuple[int, int]]:
    """The index and the number of inputs of everything that a browser or client can send something to."""
    functions = running.page.fns.items()
    return [(index, len(function.inputs)) for index, function in functions if function.queue and function.inputs]


@pytest.mark.parametrize("path", SECRETS)
@pytest.mark.parametrize("shape", ["path", "marked", "url", "bare", "nested"])
def test_no_callback_reads_a_file_of_the_server(running: Running, path: str, shape: str) -> None:
    payload: Any = {
        "path": {"path": path},
        "marked": {"path": path, "meta": {"_type": "gradio.FileData"}},
        "url": {"path": path, "url": f"{running.url}gradio_api/file={path}", "meta": {"_type": "gradio.FileData"}},
        "bare": path,
        "nested": [{"image": {"path": path, "meta": {"_type": "gradio.FileData"}}}],
    }[shape]
    callbacks = every_callback(running) if path == "/etc/passwd" else []
    assert callbacks == [] or len(callbacks) >= 5
    for index, inputs in callbacks:
        text = joined(running, index, [payload] * inputs)
        assert SECRETS[path] not in text and "Traceback" not in text
    status, text = call(running.url, "compare", [payload])
    assert "event: complete" not in text and SECRETS[path] not in text and "Traceback" not in text
    assert not any(SECRETS[path].encode() in file.read_bytes() for file in running.uploads.rglob("*") if file.is_file())


def test_components_that_decode_for_themselves_are_no_way_round(analyzer: Analyzer) -> None:
    """Mounted, Gradio only checks paths because the app says that it was launched: this holds it to that."""

    def page() -> gr.Blocks:
        blocks: gr.Blocks
        with gr.Blocks(analytics_enabled=False) as blocks:
            file, text, button = gr.File(), gr.Textbox(), gr.Button()
            button.click(lambda path: Path(path).read_text(), file, text, api_name="read")
        return blocks

    with serving(analyzer, page) as running:
        path = send(running.url, ("own.txt", b"own words")).json()[0]
        marked = {"meta": {"_type": "gradio.FileData"}}
        assert "own words" in call(running.url, "read", [{"path": path} | marked])[1]
        for secret, word in SECRETS.items():
            for extra in (marked, {}):
                text = call(running.url, "read", [{"path": secret} | extra])[1]
                assert "event: error" in text and word not in text


@pytest.mark.parametrize("path", SECRETS)
@pytest.mark.parametrize("route", ["gradio_api/file={}", "gradio_api/file/{}", "static/{}", "assets/{}", "svelte/{}"])
def test_no_route_serves_a_file_of_the_server(running: Running, route: str, path: str) -> None:
    for text in (path, path.replace("/", "%2f"), "..%2f..%2f..%2f..%2f..%2f..%2f.." + path, "../../../../../.." + path):
        request = httpx.Request("GET", running.url + route.format(text))
        answer = HTTP.send(request)
        assert answer.status_code in (400, 403, 404), text
        assert SECRETS[path] not in answer.text


def test_addresses_are_never_fetched(running: Running, listener: Listener) -> None:
    url = listener.url
    payloads: list[Any] = [url, {"path": url}, {"url": url}, {"path": url, "url": url}]
    payloads += [payload | {"meta": {"_type": "gradio.FileData"}} for payload in payloads[1:]]
    for payload in payloads:
        for index, inputs in every_callback(running):
            joined(running, index, [payload] * inputs)
        assert "event: complete" not in call(running.url, "compare", [payload])[1]
    for route in ("file=", "file/", "proxy="):
        assert HTTP.get(f"{running.url}gradio_api/{route}{url}").status_code in (403, 404)
    assert not listener.was_asked()


def png(width: int, height: int, rows: bytes) -> bytes:
    """A PNG with 8-bit grey pixels and whatever size its header claims."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


HOSTILE = {
    "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><image href='file:///etc/passwd'/></svg>",
    "page.png": b"<!doctype html><script>alert(1)</script>",
    "script.gif": b"GIF89a/*" + b"\0" * 20 + b"*/=1;alert(1)",
    "archive.jpg": b"PK\x03\x04" + b"\0" * 100,
    "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) (r) file\n",
    "bomb.png": png(60_000, 60_000, bytes(1_000_000)),
    "claims.png": png(2**31 - 1, 2**31 - 1, b""),
    "short.png": png(4000, 4000, b"\0"),
    "pickle.png": pickle.dumps({"a": 1}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_disguised_files_and_bombs_are_refused(running: Running, name: str) -> None:
    path = send(running.url, (name, HOSTILE[name])).json()[0]
    status, text = call(running.url, "compare", [{"path": path}])
    assert status == 200 and "event: error" in text
    assert "Traceback" not in text and "alert" not in text and "root:" not in text


def test_files_that_could_run_in_a_browser_are_downloads(running: Running) -> None:
    for name in ("drawing.svg", "page.html", "page.png"):
        content = HOSTILE.get(name, HOSTILE["page.png"])
        path = send(running.url, (name, content)).json()[0]
        answer = HTTP.get(f"{running.url}gradio_api/file={path}")
        assert answer.headers["x-content-type-options"] == "nosniff"
        harmless = answer.headers["content-type"] == "image/png"
        assert harmless or answer.headers["content-disposition"].startswith("attachment")


def test_a_polyglot_is_a_picture_and_nothing_else(running: Running, photo: bytes) -> None:
    both = photo + b"<script>alert(1)</script>PK\x05\x06" + b"\0" * 18
    path = send(running.url, ("a.html.png", both)).json()[0]
    text = call(running.url, "compare", [{"path": path}])[1]
    assert "event: complete" in text and "alert" not in text


@pytest.mark.parametrize(
    "name", ["../../escape.png", "/tmp/escape.png", "..\\escape.png", "a\0b.png", "x" * 300, "~", ".."]
)
def test_a_file_name_leads_nowhere(running: Running, name: str) -> None:
    answer = send(running.url, (name, b"content"))
    if answer.status_code == 200:
        assert Path(answer.json()[0]).resolve().is_relative_to(running.uploads.resolve())
    assert answer.status_code < 500
    assert not Path("/tmp/escape.png").exists() and not (running.uploads.parent / "escape.png").exists()


def test_a_link_among_the_uploads_leads_nowhere(running: Running, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    link = running.uploads / "link.png"
    link.symlink_to(tmp_path / "secret.png")
    text = call(running.url, "compare", [{"path": str(link)}])[1]
    assert "No picture was sent" in text
    link.unlink()


class Payload:
    """What a pickle does when it is opened."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.write_text, (self.trace, "it ran")


@pytest.mark.parametrize("form", ["torch", "pickle", "state"])
def test_weights_are_never_unpickled(
    tmp_path: Path, form: str, write_model: Any, fake_detector: Any, caplog: pytest.LogCaptureFixture
) -> None:
    trace = tmp_path / "trace"
    weights = tmp_path / "weights"
    weights.mkdir()
    write_model(weights, "good")
    bad = weights / "bad.pth"
    if form == "torch":
        torch.save(Payload(trace), bad)
    elif form == "state":
        torch.save({"state_dict": {"features.0.weight": torch.zeros(1), "evil": Payload(trace)}}, bad)
    else:
        bad.write_bytes(pickle.dumps(Payload(trace)))
    with pytest.raises(FerError):
        load_analyzer(["bad"], device="cpu", weights=weights, detector=fake_detector)
    assert list(load_analyzer(device="cpu", weights=weights, detector=fake_detector).classifiers) == ["good"]
    assert not trace.exists()
    pickle.loads(pickle.dumps(Payload(trace)))  # it would have
    assert trace.exists()


def test_weights_disguised_as_safetensors_are_never_unpickled(
    tmp_path: Path, write_model: Any, fake_detector: Any
) -> None:
    trace = tmp_path / "trace"
    write_model(tmp_path, "bad")
    torch.save(Payload(trace), tmp_path / "bad.safetensors")
    with pytest.raises(FerError):
        load_analyzer(device="cpu", weights=tmp_path, detector=fake_detector)
    assert not trace.exists()


# Anything at all.


def encoded() -> list[bytes]:
    generator = np.random.default_rng(0)
    picture = Image.fromarray(generator.integers(0, 256, (24, 32, 3), np.uint8))
    files = []
    for form in ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "GIF", "TIFF", "PPM"):
        for mode in ("RGB", "L"):
            file = io.BytesIO()
            exif = Image.Exif()
            exif[0x0112] = 6
            options = {"exif": exif} if form in ("JPEG", "PNG", "WEBP", "TIFF") else {}
            picture.convert(mode).save(file, form, **options)
            files.append(file.getvalue())
    return files


FILES = encoded()
#: Where, what kind of change, and with what.
CHANGES = st.lists(st.tuples(st.floats(0, 1), st.sampled_from("rcid"), st.binary(min_size=1, max_size=8)), max_size=12)


def mutate(content: bytes, changes: list[tuple[float, str, bytes]]) -> bytes:
    """Replace, cut, insert or duplicate at some places."""
    for place, kind, data in changes:
        at = int(place * len(content))
        if kind == "r":
            content = content[:at] + data + content[at + len(data) :]
        elif kind == "c":
            content = content[:at]
        elif kind == "i":
            content = content[:at] + data + content[at:]
        else:
            content = content[:at] + content[at // 2 : at] + content[at:]
    return content


@settings(max_examples=300, deadline=5000, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FILES), CHANGES)
def test_whatever_a_file_holds_it_is_a_picture_or_an_image_error(content: bytes, changes: Any) -> None:
    try:
        image = read_image(mutate(content, changes))
    except ImageError:
        return
    assert image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["path", "url", "meta", "_type", "data", "is_stream", "size"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "payload", ["photo.jpg", 7, [], {"path": 7}, {"path": "a\0b"}, {"path": "x" * 5000}, {"url": "x"}, None, True]
)
@pytest.mark.parametrize("endpoint", ["compare", "explain"])
def test_without_a_file_the_answer_says_how_to_send_one(running: Running, endpoint: str, payload: Any) -> None:
    inputs = next(len(function.inputs) for function in running.page.fns.values() if function.api_name == endpoint)
    _, text = call(running.url, endpoint, [payload, *[None] * (inputs - 1)])
    assert "Something went wrong" not in text and "event: complete" not in text


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=JSON)
def test_whatever_compare_is_sent_it_answers(running: Running, payload: Any) -> None:
    status, text = call(running.url, "compare", [payload])
    assert status == 200 or 400 <= status < 500 or status == 503, status
    assert "Traceback" not in text and "event: complete" not in text
    assert status != 200 or "event: error" in text


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=JSON, route=st.sampled_from(["call/compare", "queue/join", "run/compare", "cancel", "call/v2/compare"]))
def test_whatever_the_api_is_sent_it_answers(running: Running, body: Any, route: str) -> None:
    answer = HTTP.post(f"{running.url}gradio_api/{route}", content=json.dumps(body), timeout=30)
    assert "Traceback" not in answer.text and 'File "' not in answer.text
    assert answer.status_code < 500 or answer.text in ("Internal Server Error", "")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300), boundary=st.text("ab-", max_size=4))
def test_whatever_an_upload_is_it_is_answered(running: Running, body: bytes, boundary: str) -> None:
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    answer = HTTP.post(f"{running.url}gradio_api/upload", content=body, headers=headers, timeout=30)
    assert "Traceback" not in answer.text and 'File "' not in answer.text


def test_it_still_works_after_all_that(running: Running, photo: bytes) -> None:
    path = send(running.url, ("a.png", photo)).json()[0]
    assert "event: complete" in call(running.url, "compare", [{"path": path}])[1]
    assert threading.active_count() < 100
