"""Section of the attention lab: a report and the raw numbers, to keep."""

import logging
from typing import Any, Final

import gradio as gr

from dashboard.attention.faithfulness_view import FaithfulnessResults
from dashboard.attention.report import download_link, face_json, report
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.face_view import ModelDisplay, message
from dashboard.components.jobs import Jobs
from dashboard.components.picture_input import FORGOTTEN
from explain.flip_consistency import flip_consistency
from fer_models.analyzer import Analyzer

_log = logging.getLogger(__name__)
_SECTION: Final = "export"
_UNEXPECTED: Final = "The files could not be made. Try it again, or try another picture."


class ExportSection:
    """The files. They are part of the page, nothing is written to this machine's disk; nothing is kept here."""

    def __init__(self, analyzer: Analyzer, display: ModelDisplay, jobs: Jobs) -> None:
        """Lay the section out inside the current `gr.Blocks`."""
        self.analyzer = analyzer
        self.display = display
        self.jobs = jobs
        gr.HTML(
            '<p class="fer-hint">A report as one HTML file that any browser opens without a network: maps, '
            "confidences, the mirror test, the curves of “Can it be trusted?” if you ran that, versions and the "
            "models’ hashes. And the raw maps as JSON. Single charts and maps have buttons that save them as PNG "
            "and SVG: enlarge a map to find its.</p>"
        )
        self.without = gr.Checkbox(label="Leave the face out: maps alone", elem_id="attention-without-face")
        with gr.Row(elem_classes="fer-actions"):
            self.make = gr.Button("Make the files", variant="primary", elem_id="attention-export-make")
        self.files = gr.HTML(elem_id="attention-export-files")
        self.outputs = [self.files]

    def connect(self, face: gr.State, trust: gr.State) -> None:
        """Connect the section to the lab's face and to the curves, if there are any."""
        made = self.make.click(
            self.run,
            [face, trust, self.without],
            self.files,
            api_visibility="private",
            concurrency_limit=2,
            concurrency_id="attention",
        )
        # Files on their way were asked for with the other answer, perhaps with the face.
        self.without.input(
            self.discard, outputs=self.files, cancels=[made], queue=False, api_visibility="private",
            show_progress="hidden",
        )  # fmt: skip

    def fresh(self) -> dict[Any, Any]:
        """The section for another face."""
        return {self.files: ""}

    def discard(self, request: gr.Request) -> str:
        """No files, neither those that are there nor those being made."""
        self.jobs.stop(request.session_hash, _SECTION, forget=True)
        return ""

    def run(
        self, face: AnalyzedFace | None, trust: FaithfulnessResults | None, without: bool, request: gr.Request
    ) -> Any:
        """Both files as links of the page."""
        if face is None:
            return message(FORGOTTEN)
        with self.jobs.running(request.session_hash, _SECTION) as job:
            try:
                classifiers = self.analyzer.classifiers
                mirror = {name: flip_consistency(classifiers[name], face.given) for name in face.predictions}
                html = report(face, self.display, mirror, trust, with_face=not without)
                json = face_json(face, self.analyzer)
            except Exception:  # whatever it is, the user gets words and not a stack trace
                _log.exception("making a report failed")
                return message(_UNEXPECTED)
            if job.forgotten:
                return gr.skip()
        name = "attention-report-without-face.html" if without else "attention-report.html"
        title = f"Report {'without' if without else 'with'} the face (HTML)"
        links = download_link(title, name, "text/html", html)
        links += download_link("Raw maps (JSON)", "attention-maps.json", "application/json", json)
        return f'<div class="fer-lab-files">{links}</div>'
