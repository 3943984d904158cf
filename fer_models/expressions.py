"""The one vocabulary of expressions, their display order and their colours.

Datasets and models name and order their classes differently; every loader maps its native labels to these names, and
every result is joined by name, never by index.
"""

from collections.abc import Iterable
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

_ALIASES: Final[dict[str, str]] = {
    "angry": "anger",
    "disgusted": "disgust",
    "afraid": "fear",
    "fearful": "fear",
    "scared": "fear",
    "happy": "happiness",
    "joy": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
}


def expression(name: str) -> str:
    """The vocabulary's word for a native class name such as "Happy" or "angry".

    Raises:
        UnknownNameError: the name is none of the seven expressions nor a known spelling of one.
    """
    word = name.strip().lower()
    word = _ALIASES.get(word, word)
    if word not in EXPRESSIONS:
        raise UnknownNameError("expression", name, EXPRESSIONS)
    return word


def in_display_order(names: Iterable[str]) -> list[str]:
    """The given expressions sorted as every chart and table shows them; names outside the vocabulary come last."""
    return sorted(names, key=lambda name: EXPRESSIONS.index(name) if name in EXPRESSIONS else len(EXPRESSIONS))
