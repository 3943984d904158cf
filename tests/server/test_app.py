"""The app's flags, its start, and /compare through a real client."""

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from numpy.typing import NDArray
from PIL import Image

import app
from dashboard.components.picture_input import EXAMPLES
from dashboard.components.uploads import uploaded_path
from dashboard.server.serve import Server
from dashboard.server.share import LinkError
from fer_models.analyzer import Analyzer, load_analyzer
from fer_models.cli.main import main as command
from fer_models.errors import ImageError, WeightsError
from fer_models.expressions import EXPRESSIONS
from fer_models.registry import MODELS
from tests.helpers.browsing import launched
from tests.helpers.serving import free_port

FACE = EXAMPLES / "astronaut.jpg"


@pytest.fixture(scope="module")
def server(weights_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an app with small random models and the real face detector."""
    analyzer = load_analyzer(weights=weights_dir, device="cpu")
    with launched(analyzer, tmp_path_factory.mktemp("uploads"), weights_dir) as (url, _):
        yield url


@pytest.fixture(scope="module")
def client(server: str) -> Client:
    return Client(server, verbose=False)


def without_latency(result: dict[str, Any]) -> dict[str, Any]:
    for face in result["faces"]:
        for model in face["models"].values():
            assert model.pop("latency_ms") > 0
    return result


def test_compare_follows_the_schema(client: Client) -> None:
    result = client.predict(image=handle_file(FACE), api_name="/compare")
    assert result["image"] == {"width": 512, "height": 512}
    assert len(result["faces"]) == 1
    face = result["faces"][0]
    assert len(face["box"]) == 4 and 0 < face["score"] <= 1
    assert list(face["models"]) == list(MODELS)
    for model in face["models"].values():
        assert list(model["probabilities"]) == list(EXPRESSIONS)
        assert sum(model["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert model["label"] == max(model["probabilities"], key=model["probabilities"].__getitem__)


def test_compare_notes_that_a_file_is_cut_off(client: Client, tmp_path: Path) -> None:
    assert "notes" not in client.predict(image=handle_file(FACE), api_name="/compare")
    (tmp_path / "cut.jpg").write_bytes(FACE.read_bytes()[:-200])
    result = client.predict(image=handle_file(tmp_path / "cut.jpg"), api_name="/compare")
    assert len(result["faces"]) == 1 and len(result["notes"]) == 1


@pytest.mark.parametrize("name", ["astronaut.jpg", "several_faces.jpg", "cat.jpg"])
def test_compare_and_predict_give_the_same_numbers(
    client: Client, weights_dir: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["predict", str(EXAMPLES / name), "--json", "-", "--device", "cpu", "--weights", str(weights_dir)]
    assert command(arguments) == 0
    line = json.loads(capsys.readouterr().out)
    assert line.pop("file") == str(EXAMPLES / name)
    result = client.predict(image=handle_file(EXAMPLES / name), api_name="/compare")
    assert without_latency(result) == without_latency(line)


def test_compare_reads_the_file_as_it_was_sent(client: Client, tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.open(FACE).resize((300, 200)).save(tmp_path / "turned.jpg", exif=turned)
    result = client.predict(image=handle_file(tmp_path / "turned.jpg"), api_name="/compare")
    assert result["image"] == {"width": 200, "height": 300}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"not a picture", "is not a picture that can be read"),
        (FACE.read_bytes()[:5000], "damaged or incomplete"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG is a drawing"),
    ],
    ids=["text", "truncated", "drawing"],
)
def test_compare_says_what_is_wrong_with_a_picture(
    client: Client, tmp_path: Path, content: bytes, expected: str
) -> None:
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(Exception, match=expected):
        client.predict(image=handle_file(tmp_path / "bad.jpg"), api_name="/compare")


def test_compare_refuses_a_decompression_bomb(client: Client, tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    with pytest.raises(Exception, match="megapixels"):
        client.predict(image=handle_file(tmp_path / "bomb.png"), api_name="/compare")


@pytest.mark.parametrize("extra", [{}, {"meta": {"_type": "gradio.FileData"}}, {"url": str(FACE)}])
@pytest.mark.parametrize(("name", "more"), [("compare", []), ("explain", ["all", "native", "own"])])
def test_endpoints_read_no_file_that_was_not_uploaded(
    server: str, extra: dict[str, Any], name: str, more: list[str]
) -> None:
    call = f"{server}gradio_api/call/{name}"
    event = httpx.post(call, json={"data": [{"path": str(FACE), **extra}, *more]}).json()["event_id"]
    answer = httpx.get(f"{call}/{event}", timeout=30).text
    assert "event: error" in answer and "complete" not in answer and "Traceback" not in answer


def test_only_what_is_meant_to_be_is_an_endpoint(client: Client, server: str) -> None:
    info = client.view_api(return_format="dict", print_info=False)
    assert isinstance(info, dict)
    assert list(info["named_endpoints"]) == ["/compare", "/explain"] and not info["unnamed_endpoints"]
    assert httpx.get(f"{server}monitoring/summary").status_code != 200


def test_uploads_are_only_taken_from_the_upload_folder(tmp_path: Path) -> None:
    inside = tmp_path / "uploads" / "picture.jpg"
    inside.parent.mkdir()
    inside.write_bytes(b"x")
    (tmp_path / "secret.jpg").write_bytes(b"x")
    folder = inside.parent
    assert uploaded_path({"path": str(inside)}, folder) == inside
    for payload in (None, {}, {"path": None}, {"path": str(folder)}, {"path": f"{folder}/../secret.jpg"}):
        with pytest.raises(ImageError, match="No picture was sent"):
            uploaded_path(payload, folder)


def test_unexpected_errors_show_neutral_words(analyzer: Analyzer, picture: NDArray[np.uint8], tmp_path: Path) -> None:
    import gradio as gr

    from dashboard.compare import tab as compare

    class Broken(Analyzer):
        def analyze(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("secret detail")

    Image.fromarray(picture).save(tmp_path / "picture.png")
    with gr.Blocks(analytics_enabled=False):
        tab = compare.build(Broken(list(analyzer.classifiers.values()), analyzer.detector), tmp_path, tmp_path)
    *_, last = tab.analyze_upload(gr.EventData(None, {"path": str(tmp_path / "picture.png")}))
    assert "Something went wrong" in last[tab.picture_input.notice]["value"] and "secret" not in str(last)
    with pytest.raises(gr.Error, match="Something went wrong"):
        tab.compare({"path": str(tmp_path / "picture.png")})


def test_help_explains_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        app.parse(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    documented = set(re.findall(r"^  (--[a-z-]+)", text, re.MULTILINE))
    assert documented == {
        *(
            "--add-models",
            "--allow-download",
            "--allow-torchscript",
            "--host",
            "--port",
            "--share",
            "--models",
            "--model",
            "--peers",
            "--device",
            "--engine",
            "--weights",
            "--backend",
            "--auth",
            "--auth-file",
            "--hash-password",
            "--mcp",
        ),
        "--mcp-stdio",
        *("--max-upload-mb", "--upload-lifetime", "--queue-size", "--concurrency", "--rate-limit"),
        *("--trusted-proxies", "--root-path", "--metrics-port", "--log-level"),
    }
    assert text.count("default") >= 4


def test_flags_and_their_defaults() -> None:
    options = app.parse([])
    assert (options.host, options.port, options.share) == ("127.0.0.1", 7860, False)
    assert (options.models, options.device) == (None, "auto")
    options = app.parse(["--host", "0.0.0.0", "--port", "8000", "--models", "vgg16", "resnet50", "--device", "cpu"])
    assert (options.host, options.port, options.models, options.device) == (
        "0.0.0.0",
        8000,
        ["vgg16", "resnet50"],
        "cpu",
    )


@pytest.mark.parametrize("port", ["0", "70000", "http", "-1"])
def test_a_port_that_cannot_be_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        app.parse([f"--port={port}"])
    assert stop.value.code == 2
    assert "not a port" in capsys.readouterr().err


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, analyzer: Analyzer) -> None:
    """main() gets the small models and keeps nothing of the environment it changes."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    monkeypatch.setattr("fer_models.analyzer.load_analyzer", lambda *_, **__: analyzer)
    monkeypatch.setattr("signal.signal", lambda *_: None)


def test_missing_weights_are_reported_in_one_line(
    started: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise WeightsError("weights/vgg16.safetensors is missing. Restore it with: git checkout -- weights")

    monkeypatch.setattr("fer_models.analyzer.load_analyzer", fail)
    assert app.main([]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "Restore it" in error


def test_a_taken_port_is_reported(started: None, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert app.main(["--port", str(taken.getsockname()[1])]) == 2
    output = capsys.readouterr()
    assert "in use" in output.err and "--port" in output.err and "Loading" not in output.out


def test_a_public_link_that_fails_is_reported_and_the_app_runs_on(
    started: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    servers: list[Server] = []
    alive: list[Any] = []

    class Kept(Server):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            servers.append(self)

    def fail(host: str, linked: int, _: Path) -> str:
        assert (host, linked) == ("127.0.0.1", port)
        while not servers[0].started:
            time.sleep(0.02)
        raise LinkError("share.example cannot be reached.")

    def say(text: str) -> None:
        print(text)
        if "No public link" in text:
            alive.append(httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=60).json())
            alive.append(httpx.post(f"http://127.0.0.1:{port}/live/frame", content="").status_code)
            servers[0].should_exit = True

    monkeypatch.setattr("dashboard.server.share.make_link", fail)
    monkeypatch.setattr("app._say", say)
    monkeypatch.setattr("dashboard.server.serve.Server", Kept)
    assert app.main(["--share", "--port", str(port), "--weights", str(tmp_path)]) == 0
    assert alive == [{"alive": True}, 410], "the page's own routes are there, too"
    out = capsys.readouterr().out
    assert f"Open http://127.0.0.1:{port} in a browser" in out
    assert "No public link could be opened: share.example cannot be reached." in out
    assert "--host 0.0.0.0" in out and "--auth USER:PASSWORD" in out


def test_a_missing_account_file_is_reported_before_the_models_are_loaded(
    started: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(["--auth-file", "/no/such/file"]) == 2
    output = capsys.readouterr()
    assert "Cannot read the account file" in output.err and "Loading" not in output.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--auth", "a:b", "--auth-file", "c"],
        ["--root-path", "faces"],
        ["--max-upload-mb", "0"],
        ["--rate-limit", "-1"],
        ["--concurrency", "two"],
    ],
)
def test_flags_that_cannot_be_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        app.parse(arguments)
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


@pytest.mark.parametrize(("model", "target", "missing"), [("all", "own", 0), ("vgg16", "fear", 200)])
def test_explain_and_the_command_give_the_same_maps(
    client: Client, weights_dir: Path, tmp_path: Path, model: str, target: str, missing: int
) -> None:
    face = tmp_path / FACE.name
    face.write_bytes(FACE.read_bytes()[: -missing or None])
    arguments = ["explain", str(face), "--target", target, "--method", "gradcam", "--out", str(tmp_path)]
    arguments += [] if model == "all" else ["--model", model]
    assert command([*arguments, "--device", "cpu", "--weights", str(weights_dir)]) == 0
    written = json.loads((tmp_path / "explanation.json").read_text())
    assert written.pop("file") == "astronaut.jpg"
    result = client.predict(image=handle_file(face), model=model, method="gradcam", target=target, api_name="/explain")
    for document in (written, result):
        for record in document["models"].values():
            for one in record["maps"].values():
                assert one.pop("cost_ms") > 0
                one.pop("overlay", None)
                one.pop("cells", None)
    assert result == written
    assert len(result.get("notes", [])) == bool(missing)
    assert list(result["models"]) == (list(MODELS) if model == "all" else [model])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "alexnet"}, "Unknown model"),
        ({"method": "guess"}, "Unknown method"),
        ({"target": "bored"}, "Unknown expression"),
        ({"target": "all", "method": "scorecam"}, "too slow for every expression here"),
    ],
)
def test_explain_says_what_is_wrong(client: Client, options: dict[str, str], message: str) -> None:
    with pytest.raises(Exception, match=message):
        client.predict(image=handle_file(FACE), **options, api_name="/explain")
