"""Section of the Compare tab: its results as files."""

import datetime
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import gradio as gr

from dashboard.compare.annotated import annotated_png
from dashboard.compare.chart_pdf import chart_pdf
from dashboard.compare.exports import csv_text, file_stem, json_text, latex_text
from dashboard.compare.report import picture_report
from dashboard.components.analyzed_image import AnalyzedImage
from dashboard.components.display import ModelDisplay
from dashboard.components.file_download import FileDownload
from dashboard.components.picture_input import FORGOTTEN
from dashboard.components.templates import macro, render
from fer_models.errors import ImageError
from fer_models.media.files import CSV_ENCODING

_UNEXPECTED: Final = "The file could not be made. Try again, or try another picture."
_HINT: Final = (
    "Every face with every model, and the chart as shown above; the buttons below the chart save it as PNG and SVG. A "
    "file is created when you ask for it and deleted from the machine that runs this page a few minutes later."
)
#: Each kind's button and the end of its file's name.
_KINDS: Final = {
    "picture": ("Picture (PNG)", "annotated.png"),
    "chart": ("Chart (PDF)", "chart.pdf"),
    "csv": ("Table (CSV)", "probabilities.csv"),
    "latex": ("Table (LaTeX)", "probabilities.tex"),
    "json": ("JSON", "faces.json"),
    "report": ("Report (HTML)", "report.html"),
}


class KeepSection:
    """Buttons that make files of the analysed picture. Nothing of any session is kept here."""

    def __init__(self, uploads: Path, display: ModelDisplay) -> None:
        """Lay the section out inside the current `gr.Blocks`.

        Args:
            uploads: folder where Gradio puts uploads.
            display: cards, styles and ensembles.
        """
        self.display = display
        gr.HTML(macro("heading", "Save these results", _HINT))
        with gr.Row(elem_classes="fer-actions"):
            self.buttons = {
                kind: gr.Button(title, size="md", elem_id=f"compare-keep-{kind}") for kind, (title, _) in _KINDS.items()
            }
        self.download = FileDownload(uploads, "compare-keep-file")

    def connect(self, analyzed: gr.State, index: gr.State, models: gr.CheckboxGroup) -> None:
        """Connect the buttons to the tab's picture, its chosen face and the ticked models."""
        for kind, button in self.buttons.items():
            self.download.connect(button, partial(self.write, kind), [analyzed, index, models], _UNEXPECTED)

    def write(self, kind: str, folder: Path, analyzed: AnalyzedImage | None, index: int, models: Sequence[str]) -> Path:
        """Write a file.

        Args:
            kind: "picture", "chart", "csv", "latex", "json" or "report".
            folder: where it goes.
            analyzed: the picture.
            index: of the face that the chart shows.
            models: that it shows, and ensembles.

        Returns:
            Its path.

        Raises:
            ImageError: the picture was discarded, or has no such face.
        """
        if analyzed is None or not 0 <= index < len(analyzed.faces):
            raise ImageError(FORGOTTEN)
        path = folder / f"{file_stem(analyzed.name)}-{_KINDS[kind][1]}"
        date = datetime.date.today().isoformat()
        if kind == "chart":
            path.write_bytes(chart_pdf(analyzed, index, models, self.display, date))
        else:
            path.write_bytes(self._content(kind, analyzed, date))
        return path

    def _content(self, kind: str, analyzed: AnalyzedImage, date: str) -> bytes:
        """What is in a file about all faces."""
        if kind == "picture":
            return annotated_png(analyzed, self.display, date)
        if kind == "csv":
            return csv_text(analyzed, self.display).encode(CSV_ENCODING)
        if kind == "latex":
            return latex_text(analyzed, self.display, date).encode()
        if kind == "json":
            return json_text(analyzed).encode()
        return render("compare/report.html", report=picture_report(analyzed, self.display, date)).encode()
