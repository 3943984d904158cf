"""Former home of what display, picture_view and templates have now, until all tabs import it from there."""

from dashboard.components.display import ModelDisplay as ModelDisplay
from dashboard.components.display import model_display as model_display
from dashboard.components.picture_view import picture as picture
from dashboard.components.templates import busy as busy
from dashboard.components.templates import data_uri as data_uri
from dashboard.components.templates import macro
from dashboard.components.templates import message as message
from explain.explain_picture import OWN as OWN
from fer_models.registry import ModelStyle


def swatch(style: ModelStyle) -> str:
    """A small square in a model's colour and pattern, for HTML that is not yet a template."""
    return str(macro("swatch", style))
