"""The tools for MCP clients: a real client over HTTP and over stdio, what it answers, and what it refuses."""

import asyncio
import base64
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, ImageContent, TextContent
from numpy.typing import NDArray
from PIL import Image

import app
from dashboard.mcp.tools import Tools, decode_picture
from dashboard.server.accounts import hash_password
from dashboard.server.mcp_auth import McpAuthMiddleware
from explain.explain_picture import explain_picture
from explain.regions import REGIONS
from fer_models.analyzer import Analyzer
from fer_models.errors import ImageError
from fer_models.media.images import read_image
from fer_models.models.ensemble import ensemble
from fer_models.registry import MODELS
from tests.helpers.serving import HTTP, Running, free_port, serving

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "astronaut.jpg"
T = TypeVar("T")


def png(picture: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def coded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def visit(url: str, talk: Callable[[Client], Coroutine[Any, Any, T]], mode: str = "auto", **http: Any) -> T:
    """Connect a client to an app, and let it talk."""

    async def main() -> T:
        async with (
            httpx2.AsyncClient(verify=False, timeout=120, **http) as connection,
            Client(streamable_http_client(f"{url}mcp", http_client=connection), mode=mode) as client,
        ):
            return await talk(client)

    try:
        return asyncio.run(main())
    except BaseExceptionGroup as group:  # the client's own tasks wrap what went wrong
        raise leaf(group) from None


def leaf(error: BaseException) -> BaseException:
    return leaf(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def call(running: Running, tool: str, **arguments: Any) -> CallToolResult:
    return visit(running.url, lambda client: client.call_tool(tool, arguments))


def words(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def document(result: CallToolResult) -> dict[str, Any]:
    """The figures of an answer, which come twice alike: for programs and as text."""
    assert not result.is_error, words(result)
    (text, *_) = result.content
    assert isinstance(text, TextContent) and result.structured_content is not None
    assert json.loads(text.text) == result.structured_content
    figures: dict[str, Any] = result.structured_content
    return figures


# What it says of itself and answers.


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_tools_are_listed_with_what_they_do(running: Running, mode: str) -> None:
    tools = {tool.name: tool for tool in visit(running.url, lambda client: client.list_tools(), mode).tools}
    assert set(tools) == {"compare", "predict", "explain"}
    for tool in tools.values():
        assert tool.title and len(tool.description or "") > 100 and tool.output_schema
        assert tool.annotations and tool.annotations.read_only_hint and not tool.annotations.open_world_hint
        parts = tool.input_schema["properties"]
        assert tool.input_schema["required"] == ["image"] and "base64" in parts["image"]["description"]
        assert all(part.get("description") for part in parts.values())
    assert all(name in (tools["compare"].description or "") for name in MODELS)
    choices = tools["predict"].input_schema["properties"]["model"]
    assert choices["default"] == "ensemble" and all(name in choices["description"] for name in (*MODELS, *MEANS))


def test_compare_gives_the_analyzers_figures(running: Running, analyzer: Analyzer) -> None:
    expected = analyzer.analyze([read_image(EXAMPLE)])
    answer = document(call(running, "compare", image=coded(EXAMPLE.read_bytes())))
    assert answer["image"] == {"width": 512, "height": 512} and len(answer["faces"]) == len(expected) == 5
    for face, analysis in zip(answer["faces"], expected, strict=True):
        assert face["box"] == pytest.approx(analysis.face.box.tolist()) and face["score"] == analysis.face.score
        assert face["agreement"] == analysis.agreement and list(face["models"]) == list(MODELS)
        for name, model in face["models"].items():
            prediction = analysis.predictions[name]
            assert model["label"] == prediction.label
            assert model["probabilities"] == pytest.approx(
                {label: prediction.probability(label) for label in prediction.labels}, abs=1e-6
            )


def test_compare_with_chosen_models_and_whole(running: Running, picture: NDArray[np.uint8]) -> None:
    answer = document(call(running, "compare", image=coded(png(picture)), models=["vgg16"], whole=True))
    (face,) = answer["faces"]
    assert list(face["models"]) == ["vgg16"] and face["box"] == [65, 0, 165, 100]


def test_a_picture_without_a_face_is_no_error(running: Running, picture: NDArray[np.uint8]) -> None:
    assert document(call(running, "compare", image=coded(png(picture[:, :90]))))["faces"] == []


def test_every_tool_says_that_a_file_is_cut_off(running: Running) -> None:
    whole = EXAMPLE.read_bytes()
    for tool in ("compare", "predict", "explain"):
        assert document(call(running, tool, image=coded(whole)))["notes"] == []
        (note,) = document(call(running, tool, image=coded(whole[:-200])))["notes"]
        assert "cut off" in note


MEANS = {
    "ensemble": MODELS,
    "ensemble_fer2013": ("resnet50", "vgg16"),
    "ensemble_ferplus": ("eac_resnet50", "eac_mobilenet_v2"),
}


@pytest.mark.parametrize("model", [*MEANS, "vgg16"])
def test_predict_gives_one_answer_per_face(
    running: Running, analyzer: Analyzer, picture: NDArray[np.uint8], model: str
) -> None:
    answer = document(call(running, "predict", image=coded(png(picture)), model=model))
    assert answer["model"] == model and len(answer["faces"]) == 2
    for face, analysis in zip(answer["faces"], analyzer.analyze([picture]), strict=True):
        predictions = analysis.predictions
        expected = ensemble({name: predictions[name] for name in MEANS.get(model, (model,))})
        assert face["label"] == expected.label and face["confidence"] == pytest.approx(expected.confidence, abs=1e-6)
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_explain_gives_pictures_and_shares(running: Running, analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    arguments: dict[str, Any] = {"models": ["vgg16", "resnet50"], "expression": "all", "face": 2}
    result = call(running, "explain", image=coded(png(picture)), **arguments)
    answer = document(result)
    expected = explain_picture(analyzer, picture, models=["vgg16", "resnet50"], target="all", face=2)
    assert answer["face"]["number"] == 2 and list(answer["models"]) == list(expected.maps)
    titles, pictures = [], []
    for content in result.content[1:]:
        if isinstance(content, TextContent):
            titles.append(content.text)
        else:
            assert isinstance(content, ImageContent) and content.mime_type == "image/png"
            pictures.append(np.array(Image.open(io.BytesIO(base64.b64decode(content.data)))))
    assert titles == [f"{name}, native, {target}" for name, maps in expected.maps.items() for target in maps]
    assert [drawn.shape for drawn in pictures] == [(448, 448, 3)] * 14
    for name, maps in expected.maps.items():
        for target, one in maps.items():
            record = answer["models"][name]["maps"][target]
            assert record["peak"] == pytest.approx(one.peak, rel=1e-4) and record["method"] == "native"
            assert list(record["shares"]) == list(answer["areas"]) == list(REGIONS)
            assert sum(record["shares"].values()) == pytest.approx(1)


# What it refuses.

GOOD = coded(png(np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)))
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("compare", {"image": "http://127.0.0.1:9/a.png"}, "paths and addresses are not read"),
    ("compare", {"image": "https://example.org/a.png"}, "paths and addresses are not read"),
    ("compare", {"image": "file:///etc/passwd"}, "paths and addresses are not read"),
    ("compare", {"image": "/etc/passwd"}, "paths and addresses are not read"),
    ("compare", {"image": "data:text/html,hello"}, "paths and addresses are not read"),
    ("predict", {"image": "no base64!"}, "no base64"),
    ("predict", {"image": ""}, "empty"),
    ("predict", {"image": coded(b"<svg onload='alert(1)'/>")}, "export it as PNG"),
    ("compare", {"image": GOOD, "models": ["nobody"]}, "Unknown model 'nobody'. Known: resnet50"),
    ("predict", {"image": GOOD, "model": "nobody"}, "Unknown model 'nobody'. Known: resnet50"),
    ("explain", {"image": GOOD, "models": ["nobody"]}, "Unknown model 'nobody'"),
    ("explain", {"image": GOOD, "method": "magic"}, "Unknown method 'magic'"),
    ("explain", {"image": GOOD, "expression": "bored"}, "Unknown expression 'bored'"),
    ("explain", {"image": GOOD, "face": 2}, "There is no face 2"),
    ("explain", {"image": GOOD, "face": 0}, "There is no face 0"),
    ("compare", {}, "Field required"),
    ("compare", {"image": {"path": "/etc/passwd"}}, "valid string"),
    ("nothing", {}, "Unknown tool"),
    ("explain", {"image": GOOD, "model": "vgg16"}, "takes no argument 'model'. It takes image, models"),
    ("predict", {"image": GOOD, "models": ["vgg16"]}, "takes no argument 'models'. It takes image, model"),
]


def test_what_cannot_be_done_is_said_in_words(running: Running) -> None:
    async def ask(client: Client) -> list[CallToolResult]:
        return [await client.call_tool(tool, arguments) for tool, arguments, _ in WRONG]

    for result, (tool, _, expected) in zip(visit(running.url, ask), WRONG, strict=True):
        text = words(result)
        assert result.is_error and expected in text, (tool, text)
        assert "Traceback" not in text and 'File "' not in text and "root:" not in text


def test_a_picture_with_too_many_bytes_or_pixels_is_refused(analyzer: Analyzer) -> None:
    file = io.BytesIO()
    Image.new("L", (9000, 9000)).save(file, "PNG")
    with serving(analyzer, mcp=True, max_upload_mb=1) as running:
        assert "at most 1 MB" in words(call(running, "compare", image=coded(bytes(1_000_010))))
        assert "limit is 64 megapixels" in words(call(running, "compare", image=coded(file.getvalue())))
        with pytest.raises(MCPError, match="too large: at most 32 MB"):
            call(running, "compare", image="A" * 33_000_000)


def test_an_unexpected_error_is_reported_without_its_words(analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(analyzer, mcp=True) as running:
        monkeypatch.setattr(Tools, "compare", lambda *_: 1 / 0)
        result = call(running, "compare", image=GOOD)
    assert result.is_error and words(result).startswith("Something went wrong")


def test_who_asks_too_often_is_refused(analyzer: Analyzer) -> None:
    async def ask(client: Client) -> None:
        for _ in range(10):
            await client.call_tool("compare", {"image": "x"})

    with serving(analyzer, mcp=True, rate_limit=4) as running, pytest.raises(MCPError, match="Too many requests"):
        visit(running.url, ask)


def test_many_at_once_are_answered_or_refused(running: Running) -> None:
    async def ask(client: Client) -> list[CallToolResult | BaseException]:
        calls = [client.call_tool("predict", {"image": GOOD}) for _ in range(40)]
        return await asyncio.gather(*calls, return_exceptions=True)

    results = visit(running.url, ask)
    errors = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(error, MCPError) and "Too much is asked" in str(error) for error in errors), errors
    assert len(results) - len(errors) >= 16
    assert document(call(running, "predict", image=GOOD))["faces"]


HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


def test_web_pages_streams_and_other_addresses_are_refused(running: Running) -> None:
    url = f"{running.url}mcp"
    assert HTTP.post(url, json=LIST, headers=HEADERS).json()["result"]["tools"]
    for origin in ("http://evil.example", running.url.rstrip("/"), "null"):
        answer = HTTP.post(url, json=LIST, headers=HEADERS | {"origin": origin})
        assert answer.status_code == 403 and "Web pages" in answer.json()["error"]["message"]
    for method in ("GET", "DELETE", "PUT", "OPTIONS"):
        assert HTTP.request(method, url, headers=HEADERS).status_code == 405
    assert HTTP.post(url, content="a=1", headers={"content-type": "text/plain"}).status_code in (400, 406)
    # Gradio's own tools, which fetch addresses, are not there.
    assert HTTP.post(f"{running.url}gradio_api/mcp", json=LIST, headers=HEADERS).status_code in (404, 405)


def test_there_is_no_such_address_unless_asked_for(analyzer: Analyzer) -> None:
    with serving(analyzer) as running:
        assert HTTP.post(f"{running.url}mcp", json=LIST, headers=HEADERS).status_code in (404, 405)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["jsonrpc", "id", "method", "params", "name", "arguments", "image"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)
CALLS = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0"), "id": st.integers(), "method": st.sampled_from(["tools/call", "initialize", "ping"])},
    optional={"params": JSON},
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=JSON | CALLS)
def test_whatever_it_is_sent_it_answers(running: Running, body: Any) -> None:
    answer = HTTP.post(f"{running.url}mcp", content=json.dumps(body), headers=HEADERS, timeout=60)
    assert answer.status_code < 500
    assert "Traceback" not in answer.text and 'File "' not in answer.text


@given(st.text(max_size=60) | st.binary(max_size=60).map(coded) | st.text("Az9+/= \n:dat,;", max_size=60))
def test_whatever_a_picture_is_it_is_one_or_an_image_error(text: str) -> None:
    with pytest.raises(ImageError):
        decode_picture(text)


def test_a_picture_may_come_as_browsers_write_it(picture: NDArray[np.uint8]) -> None:
    content = png(picture)
    wrapped = re.sub("(.{76})", "\\1\r\n", coded(content))
    for text in (coded(content), wrapped, f"data:image/png;base64,{wrapped}"):
        assert (decode_picture(text).pixels == picture).all()


# Passwords.


def test_without_the_password_there_is_nothing(locked: Running) -> None:
    url = f"{locked.url}mcp"
    answer = HTTP.post(url, json=LIST, headers=HEADERS)
    assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Basic ")
    for wrong in ("Basic", "Basic !", f"Basic {coded(b'anna')}", f"Basic {coded(b'anna:guess')}", "Bearer secret"):
        assert HTTP.post(url, json=LIST, headers=HEADERS | {"authorization": wrong}).status_code == 401
    with pytest.raises(MCPError, match="name and password are asked for"):
        visit(locked.url, lambda client: client.list_tools())
    assert document(
        visit(locked.url, lambda client: client.call_tool("predict", {"image": GOOD}), auth=("anna", "secret"))
    )


def test_passwords_cannot_be_guessed_by_the_thousand(analyzer: Analyzer) -> None:
    with serving(analyzer, mcp=True, accounts={"anna": hash_password("secret")}) as running:

        def status(password: str) -> int:
            header = {"authorization": f"Basic {coded(f'anna:{password}'.encode())}"}
            return HTTP.post(f"{running.url}mcp", json=LIST, headers=HEADERS | header).status_code

        assert status("secret") == 200
        assert [status(f"guess {number}") for number in range(12)] == [401] * 12
        assert status("secret") == 200, "who was let in before is not locked out"
        api: Any = running.server.config.app
        access = next(route.app for route in api.routes if isinstance(route.app, McpAuthMiddleware))
        assert access._login_attempts.wait("127.0.0.1") > 0


# Privacy.

OPENED: list[str] = []
RECORDING: list[bool] = []


def record_writes(event: str, arguments: tuple[Any, ...]) -> None:
    if RECORDING and event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        OPENED.append(str(arguments[0]))


def test_nothing_is_written_and_nothing_is_logged(
    running: Running, picture: NDArray[np.uint8], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    image = coded(png(picture))
    caplog.set_level("DEBUG")
    sys.addaudithook(record_writes)
    before = running.files()
    RECORDING.append(True)
    try:
        for tool in ("compare", "predict", "explain"):
            document(call(running, tool, image=image))
        call(running, "compare", image=image[:-40])
    finally:
        RECORDING.clear()
    assert OPENED == []
    assert running.files() == before
    output = capfd.readouterr()
    server = [record.getMessage() for record in caplog.records if not record.name.startswith(("mcp.client", "httpx"))]
    assert image[100:140] not in output.out + output.err + "".join(server)


# The extra and the example in docs/api.md.


def test_without_the_package_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setitem(sys.modules, "mcp.server", None)
    monkeypatch.delitem(sys.modules, "dashboard.mcp.server", raising=False)
    for flag in ("--mcp", "--mcp-stdio"):
        assert app.main([flag, "--port", str(free_port())]) == 2
        output = capsys.readouterr()
        assert "pip install -r requirements-mcp.txt" in output.err and "Loading" not in output.out


def config() -> dict[str, Any]:
    """The servers of the example for clients in docs/api.md."""
    (block,) = re.findall(r"```json\n(\{\"mcpServers\".*?)```", (ROOT / "docs" / "api.md").read_text(), re.DOTALL)
    servers: dict[str, Any] = json.loads(block)["mcpServers"]
    return servers


def test_the_documented_address_and_password_are_let_in(locked: Running) -> None:
    server = config()["faces"]
    assert server["type"] == "http" and server["url"].endswith(":7860/mcp")
    result = visit(locked.url, lambda client: client.call_tool("predict", {"image": GOOD}), headers=server["headers"])
    assert document(result)["faces"]


def test_the_documented_command_answers_on_standard_input_and_output() -> None:
    server = config()["faces-on-this-machine"]
    assert server["command"].endswith(".venv/bin/python")
    arguments = [argument.replace("/path/to/fer-compare", str(ROOT)) for argument in server["args"]]
    command = StdioServerParameters(command=sys.executable, args=[*arguments, "--models", "eac_mobilenet_v2"])

    async def main() -> dict[str, Any]:
        async with Client(command, read_timeout_seconds=300) as client:
            return document(await client.call_tool("compare", {"image": coded(EXAMPLE.read_bytes())}))

    (face,) = asyncio.run(main())["faces"]
    assert face["models"]["eac_mobilenet_v2"]["label"] == "happiness"


def test_the_example_client(locked: Running, picture: NDArray[np.uint8], tmp_path: Path) -> None:
    (tmp_path / "two faces.png").write_bytes(png(picture))
    example = str(ROOT / "examples" / "api" / "mcp_client.py")
    command = [sys.executable, example, f"{locked.url}mcp", str(tmp_path / "two faces.png"), "anna", "secret"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("face 1 at [0, 0, 100, 100]: ") and len(lines) == 6
    assert [line.split(":")[0].strip() for line in lines[2:]] == list(MODELS)
