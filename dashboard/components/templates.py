"""HTML comes from Jinja2 templates beside the code that fills them; every value is escaped. No Gradio here."""

import base64
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from fer_models.formatting import percent


def data_uri(image: NDArray[np.uint8], quality: int = 88) -> str:
    """A picture (H, W, 3) uint8 RGB as a JPEG data URI; also a filter of the templates."""
    _, code = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return "data:image/jpeg;base64," + base64.b64encode(code.tobytes()).decode("ascii")


_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1], encoding="utf-8"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
_ENVIRONMENT.filters.update(percent=percent, data_uri=data_uri)


def render(template: str, **values: Any) -> Markup:
    """A filled template.

    Args:
        template: its path below dashboard/, such as "compare/columns.html".
        values: what it names. Plain text is escaped; what another `render` gave is not escaped again.

    Raises:
        jinja2.TemplateError: the template is malformed or names a value that was not given.
    """
    return Markup(_ENVIRONMENT.get_template(template).render(values).strip())


def part(template: str, name: str, /, *args: Any, **values: Any) -> Markup:
    """A filled macro of a template that holds several pieces of HTML.

    Args:
        template: as for `render`.
        name: of the macro.
        args: its arguments in their order.
        values: its arguments by name.

    Raises:
        jinja2.TemplateError: as `render`.
    """
    module: Any = _ENVIRONMENT.get_template(template).module
    return Markup(getattr(module, name)(*args, **values).strip())


def macro(name: str, *values: Any) -> Markup:
    """A filled macro of components/_macros.html, for the rare HTML that is nothing but one."""
    return part("components/_macros.html", name, *values)


def message(text: str) -> Markup:
    """A visible message that screen readers announce; nothing if there is no text."""
    return macro("message", text)


def busy(text: str) -> Markup:
    """A spinner with a text that screen readers announce."""
    return macro("busy", text)
