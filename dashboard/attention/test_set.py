"""What `python -m fer_models attention` measured on a test set, read from its file. No Gradio here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from fer_models.evaluation.records import AttentionRecord, Distribution, ModelAttention
from fer_models.evaluation.store import Loaded, Problem, read_record, stale_models
from fer_models.expressions import in_display_order
from fer_models.models.card import ModelCard
from fer_models.registry import LABEL_SETS

#: The file in weights/results/, and the command that writes it.
FILE: Final = "attention_ferplus.json"
COMMAND: Final = f"python -m fer_models attention --data DIR --labels ferplus --road --json weights/results/{FILE}"

#: A test of faithfulness, as the file names it.
Test = Literal["deletion", "insertion", "road", "arcc"]


@dataclass(frozen=True, eq=False)
class AttentionResults:
    """One file that the command wrote.

    Attributes:
        record: the file's content.
    """

    record: AttentionRecord

    @property
    def models(self) -> Mapping[str, ModelAttention]:
        """Each model's figures by name, in the file's order."""
        return self.record.models

    @property
    def titles(self) -> dict[str, str]:
        """What people read, by model name; baselines marked as such."""
        return {
            name: f"{model.title} (baseline)" if model.baseline else model.title for name, model in self.models.items()
        }

    @property
    def expressions(self) -> list[str]:
        """The expressions that some model's atlas has, in display order."""
        return in_display_order(self.record.expressions)

    @property
    def source(self) -> str:
        """In plain words: on which faces this was measured."""
        record = self.record
        labels = LABEL_SETS.get(record.labels)
        return (
            f"Measured on {record.faces:,} random faces of {labels.title if labels else record.labels}, "
            f"{record.split} split."
        )

    def measured(self, test: Test) -> dict[str, Mapping[str, Distribution]]:
        """By model name, a test of the maps and of the baselines; models it was not run for are missing.

        Args:
            test: of faithfulness.
        """
        figures = {name: getattr(model.faithfulness, test, None) for name, model in self.models.items()}
        return {name: distributions for name, distributions in figures.items() if distributions}

    def stale(self, cards: Mapping[str, ModelCard]) -> dict[str, Problem]:
        """By model name, why its figures are out of date. A baseline has no weights in use to differ from.

        Args:
            cards: of the weights in use.
        """
        return stale_models(self.record.measured_weights, cards, (COMMAND,))


def read_results(weights: Path) -> Loaded[AttentionRecord]:
    """The file below a folder of weights; where it is missing or damaged, the problem names what writes it."""
    return read_record(weights / "results" / FILE, AttentionRecord, (COMMAND,))
