"""Section of the attention lab: a report and the raw numbers, to keep."""

import datetime
from collections.abc import Sequence
from typing import Any, Final

import gradio as gr

from dashboard.attention.faithfulness_view import FaithfulnessResults
from dashboard.attention.pair_view import face_contrasts
from dashboard.attention.report import Download, face_json, face_report
from dashboard.attention.sections.job_status import EXPLAINING, Updates
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.display import ModelDisplay
from dashboard.components.events import HIDDEN
from dashboard.components.failures import show_errors
from dashboard.components.jobs import Jobs
from dashboard.components.picture_input import FORGOTTEN
from dashboard.components.templates import message, render
from explain.flip_consistency import flip_consistency
from fer_models.analyzer import Analyzer

_SECTION: Final = "export"
_UNEXPECTED: Final = "The files could not be made. Try again, or try another picture."


class ExportSection:
    """The files. They are part of the page, nothing is written to this machine's disk; nothing is kept here."""

    def __init__(self, analyzer: Analyzer, display: ModelDisplay, jobs: Jobs) -> None:
        """Lay the section out inside the current `gr.Blocks`."""
        self.analyzer = analyzer
        self.display = display
        self.jobs = jobs
        gr.HTML(
            render(
                "attention/hint.html",
                text="A report as one HTML file that any browser opens without a network: maps, confidences, the two "
                "expressions chosen under Contrast, flip consistency, the curves of Faithfulness if you ran that "
                "test, versions and the models’ hashes. And the raw maps as JSON. Single charts and maps have buttons "
                "that save them as PNG and SVG: enlarge a map to find its buttons.",
            )
        )
        self.without_face = gr.Checkbox(label="Export maps without the face", elem_id="attention-without-face")
        with gr.Row(elem_classes="fer-actions"):
            self.make = gr.Button("Create files", variant="primary", elem_id="attention-export-make")
        self.files = gr.HTML(elem_id="attention-export-files")
        self.outputs = [self.files]

    def connect(self, face: gr.State, faithfulness: gr.State, contrast: Sequence[Any]) -> None:
        """Connect the section to the lab's face, to the faithfulness results, if any, and to the contrast's choices."""
        made = self.make.click(
            self.run,
            [face, faithfulness, self.without_face, *contrast],
            self.files,
            **EXPLAINING | {"show_progress": "full"},
        )
        # Files on their way were asked for with the other answer, perhaps with the face.
        self.without_face.input(self.discard, outputs=self.files, cancels=[made], queue=False, **HIDDEN)

    def fresh(self) -> Updates:
        """The section for another face."""
        return {self.files: ""}

    def discard(self, request: gr.Request) -> str:
        """No files, neither those that are there nor those being made."""
        self.jobs.stop(request.session_hash, _SECTION, forget=True)
        return ""

    @show_errors(_UNEXPECTED, lambda _, text: message(text))
    def run(
        self,
        face: AnalyzedFace | None,
        faithfulness: FaithfulnessResults | None,
        without_face: bool,
        request: gr.Request,
        first: str,
        second: str,
    ) -> Any:
        """Both files as links of the page."""
        if face is None:
            return message(FORGOTTEN)
        with self.jobs.running(request.session_hash, _SECTION) as job:
            classifiers = {name: self.analyzer.classifiers[name] for name, maps in face.maps.items() if maps}
            flips = {name: flip_consistency(model, face.input_of(name)) for name, model in classifiers.items()}
            contrasts = face_contrasts(face, first, second)
            date = datetime.date.today().isoformat()
            report = face_report(
                face, self.display, flips, faithfulness, contrasts, with_face=not without_face, date=date
            )
            html = str(render("attention/report.html", report=report))
            maps = face_json(face, self.analyzer, contrasts)
            if job.forgotten:
                return gr.skip()
        name = "attention-report-without-face.html" if without_face else "attention-report.html"
        title = f"Report {'without' if without_face else 'with'} the face (HTML)"
        files = (
            Download(title, name, "text/html", html),
            Download("Raw maps (JSON)", "attention-maps.json", "application/json", maps),
        )
        return render("attention/downloads.html", files=files)
