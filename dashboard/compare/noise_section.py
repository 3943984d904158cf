"""Section of the Compare tab: what wrong training labels do to a network, on the user's own face."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import gradio as gr

from dashboard.compare.noise_view import noise_columns
from dashboard.components.analyzed_image import AnalyzedImage
from dashboard.components.events import CHANGED
from dashboard.components.face_view import message
from fer_models.models.noise_pairs import NoisePair

_log = logging.getLogger(__name__)
_UNEXPECTED: Final = "This face could not be read by the study’s networks. Try another picture."


class NoiseSection:
    """Collapsed until it is opened, and only then are the networks run. Nothing of any session is kept here."""

    def __init__(self, pairs: Mapping[int, NoisePair]) -> None:
        """Lay the section out inside the current `gr.Blocks`.

        Args:
            pairs: at least one, by percent of flipped labels.
        """
        self.pairs = pairs
        with gr.Accordion(
            "What do wrong training labels do? Plain against EAC", open=False, elem_id="compare-noise"
        ) as self.accordion:
            gr.HTML(
                '<p class="fer-hint">People label faces wrongly, and a network may learn such labels by heart. Two '
                "small networks (MobileNetV2) were trained on the same faces and the same wrong labels, one plainly, "
                "one with EAC, which asks that attention flips with the face. They see less than the models above; "
                "compare them with each other. The leaderboard has their accuracies.</p>"
            )
            self.noise = gr.Radio(
                [(f"{noise}\u00a0%", noise) for noise in pairs],
                value=max(pairs),
                label="Label noise in training",
                elem_id="compare-noise-share",
            )
            self.columns = gr.HTML(elem_id="compare-noise-columns")
        self.opened = gr.State(False, time_to_live=3600)

    def connect(self, analyzed: gr.State, index: gr.State, chosen: Sequence[Any]) -> None:
        """Connect the section to the tab's face.

        Args:
            analyzed: holds a `AnalyzedImage` or None.
            index: holds the index of the chosen face.
            chosen: events after which another face may be shown.
        """
        hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        inputs = [analyzed, index, self.noise, self.opened]

        def expanded(analyzed: AnalyzedImage | None, index: int, noise: int) -> tuple[bool, str]:
            return True, self.show(analyzed, index, noise, True)

        self.accordion.expand(expanded, inputs[:3], [self.opened, self.columns], **hidden)
        self.accordion.collapse(lambda: (False, ""), outputs=[self.opened, self.columns], **hidden)
        self.noise.input(self.show, inputs, self.columns, **CHANGED, **hidden)
        for event in chosen:
            event.then(self.show, inputs, self.columns, **hidden)

    def show(self, analyzed: AnalyzedImage | None, index: int, noise: int, opened: bool) -> str:
        """Both networks on the chosen face; nothing while the section is closed."""
        if not opened or analyzed is None or not 0 <= index < len(analyzed.faces) or noise not in self.pairs:
            return ""
        try:
            return noise_columns(analyzed.faces[index], self.pairs[noise])
        except Exception:  # whatever it is, the user gets words and not a stack trace
            _log.exception("the noise study's networks failed")
            return message(_UNEXPECTED)
