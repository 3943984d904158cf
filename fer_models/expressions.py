"""The one vocabulary of expressions, their display order and their colours.

Datasets and models name and order their classes differently; every loader maps its native labels to these names, and
every result is joined by name, never by index.
"""

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from fer_models.errors import UnknownNameError

EXPRESSIONS: Final[tuple[str, ...]] = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")

# Okabe and Ito (2008), chosen to stay apart under the common colour vision deficiencies; neutral is a plain grey.
COLOURS: Final[dict[str, str]] = {
    "anger": "#D55E00",
    "disgust": "#009E73",
    "fear": "#CC79A7",
    "happiness": "#E69F00",
    "sadness": "#0072B2",
    "surprise": "#56B4E9",
    "neutral": "#7F7F7F",
}

_SYNONYMS: Final[dict[str, str]] = {
    "angry": "anger",
    "mad": "anger",
    "furious": "anger",
    "disgusted": "disgust",
    "disgusting": "disgust",
    "afraid": "fear",
    "fearful": "fear",
    "frightened": "fear",
    "scared": "fear",
    "happy": "happiness",
    "joy": "happiness",
    "joyful": "happiness",
    "sad": "sadness",
    "unhappy": "sadness",
    "surprised": "surprise",
    "no expression": "neutral",
    "expressionless": "neutral",
    **{name[:3]: name for name in EXPRESSIONS},  # as some datasets shorten them
}
_KNOWN: Final[dict[str, str]] = {**{name: name for name in EXPRESSIONS}, **_SYNONYMS}
#: Similarity from which another word counts as a misspelling (difflib's ratio).
_NEAR: Final = 0.8
#: Shorter words are too similar to others: "sand" and "sad".
_SHORTEST: Final = 4
#: Unknown class names that a note names.
_NAMED: Final = 10


def expression(name: str) -> str:
    """The vocabulary's word for a native class name such as "Happy", "angry" or "0_angry".

    Raises:
        UnknownNameError: the name is none of the seven expressions nor a synonym of one.
    """
    word = _KNOWN.get(_plain(name))
    if word is None:
        raise UnknownNameError("expression", name, EXPRESSIONS)
    return word


def is_expression(name: str) -> bool:
    """Whether a class name stands for one of the seven expressions."""
    return _plain(name) in _KNOWN


def class_name(name: str) -> str:
    """The vocabulary's word for a class name; one beyond it, such as "Contempt", in small letters.

    So models join such classes by their names, too.
    """
    return _KNOWN.get(_plain(name)) or name.strip().casefold()


def _plain(name: str) -> str:
    """A class name in small letters, a blank between words, no numbers and separators around them, and no "face"."""
    words = re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", name).casefold())
    return re.sub(r"^[\d ]+| faces?$", "", words.strip()).strip()


def _is_number(name: str) -> bool:
    return not _plain(name) and any(map(str.isdigit, name))


def _misspelled(name: str) -> str | None:
    """The expression whose misspelling a class name seems to be, or None.

    The first letter must be right, so that "unsurprised" is no surprise.
    """
    word = _plain(name)
    near = {
        meant
        for known, meant in _KNOWN.items()
        if min(len(word), len(known)) >= _SHORTEST
        and word[0] == known[0]
        and difflib.SequenceMatcher(None, word, known).ratio() >= _NEAR
    }
    return near.pop() if len(near) == 1 else None


@dataclass
class ClassNames:
    """Native class names as expressions, and account of those that are none: the one rule for folders and lists.

    Attributes:
        given: by native name, the expression that it stands for, as the user says.
        guessed: by misspelled name, the expression it was taken for.
        unknown: how many labels have a name that is no expression; they are left out.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    guessed: dict[str, str] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)
    _met: set[str] = field(default_factory=set)

    def expression(self, name: str, count: int = 1) -> str | None:
        """The expression that a class name stands for, or None.

        Args:
            name: in `given`, exact, a synonym, or misspelled so that one expression alone can be meant.
            count: how many labels have it.
        """
        self._met.add(name.strip())
        name = self.given.get(name.strip(), name.strip())
        if word := _KNOWN.get(_plain(name)):
            return word
        if word := _misspelled(name):
            self.guessed[name] = word
            return word
        self.unknown[name] += count
        return None

    def notes(self) -> list[str]:
        """What was guessed and what was left out, in a sentence each."""
        notes = []
        if self.guessed:
            pairs = ", ".join(f"{name!r} as {word}" for name, word in sorted(self.guessed.items()))
            notes.append(f"Class names taken for misspelled ones: {pairs}.")
        if self.unknown:
            total, named = self.unknown.total(), self.unknown.most_common(_NAMED)
            names = ", ".join(f"{name!r} ({count})" for name, count in named)
            more = f" and {len(self.unknown) - len(named)} other names" if len(self.unknown) > len(named) else ""
            notes.append(f"{total} label{' is' if total == 1 else 's are'} left out, as no expression: {names}{more}.")
        if any(map(_is_number, self.unknown)):
            notes.append(self.advice())
        if strange := sorted(self.given.keys() - self._met):
            notes.append(f"No class is called {', '.join(map(repr, strange))}, which --class-names explains.")
        return notes

    def advice(self) -> str:
        """How to say what unknown names stand for, such as numbers, which differ from dataset to dataset."""
        names = sorted(self.unknown, key=lambda name: (not _is_number(name), name))
        pairs = ",".join(f"{name}=EXPRESSION" for name in names[:2])
        return f"If they stand for expressions, write these instead, or tell the command: --class-names {pairs},..."


def in_display_order(names: Iterable[str]) -> list[str]:
    """The given expressions sorted as every chart and table shows them; names outside the vocabulary come last."""
    return sorted(names, key=lambda name: EXPRESSIONS.index(name) if name in EXPRESSIONS else len(EXPRESSIONS))
