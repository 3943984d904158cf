"""HTML comes from Jinja2 templates beside the code that fills them; every value is escaped. No Gradio here."""

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fer_models.formatting import percent

_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1], encoding="utf-8"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
_ENVIRONMENT.filters["percent"] = percent


def render(template: str, **values: Any) -> Markup:
    """A filled template.

    Args:
        template: its path below dashboard/, such as "compare/columns.html".
        values: what it names. Plain text is escaped; what another `render` gave is not escaped again.

    Raises:
        jinja2.TemplateError: the template is malformed or names a value that was not given.
    """
    return Markup(_ENVIRONMENT.get_template(template).render(values).strip())
