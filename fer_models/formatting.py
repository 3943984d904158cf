"""Results as people read them, the same on the page and in an annotated video."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from fer_models.results import Prediction, is_beyond


def percent(fraction: float, space: str = "\u00a0") -> str:
    """A probability in whole percent, but never 0 % or 100 % for what is only close to it.

    Args:
        fraction: in [0, 1].
        space: before the sign; by default a no-break space, which fonts for pictures may lack.
    """
    if fraction < 0.005:
        return f"under 1{space}%"
    return f"over 99{space}%" if fraction > 0.995 else f"{100 * fraction:.0f}{space}%"


def percent_of(share: float) -> str:
    """A share of counts or of time in percent: unlike a probability it can be exactly 0 % or 100 %."""
    return f"{100 * share:.0f}\u00a0%" if share in (0, 1) else percent(share)


def examples(names: Sequence[str], most: int = 3) -> str:
    """The first few of many names, and how many there are besides: "a.txt, b.pdf, c.doc and 5 more"."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def majority(predictions: Mapping[str, Prediction]) -> str:
    """What most models predict, and how many they are: "happiness", "happiness 3/4", "fear or sadness".

    Of a model's tied expressions (`Prediction.tied_labels`) each counts. As for `results.agreement`, a model whose
    answer is none of the seven expressions is left out beside others.
    """
    known = {name: each for name, each in predictions.items() if not is_beyond(each.tied_labels)}
    predictions = known or predictions
    votes = Counter(label for prediction in predictions.values() for label in prediction.tied_labels).most_common()
    if not votes:
        return ""
    most = [label for label, count in votes if count == votes[0][1]]
    everyone = votes[0][1] == len(predictions)
    if len(most) == 2 or (everyone and len(most) > 1):
        return " or ".join(most)
    if len(most) > 1:
        return "no agreement"
    return most[0] if everyone else f"{most[0]} {votes[0][1]}/{len(predictions)}"


def printable(name: str) -> str:
    r"""A file's name without anything that is not text: such characters become \xNN or \uNNNN, \ becomes \\.

    So line breaks, escape codes, marks that reverse the direction of writing, and bytes that are no valid text do no
    harm in a terminal, a table or a page; and different names stay different.
    """
    return "".join(_printable(letter) for letter in name)


def _printable(letter: str) -> str:
    if letter == "\\":
        return "\\\\"
    harmful = unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} or unicodedata.bidirectional(letter) in {
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
    }  # fmt: skip
    if not harmful:
        return letter
    return f"\\x{ord(letter):02x}" if ord(letter) < 256 else f"\\u{ord(letter):04x}"
