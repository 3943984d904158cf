"""Section of the Compare tab: what wrong training labels do to a network, on the user's own face."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import gradio as gr

from dashboard.compare.noise_view import compare_networks
from dashboard.components.analyzed_image import AnalyzedImage
from dashboard.components.events import CHANGED, HIDDEN
from dashboard.components.failures import show_errors
from dashboard.components.templates import message, render
from fer_models.models.noise_pairs import NoisePair, load_noise_pair

_UNEXPECTED: Final = "The study’s networks could not classify this face. Try another picture."


class NoiseSection:
    """Closed at first; the networks are loaded and run only once it is opened. Nothing of any session is kept here."""

    def __init__(self, weights: Path, levels: Sequence[int], device: str) -> None:
        """Lay the section out inside the current `gr.Blocks`.

        Args:
            weights: folder whose noise/ has the networks.
            levels: percentages of flipped labels, of `find_noise_pairs`; at least one.
            device: as for `load_classifier`.
        """
        self.weights, self.levels, self.device = weights, levels, device
        self._pairs: dict[int, NoisePair] = {}
        self._loading = threading.Lock()
        with gr.Accordion(
            "What do wrong training labels do? With and without EAC", open=False, elem_id="compare-noise"
        ) as self.accordion:
            gr.HTML(render("compare/noise_introduction.html"))
            self.noise = gr.Radio(
                [(f"{level}\u00a0%", level) for level in levels],
                value=max(levels),
                label="Label noise in training",
                elem_id="compare-noise-share",
            )
            self.columns = gr.HTML(elem_id="compare-noise-columns")
        self.opened = gr.State(False, time_to_live=3600)

    def connect(self, analyzed: gr.State, index: gr.State, chosen: Sequence[Any]) -> None:
        """Connect the section to the tab's face.

        Args:
            analyzed: holds an `AnalyzedImage` or None.
            index: holds the index of the chosen face.
            chosen: events after which another face may be shown.
        """
        inputs = [analyzed, index, self.noise, self.opened]

        def expanded(analyzed: AnalyzedImage | None, index: int, noise: int) -> tuple[bool, str]:
            return True, self.show(analyzed, index, noise, True)

        self.accordion.expand(expanded, inputs[:3], [self.opened, self.columns], **HIDDEN)
        self.accordion.collapse(lambda: (False, ""), outputs=[self.opened, self.columns], **HIDDEN)
        self.noise.input(self.show, inputs, self.columns, **CHANGED, **HIDDEN)
        for event in chosen:
            event.then(self.show, inputs, self.columns, **HIDDEN)

    @show_errors(_UNEXPECTED, lambda _, text: str(message(text)))
    def show(self, analyzed: AnalyzedImage | None, index: int, noise: int, opened: bool) -> str:
        """Both networks on the chosen face; nothing while the section is closed."""
        if not opened or analyzed is None or not 0 <= index < len(analyzed.faces) or noise not in self.levels:
            return ""
        return render("compare/noise.html", comparison=compare_networks(analyzed.faces[index], self._pair(noise)))

    def _pair(self, noise: int) -> NoisePair:
        """A pair of networks, loaded when it is first needed."""
        with self._loading:
            if noise not in self._pairs:
                self._pairs[noise] = load_noise_pair(self.weights, noise, self.device)
            return self._pairs[noise]
