"""The tools in the Model Context Protocol, over HTTP beside the page or over standard input and output.

Importing this raises a FerError where the package mcp is missing or too old.
"""

import base64
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Final, NamedTuple

import anyio
import anyio.to_thread
from pydantic import BaseModel, Field
from starlette.types import ASGIApp

from dashboard.components.failures import as_message
from dashboard.components.jobs import COMPARE_AT_ONCE, EXPLAIN_AT_ONCE
from dashboard.mcp.tools import MAX_PICTURE, Compared, Explained, MapPicture, Predicted, Tools
from explain.explain_picture import ALL, OWN
from explain.methods import METHODS
from fer_models import __version__
from fer_models.analyzer import Analyzer
from fer_models.errors import FerError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.ensemble import ENSEMBLE

try:
    from mcp.server import MCPServer
    from mcp.server.transport_security import TransportSecuritySettings
    from mcp.types import CallToolResult, ImageContent, TextContent, ToolAnnotations
except ImportError as error:
    raise FerError(
        "MCP needs the package mcp, 2.3 or newer. Install it with: pip install -r requirements-mcp.txt"
    ) from error

_UNEXPECTED: Final = "Something went wrong while reading this picture. Try again, or try another picture."
_INSTRUCTIONS: Final = (
    "Reads facial expressions with several models side by side. Pictures are sent as base64 of the file; they are not "
    "kept. A face's expression is not what a person feels, and nothing here may be used to decide about people."
)
#: Bytes of a request; what is larger than a picture may be is refused with a message by `decode_picture`.
_MAX_BODY: Final = 2 * MAX_PICTURE
_READ_ONLY: Final = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)

_Image = Annotated[
    str, Field(description="The picture file (JPEG, PNG, WebP, AVIF, BMP, GIF, TIFF) as base64. No path, no address.")
]
_Models = Annotated[list[str] | None, Field(description="Names of the models to ask; leave it out to ask all.")]
_Whole = Annotated[
    bool, Field(description="Read the whole picture as one face, without looking for faces: for cut-out faces.")
]


class Endpoint(NamedTuple):
    """The tools over HTTP.

    Attributes:
        handle: answers POST requests; keeps nothing between them.
        running: to be entered once, for as long as it answers.
    """

    handle: ASGIApp
    running: Callable[[], AbstractAsyncContextManager[None]]


def endpoint(analyzer: Analyzer, max_bytes: int, concurrency: int | None = None) -> Endpoint:
    """The tools over HTTP: one JSON answer per request, no sessions, no streams. Whoever mounts it checks who asks.

    Args:
        analyzer: analyzes the pictures.
        max_bytes: bytes of the largest picture.
        concurrency: as in `build`.
    """
    server = build(Tools(analyzer, max_bytes), concurrency)
    server.streamable_http_app(
        json_response=True,
        stateless_http=True,
        max_request_body_size=_MAX_BODY,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return Endpoint(server.session_manager.handle_request, server.session_manager.run)


def serve_stdio(analyzer: Analyzer) -> None:
    """Answer one client on the standard input and output until it closes them."""
    build(Tools(analyzer)).run("stdio")


def build(tools: Tools, concurrency: int | None = None) -> MCPServer[Any]:
    """A server of the three tools.

    Args:
        tools: what answers.
        concurrency: at most so many calls at once of each kind of work; None: as many as on the page.
    """
    names = ", ".join(tools.analyzer.classifiers)
    means = "".join(f"{each.name} (the mean of {' and '.join(each.members)}), " for each in tools.ensembles.values())
    analyzing, explaining = (
        anyio.CapacityLimiter(most if concurrency is None else min(most, concurrency))
        for most in (COMPARE_AT_ONCE, EXPLAIN_AT_ONCE)
    )
    arguments: dict[str, tuple[str, ...]] = {}
    # The tools never change, so no stream of news is kept open for clients that wait for changes.
    server: MCPServer[Any] = MCPServer(
        "fer-compare",
        instructions=_INSTRUCTIONS,
        version=__version__,
        log_level="WARNING",
        subscriptions=False,
        middleware=[lambda context, handle: _with_known_arguments(arguments, context, handle)],
    )

    async def compare(
        image: _Image, models: _Models = None, whole: _Whole = False
    ) -> Annotated[CallToolResult, Compared]:
        return await _run(analyzing, lambda: _result(tools.compare(image, models, whole)))

    async def predict(
        image: _Image,
        model: Annotated[str, Field(description=f"{means}{ENSEMBLE} (the mean of all), {names}")] = ENSEMBLE,
        whole: _Whole = False,
    ) -> Annotated[CallToolResult, Predicted]:
        return await _run(analyzing, lambda: _result(tools.predict(image, model, whole)))

    async def explain(
        image: _Image,
        models: _Models = None,
        expression: Annotated[
            str, Field(description=f"{OWN} (each model's own answer), {ALL}, {', '.join(EXPRESSIONS)}")
        ] = OWN,
        method: Annotated[str, Field(description=f"One of {', '.join(METHODS)}")] = "native",
        face: Annotated[int, Field(description="Number of the face in compare's order, from 1, the largest.")] = 1,
        whole: _Whole = False,
    ) -> Annotated[CallToolResult, Explained]:
        return await _run(explaining, lambda: _result(*tools.explain(image, models, expression, method, face, whole)))

    for tool in (compare, predict, explain):
        arguments[tool.__name__] = tuple(inspect.signature(tool).parameters)
    server.add_tool(
        compare,
        title="Compare the models",
        annotations=_READ_ONLY,
        description=f"""Read every face in a picture with several models ({names}) side by side.

For each face: where it is, what each model says, how probable each model holds every expression, and the share of the
models that agree. No faces in the answer means that none was found: if the picture is itself a single face, call
again with whole=true. Use this to see where models differ; predict gives one answer a face.""",
    )
    server.add_tool(
        predict,
        title="Read expressions",
        annotations=_READ_ONLY,
        description="""Say which expression each face in a picture shows, by one model or by a mean of models.

The models learned different sets of labels. The mean of those that learned the same labels (ensemble_...) is more
accurate on these labels than the mean of all (ensemble).

For each face: where it is, the most probable expression, its probability and those of all expressions. No faces in
the answer means that none was found: if the picture is itself a single face, call again with whole=true.""",
    )
    server.add_tool(
        explain,
        title="Show where the models looked",
        annotations=_READ_ONLY,
        description="""Show where in one face the models find evidence for an expression.

For each model: a picture of its attention map on the face, bright where the evidence is strongest, and which share of
the evidence lies on brows, eyes, nose, cheeks, mouth and background. Compare the shares with "areas", which an even
map would have. native takes milliseconds, gradcam and its kin under a second, scorecam up to a minute a model.""",
    )
    return server


async def _with_known_arguments(arguments: Mapping[str, Sequence[str]], context: Any, handle: Any) -> Any:
    """Refuse arguments that a tool does not take: ignored ones would give the answer to another question.

    Args:
        arguments: what each tool takes, by its name.
        context: of a message.
        handle: gives the answer to it.
    """
    params = context.params if context.method == "tools/call" and isinstance(context.params, Mapping) else {}
    given, name = params.get("arguments"), params.get("name")
    known = arguments.get(name) if isinstance(name, str) else None
    unknown = [each for each in given if each not in known] if known and isinstance(given, Mapping) else []
    if known and unknown:
        text = f"{name} takes no argument {unknown[0]!r}. It takes {', '.join(known)}."
        return CallToolResult(content=[TextContent(text=text)], is_error=True)
    return await handle(context)


async def _run(slots: anyio.CapacityLimiter, call: Callable[[], CallToolResult]) -> CallToolResult:
    """Call a tool in a thread when a slot is free; errors become answers that say what to do, never a stack trace."""
    try:
        return await anyio.to_thread.run_sync(call, limiter=slots)
    except Exception as error:
        return CallToolResult(content=[TextContent(text=as_message(error, _UNEXPECTED))], is_error=True)


def _result(answer: BaseModel, pictures: Sequence[MapPicture] = ()) -> CallToolResult:
    """An answer for programs, and as text for models that read only that; then each picture after its title."""
    document = answer.model_dump()
    result = CallToolResult(content=[TextContent(text=json.dumps(document))], structured_content=document)
    for picture in pictures:
        data = base64.b64encode(picture.png).decode()
        result.content += [TextContent(text=picture.title), ImageContent(data=data, mime_type="image/png")]
    return result
