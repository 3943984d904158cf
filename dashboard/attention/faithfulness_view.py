"""View models of faithfulness results: areas, ROAD and ARCC beside those of uninformative baselines. No Gradio here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboard.components.display import ModelDisplay
from explain.faithfulness import Curves, Faithfulness
from fer_models.registry import ModelStyle


@dataclass(frozen=True, eq=False)
class FaithfulnessResults:
    """How faithful the maps of one face are.

    Attributes:
        method: that made the maps, a key of `METHODS`.
        models: by model name, not empty.
    """

    method: str
    models: Mapping[str, Faithfulness]


@dataclass(frozen=True)
class FaithfulnessRow:
    """A map and its figures, in words."""

    title: str
    values: Sequence[str]


@dataclass(frozen=True)
class FaithfulnessTable:
    """The areas and scores of a map beside those of the baselines.

    Attributes:
        columns: titles, each with which values are good.
        rows: the map's own first.
        arcc_parts: terms with their values; empty if ARCC was not measured.
    """

    columns: Sequence[tuple[str, str]]
    rows: Sequence[FaithfulnessRow]
    arcc_parts: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class FaithfulnessCard:
    """How faithful one model's map is.

    Attributes:
        model: its name.
        title: the model's, with the expression and the method.
        style: the model's.
        table: the figures.
        sentence: what they mean.
    """

    model: str
    title: str
    style: ModelStyle
    table: FaithfulnessTable
    sentence: str


def faithfulness_cards(
    results: Mapping[str, Faithfulness], method: str, display: ModelDisplay
) -> list[FaithfulnessCard]:
    """One card per model.

    Args:
        results: by model name.
        method: its title.
        display: cards and styles.
    """
    return [
        FaithfulnessCard(
            name,
            f"{display.cards[name].title}: {result.target}, {method}",
            display.styles[name],
            faithfulness_table(result),
            result.sentence,
        )
        for name, result in results.items()
    ]


def faithfulness_table(result: Faithfulness) -> FaithfulnessTable:
    """The figures of a map and of the baselines; columns that were not measured are left out."""
    columns = [("Deletion", "lower is better"), ("Insertion", "higher is better")]
    if result.map.road is not None:
        columns.append(("ROAD", "above 0 is good"))
    if result.map.arcc is not None:
        columns.append(("ARCC", "higher is better"))
    rows = [
        FaithfulnessRow(title, _values(curves))
        for title, curves in (
            ("This map", result.map),
            ("Random map", result.random),
            ("Centre prior", result.centre_prior),
        )
    ]
    arcc = result.map.arcc
    if arcc is None:
        return FaithfulnessTable(columns, rows)
    parts = (("Coherency", arcc.coherency), ("Simplicity", arcc.simplicity), ("ROAD, 0 to 1", arcc.road))
    return FaithfulnessTable(columns, rows, [(title, f"{value:.2f}") for title, value in parts])


def _values(curves: Curves) -> list[str]:
    values = [f"{curves.deletion_area:.2f}", f"{curves.insertion_area:.2f}"]
    if curves.road is not None:
        values.append(f"{curves.road.combined:+.2f}".replace("-", "\u2212"))
    if curves.arcc is not None:
        values.append(f"{curves.arcc.score:.2f}")
    return values
