"""A result file read safely: its value, or plain words on what is missing, damaged or out of date."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from fer_models import __version__
from fer_models.models.card import ModelCard

T = TypeVar("T")

#: A malformed document shows as one of these, whichever part of it is wrong.
_DAMAGE: Final = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Advice:
    """Something the reader should know about a figure, and the commands that mend it.

    Attributes:
        text: one or two plain sentences.
        commands: to be run one after the other.
    """

    text: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source(Generic[T]):
    """What one file says, or why it says nothing.

    Attributes:
        value: what was read; None where the file is missing or damaged.
        advice: why there is no value, or why it may be out of date; None if all is well.
    """

    value: T | None = None
    advice: Advice | None = None


def read_source(path: Path, commands: tuple[str, ...], parse: Callable[[Any], T]) -> Source[T]:
    """One file through its parser, with an advice if it is missing, damaged, or another version's."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        value = parse(document)
        versions = document.get("versions")
        version = versions.get("fer_models") if isinstance(versions, dict) else document.get("version")
    except FileNotFoundError:
        return Source(advice=missing(commands))
    except _DAMAGE as error:
        reason = f"{type(error).__name__}: {error}"
        text = f"The file results/{path.name} is damaged and is left out ({reason[:160]}). Write it anew with:"
        return Source(advice=Advice(text, commands))
    if version is None or version == __version__:
        return Source(value)
    text = f"Stale: written by version {version} of this project, which is now {__version__}. Refresh with:"
    return Source(value, Advice(text, commands))


def missing(commands: tuple[str, ...]) -> Advice:
    """What to say where there is no file yet, with the commands that write it."""
    return Advice("Not measured yet. Measure with:", commands)


def stale_model(name: str, sha256: object, cards: Mapping[str, ModelCard], commands: tuple[str, ...]) -> Advice | None:
    """Why figures of a model may be out of date; None if they belong to the weights in use.

    Args:
        name: the model's.
        sha256: of the weights that were measured.
        cards: of the weights in use, by model name.
        commands: that measure anew.
    """
    if name not in cards:
        return Advice("Stale: this model has no card any more. Refresh with:", commands)
    if sha256 != cards[name].sha256:
        return Advice("Stale: measured with other weights than those in use now. Refresh with:", commands)
    return None


def maybe_share(value: Any) -> float | None:
    """A share, or None for null.

    Raises:
        ValueError: it is neither.
    """
    return None if value is None else share(value)


def share(value: Any) -> float:
    """A share in [0, 1].

    Raises:
        ValueError: it is none.
    """
    found = float(value)
    if not 0 <= found <= 1:  # NaN too
        raise ValueError(f"expected a share from 0 to 1, found {value!r}")
    return found


def difference(value: Any) -> float:
    """A difference of two shares, in [-1, 1].

    Raises:
        ValueError: it is none.
    """
    found = float(value)
    if not -1 <= found <= 1:  # NaN too
        raise ValueError(f"expected a difference of shares from -1 to 1, found {value!r}")
    return found


def number(value: Any) -> float:
    """A finite number from 0.

    Raises:
        ValueError: it is none.
    """
    found = float(value)
    if not 0 <= found < float("inf"):
        raise ValueError(f"expected a number from 0, found {value!r}")
    return found


def count(value: Any) -> int:
    """A whole number from 0.

    Raises:
        ValueError: it is none.
    """
    found = int(value)
    if found < 0 or found != value:
        raise ValueError(f"expected a count, found {value!r}")
    return found
