"""The tools in the Model Context Protocol: their names, descriptions and types, and errors as clients read them."""

import base64
import json
import logging
from collections.abc import Callable
from typing import Annotated, Any, Final

import anyio
import anyio.to_thread
from mcp.server import MCPServer
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import CallToolResult, ImageContent, TextContent, ToolAnnotations
from pydantic import Field

from dashboard.components.jobs import COMPARE_AT_ONCE, EXPLAIN_AT_ONCE
from dashboard.mcp.answers import Compared, Explained, Predicted
from dashboard.mcp.pictures import MAX_PICTURE
from dashboard.mcp.tools import Tools
from explain.explain_picture import ALL, OWN
from explain.methods import METHODS
from fer_models import __version__
from fer_models.errors import FerError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.ensemble import ENSEMBLE

_log = logging.getLogger(__name__)

_UNEXPECTED: Final = "Something went wrong while reading this picture. Try again, or try another picture."
_INSTRUCTIONS: Final = (
    "Reads facial expressions with several models side by side. Pictures are sent as base64 of the file; they are not "
    "kept. A face's expression is not what a person feels, and nothing here may be used to decide about people."
)
#: Bytes of a request; what is larger than a picture may be is refused with words by `picture_from`.
_MAX_BODY: Final = 2 * MAX_PICTURE
_READS: Final = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)

_Image = Annotated[
    str, Field(description="The picture file (JPEG, PNG, WebP, AVIF, BMP, GIF, TIFF) as base64. No path, no address.")
]
_Models = Annotated[list[str] | None, Field(description="Names of the models to ask; leave it out to ask all.")]
_Whole = Annotated[
    bool, Field(description="Read the whole picture as one face, without looking for faces: for cut-out faces.")
]


def build(tools: Tools, concurrency: int | None = None) -> MCPServer[Any]:
    """A server of the three tools.

    Args:
        tools: what they do.
        concurrency: at most so many calls at once of each kind of work; None: as many as on the page.
    """
    names = ", ".join(tools.analyzer.classifiers)
    analyzed, explaining = (
        anyio.CapacityLimiter(most if concurrency is None else min(most, concurrency))
        for most in (COMPARE_AT_ONCE, EXPLAIN_AT_ONCE)
    )
    # Nobody is told of changes, for nothing changes: no stream of news is kept open.
    server: MCPServer[Any] = MCPServer(
        "fer-compare", instructions=_INSTRUCTIONS, version=__version__, log_level="WARNING", subscriptions=False
    )

    async def compare(
        image: _Image, models: _Models = None, whole: _Whole = False
    ) -> Annotated[CallToolResult, Compared]:
        def work() -> CallToolResult:
            return _answer(tools.compare(image, models, whole))

        return await _told(work, analyzed)

    async def predict(
        image: _Image,
        model: Annotated[str, Field(description=f"{ENSEMBLE} (the mean of all), {names}")] = ENSEMBLE,
        whole: _Whole = False,
    ) -> Annotated[CallToolResult, Predicted]:
        def work() -> CallToolResult:
            return _answer(tools.predict(image, model, whole))

        return await _told(work, analyzed)

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
        def work() -> CallToolResult:
            answer, pictures = tools.explain(image, models, expression, method, face, whole)
            result = _answer(answer)
            for picture in pictures:
                data = base64.b64encode(picture.png).decode()
                result.content += [
                    TextContent(text=picture.title),
                    ImageContent(data=data, mime_type="image/png"),
                ]
            return result

        return await _told(work, explaining)

    server.add_tool(
        compare,
        title="Compare the models",
        annotations=_READS,
        description=f"""Read every face in a picture with several models ({names}) side by side.

For each face: where it is, what each model says, how probable each model holds every expression, and the share of the
models that agree. No faces in the answer means that none was found: if the picture is itself a single face, call
again with whole=true. Use this to see where models differ; predict gives one answer a face.""",
    )
    server.add_tool(
        predict,
        title="Read expressions",
        annotations=_READS,
        description="""Say which expression each face in a picture shows, by one model or by the mean of all.

For each face: where it is, the most probable expression, its probability and those of all expressions. No faces in
the answer means that none was found: if the picture is itself a single face, call again with whole=true.""",
    )
    server.add_tool(
        explain,
        title="Show where the models looked",
        annotations=_READS,
        description="""Show where in one face the models find evidence for an expression.

For each model: a picture of its attention map on the face, bright where the evidence is strongest, and which share of
the evidence lies on brows, eyes, nose, cheeks, mouth and background. Compare the shares with "areas", which an even
map would have. native takes milliseconds, gradcam and its kin under a second, scorecam up to a minute a model.""",
    )
    return server


def over_http(tools: Tools, concurrency: int | None = None) -> StreamableHTTPSessionManager:
    """The same over HTTP, without sessions; arguments as of `build`. What stands before it checks who asks."""
    server = build(tools, concurrency)
    server.streamable_http_app(
        json_response=True,
        stateless_http=True,
        max_request_body_size=_MAX_BODY,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return server.session_manager


async def _told(work: Callable[[], CallToolResult], slots: anyio.CapacityLimiter) -> CallToolResult:
    """Work in a thread when a slot is free; errors become answers that say what to do, never a stack trace."""
    try:
        return await anyio.to_thread.run_sync(work, limiter=slots)
    except FerError as error:
        text = str(error)
    except Exception:
        _log.exception("a tool failed")
        text = _UNEXPECTED
    return CallToolResult(content=[TextContent(text=text)], is_error=True)


def _answer(answer: Compared | Predicted | Explained) -> CallToolResult:
    """An answer for programs, and as text for models that read only that."""
    return CallToolResult(content=[TextContent(text=json.dumps(answer))], structured_content=dict(answer))
