"""What `python -m fer_models attention` measured over a test split, read from its file. No Gradio here."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from fer_models.evaluation.records import AttentionRecord
from fer_models.evaluation.store import Loaded, Problem, read_record, stale_models
from fer_models.expressions import in_display_order
from fer_models.models.card import ModelCard
from fer_models.registry import LABEL_SETS

#: The file in weights/results/, and the command that writes it.
FILE: Final = "attention_ferplus.json"
COMMAND: Final = f"python -m fer_models attention --data DIR --labels ferplus --road --json weights/results/{FILE}"


@dataclass(frozen=True, eq=False)
class AttentionResults:
    """One file that the command wrote.

    Attributes:
        record: the file's content.
    """

    record: AttentionRecord

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """The file's content as plain containers."""
        return self.record.document()

    @property
    def models(self) -> Mapping[str, Any]:
        """Each model's figures by name, in the file's order."""
        found: Mapping[str, Any] = self.document["models"]
        return found

    @property
    def titles(self) -> dict[str, str]:
        """What people read, by model name; baselines marked as such."""
        return {
            name: f"{model['title']} (baseline)" if model.get("baseline") else str(model["title"])
            for name, model in self.models.items()
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

    def measured(self, test: str) -> dict[str, Mapping[str, Any]]:
        """By model name, a test of the maps beside maps that know nothing; models it was not run for are missing.

        Args:
            test: "deletion", "insertion", "road" or "arcc".
        """
        found = {name: (model["faithfulness"] or {}).get(test) for name, model in self.models.items()}
        return {name: summaries for name, summaries in found.items() if summaries}

    def stale(self, cards: Mapping[str, ModelCard]) -> dict[str, Problem]:
        """By model name, why its figures are out of date. A baseline has no weights in use to differ from.

        Args:
            cards: of the weights in use.
        """
        return stale_models(self.record.measured_weights, cards, (COMMAND,))


def read_results(weights: Path) -> Loaded[AttentionRecord]:
    """The file below a folder of weights; where it is missing or damaged, the problem names what writes it."""
    return read_record(weights / "results" / FILE, AttentionRecord, (COMMAND,))
