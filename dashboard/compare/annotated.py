"""The picture with its numbered faces and every model's answers below: one PNG that stands alone. No Gradio here."""

import io
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from dashboard.compare.exports import answer_records
from dashboard.compare.view import VERSION
from dashboard.components.analyzed_image import AnalyzedImage
from dashboard.components.display import ModelDisplay
from fer_models.formatting import percent

_INK: Final = (24, 24, 27)
_MUTED: Final = (91, 91, 102)
_LINE: Final = (228, 228, 231)
_EDGE: Final = 24  # px around everything
_ROW: Final = 34  # px
_LEAST_COLUMN: Final = 190  # px
_NUMBER_COLUMN: Final = 56  # px
_FOOT: Final = (
    "Each model's most probable expression and its probability. An expression is not an emotion; not for decisions "
    "about people."
)


def annotated_png(analyzed: AnalyzedImage, display: ModelDisplay, date: str) -> bytes:
    """The picture under a title, and below it a row per face and a column per model and ensemble.

    Args:
        analyzed: the picture, with at least one face.
        display: cards, styles and ensembles.
        date: when it was made.

    Returns:
        A PNG file.
    """
    picture, records = Image.fromarray(analyzed.picture), answer_records(analyzed, display)
    models = list(dict.fromkeys(record.model for record in records))
    inner = max(picture.width, _NUMBER_COLUMN + _LEAST_COLUMN * len(models))
    column = (inner - _NUMBER_COLUMN) // len(models)
    top = _EDGE + 44 + picture.height + 20
    height = top + _ROW * (len(analyzed.faces) + 1) + 64 + _EDGE
    sheet = Image.new("RGB", (inner + 2 * _EDGE, height), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((_EDGE, _EDGE), _title(analyzed), fill=_INK, font=_font(24))
    sheet.paste(picture, (_EDGE + (inner - picture.width) // 2, _EDGE + 44))
    pen.text((_EDGE, top + 8), "Face", fill=_MUTED, font=_font(15))
    for position, name in enumerate(models):
        x = _EDGE + _NUMBER_COLUMN + position * column
        pen.rectangle((x, top + 9, x + 13, top + 22), fill=display.styles[name].colour)
        pen.text((x + 20, top + 8), _cut(display.column_titles[name], column - 32), fill=_INK, font=_font(15))
    for record in records:
        x = _EDGE + _NUMBER_COLUMN + models.index(record.model) * column
        y = top + _ROW * record.face
        if record.model == models[0]:
            pen.line((_EDGE, y, _EDGE + inner, y), fill=_LINE)
            pen.text((_EDGE, y + 8), str(record.face), fill=_INK, font=_font(16))
        answer = f"{record.prediction.label.capitalize()} {percent(record.prediction.confidence, ' ')}"
        pen.text((x, y + 8), answer, fill=_INK, font=_font(16))
    foot = top + _ROW * (len(analyzed.faces) + 1) + 12
    for line, text in enumerate((_FOOT, f"{VERSION}, {date}")):
        pen.text((_EDGE, foot + 22 * line), text, fill=_MUTED, font=_font(14))
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def _title(analyzed: AnalyzedImage) -> str:
    """With the file's name, as far as the font has its letters."""
    name = analyzed.name.encode("latin-1", "replace").decode("latin-1")
    shown = "" if analyzed.total == len(analyzed.faces) else f" (the {len(analyzed.faces)} largest of {analyzed.total})"
    return f"Facial expressions{f' in {name}' if name else ''}{shown}"


def _cut(title: str, width: int) -> str:
    """A model's title, or as much of it as fits into a width in px."""
    font, shown = _font(15), title
    while len(shown) > 1 and font.getlength(shown) > width:
        shown = f"{shown[:-2].rstrip()}…"
    return shown


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
