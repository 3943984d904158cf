"""Result files on the disk: read as a record or as one problem with the command that mends it; written whole or not."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from pydantic import ValidationError

from fer_models.errors import CardError
from fer_models.evaluation.records import Provenance, Record, in_order
from fer_models.media.files import write_text
from fer_models.models.card import ModelCard, read_card
from fer_models.models.external.files import external_models
from fer_models.models.external.peers import PEERS, is_peer, peer_file

R = TypeVar("R", bound=Record)
P = TypeVar("P", bound=Provenance)


@dataclass(frozen=True)
class Problem:
    """Something the reader should know about a figure, and the commands that mend it.

    Attributes:
        text: one or two plain sentences.
        commands: to be run one after the other.
    """

    text: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loaded(Generic[R]):
    """A file's record, or why there is none.

    Attributes:
        record: None where the file is missing or damaged.
        problem: None if there is a record.
    """

    record: R | None = None
    problem: Problem | None = None


def read_record(path: Path, kind: type[P], commands: tuple[str, ...]) -> Loaded[P]:
    """Read one file. Never fails.

    Args:
        path: of the file.
        kind: the class of its record.
        commands: that write it.
    """
    try:
        return Loaded(kind.model_validate_json(path.read_bytes()))
    except FileNotFoundError:
        return Loaded(problem=not_measured(commands))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        reason = ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
    except OSError as error:
        reason = str(error.strerror)
    text = f"The file results/{path.name} is damaged and is left out ({reason[:160]}). Write it anew with:"
    return Loaded(problem=Problem(text, commands))


def not_measured(commands: tuple[str, ...]) -> Problem:
    """What to say where there is no file yet, with the commands that write it."""
    return Problem("Not measured yet. Measure with:", commands)


def stale_models(
    measured: Mapping[str, str], cards: Mapping[str, ModelCard], commands: tuple[str, ...]
) -> dict[str, Problem]:
    """By model name, why its figures are out of date: they belong to other weights than those in use.

    Args:
        measured: SHA-256 of the weights that were measured, by model name.
        cards: of the weights in use, by model name.
        commands: that measure again.
    """
    problems = {}
    for name, sha256 in measured.items():
        if name not in cards:
            problems[name] = Problem("Stale: this model has no card any more. Refresh with:", commands)
        elif sha256 != cards[name].sha256:
            text = "Stale: measured with other weights than those in use now. Refresh with:"
            problems[name] = Problem(text, commands)
    return problems


class Cards(NamedTuple):
    """The cards in a folder.

    Attributes:
        cards: by model name, in the project's order.
        problems: what is wrong with others.
        file_bytes: size of each model's weight file, 0 where it is missing.
    """

    cards: dict[str, ModelCard]
    problems: tuple[str, ...]
    file_bytes: dict[str, int]


def read_cards(weights: Path, loaded: Mapping[str, ModelCard] | None = None) -> Cards:
    """Read every card in a folder. Never fails.

    Args:
        weights: the folder.
        loaded: cards of loaded models; those of other systems' files are in no file.
    """
    cards: dict[str, ModelCard] = {}
    problems, external = [], external_models(weights)
    for path in sorted(weights.glob("*.json")):
        if path.stem in external:  # a card beside external weights states only what cannot be recognised
            continue
        try:
            cards[path.stem] = read_card(path)
        except (CardError, OSError, RecursionError) as error:
            problems.append(str(error))
    cards = in_order(cards)
    files: dict[str, Path | None] = {name: weights / f"{name}.safetensors" for name in cards}
    for name, card in (loaded or {}).items():
        if name not in cards:
            cards[name] = card
            files[name] = peer_file(PEERS[name]) if is_peer(card) else external.get(name)
    return Cards(cards, tuple(problems), {name: _size(file) for name, file in files.items()})


def _size(path: Path | None) -> int:
    try:
        return path.stat().st_size if path else 0
    except OSError:
        return 0


def write_record(record: Provenance, path: Path, *, indent: int | None = 1) -> None:
    """Write a record's file, whole or not at all; folders are made.

    Args:
        record: what was measured.
        path: of the file.
        indent: of nested values; None writes one line.

    Raises:
        FerError: it cannot be written.
    """
    write_text(path, record.text(indent))
