"""What `python -m fer_models attention` measured over a test split, read from its file. No Gradio here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dashboard.leaderboard.source import Advice, Source, read_source, stale_model
from fer_models.expressions import in_display_order
from fer_models.models.card import ModelCard
from fer_models.registry import LABEL_SETS

#: The file in weights/results/, and the command that writes it.
FILE: Final = "attention_ferplus.json"
COMMAND: Final = f"python -m fer_models attention --data DIR --labels ferplus --road --json weights/results/{FILE}"
#: What such a file has, and every model in it.
_WHOLE: Final = {"faces", "labels", "split", "areas", "mean_faces"}
_PARTS: Final = {"title", "consistency", "faithfulness", "regions", "atlas"}


@dataclass(frozen=True, eq=False)
class AttentionResults:
    """One file that the command wrote.

    Attributes:
        document: the file's content.
    """

    document: Mapping[str, Any]

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
        return in_display_order(
            {name for one in self.models.values() for kind in one["atlas"].values() for name in kind}
        )

    @property
    def source(self) -> str:
        """In plain words: on which faces this was measured."""
        document = self.document
        labels = LABEL_SETS.get(document["labels"])
        return (
            f"Measured on {document['faces']:,} random faces of {labels.title if labels else document['labels']}, "
            f"{document['split']} split."
        )

    def measured(self, test: str) -> dict[str, Mapping[str, Any]]:
        """By model name, a test of the maps beside maps that know nothing; models it was not run for are missing.

        Args:
            test: "deletion", "insertion", "road" or "arcc".
        """
        found = {name: (model["faithfulness"] or {}).get(test) for name, model in self.models.items()}
        return {name: summaries for name, summaries in found.items() if summaries}

    def stale(self, cards: Mapping[str, ModelCard]) -> dict[str, Advice]:
        """By model name, why its figures may be out of date. A baseline has no weights in use to differ from.

        Args:
            cards: of the weights in use.
        """
        found = {
            name: stale_model(name, model["sha256"], cards, (COMMAND,))
            for name, model in self.models.items()
            if not model.get("baseline")
        }
        return {name: advice for name, advice in found.items() if advice is not None}


def read_results(weights: Path) -> Source[AttentionResults]:
    """The file below a folder of weights; where it is missing or another one, the advice names what writes it."""
    return read_source(weights / "results" / FILE, (COMMAND,), _parsed)


def _parsed(document: Any) -> AttentionResults:
    models = document["models"]
    if not models:
        raise ValueError("it tells of no model")
    for needed, told in [(_WHOLE, document), *((_PARTS, model) for model in models.values())]:
        if missing := needed - told.keys():
            raise ValueError(f"{', '.join(sorted(missing))} is missing")
    return AttentionResults(document)
