"""Published figures with their sources: quoted, not measured here, and never mixed with measured ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: Stands wherever one of them is shown.
QUOTED: Final = "quoted, not measured here"


@dataclass(frozen=True)
class Quoted:
    """One published accuracy.

    Attributes:
        labels: of the test set, as commands call the label set, or "rafdb".
        title: of the system, short enough for a chart.
        accuracy: in percent.
        source: who published it.
        year: when; None where not known.
        spread: plus and minus, in percentage points; 0 where none is given.
        note: what to know before comparing.
    """

    labels: str
    title: str
    accuracy: float
    source: str
    year: int | None
    spread: float = 0.0
    note: str = ""

    @property
    def percentage(self) -> str:
        """The accuracy with its spread, as "65 ± 5 %"."""
        spread = f"{self.accuracy:.0f} ± {self.spread:.0f}" if self.spread else f"{self.accuracy:.2f}"
        return f"{spread}\u00a0%"

    @property
    def reference(self) -> str:
        """Who published it, and when."""
        return f"{self.source}, {self.year}" if self.year else self.source


_COURSE: Final = "course project"
_EIGHT: Final = "eight expressions, including contempt"

FIGURES: Final = (
    Quoted("fer2013", "Ensemble of seven", 76.82, "Pham, Vu and Tran", 2020, note="several networks combined"),
    Quoted("fer2013", "Ensemble with SVMs", 75.42, "Georgescu et al.", 2019, note="several networks combined"),
    Quoted("fer2013", "LHC-Net", 74.42, "Pecoraro et al.", 2021),
    Quoted("fer2013", "ResMaskingNet", 74.14, "Pham, Vu and Tran", 2020),
    Quoted("fer2013", "Best single, no extra data", 73.28, "Khaireddin and Chen", 2021),
    Quoted("fer2013", "VGG16, course project", 68.63, _COURSE, None),
    Quoted("fer2013", "ResNet50, course project", 65.94, _COURSE, None),
    Quoted("fer2013", "Human annotators", 65.0, "Goodfellow et al.", 2013, 5.0, "people labelling such faces"),
    Quoted("ferplus", "EAC, by its authors", 89.64, "Zhang et al.", 2022, note=_EIGHT),
    Quoted("ferplus", "VGG13", 84.99, "Barsoum et al.", 2016, note=_EIGHT),
    Quoted("rafdb", "EAC (ResNet-50)", 90.35, "Zhang et al.", 2022),
    Quoted("rafdb", "EAC (MobileNet)", 86.47, "Zhang et al.", 2022),
)


def quoted_for(labels: str) -> list[Quoted]:
    """Published figures on a label set, the best first."""
    return sorted((figure for figure in FIGURES if figure.labels == labels), key=lambda figure: -figure.accuracy)


@dataclass(frozen=True)
class QuotedCurve:
    """A published row of accuracies under label noise.

    Attributes:
        title: network and method.
        method: "plain" or "eac".
        accuracy: by percent of wrong training labels, in percent.
    """

    title: str
    method: str
    accuracy: Mapping[int, float]


NOISE_SOURCE: Final = "Zhang et al., Learn From All (EAC), 2022, RAF-DB"
_SHARES: Final = (0, 10, 20, 30)
#: RAF-DB's faces and labels, not FER+'s: how the curves fall can be compared, their heights cannot.
NOISE: Final = tuple(
    QuotedCurve(title, method, dict(zip(_SHARES, accuracies, strict=True)))
    for title, method, accuracies in (
        ("ResNet-50, plain", "plain", (88.75, 83.44, 79.11, 71.67)),
        ("ResNet-50, EAC", "eac", (90.35, 88.62, 87.35, 85.27)),
        ("MobileNet, plain", "plain", (83.31, 77.80, 70.60, 62.48)),
        ("MobileNet, EAC", "eac", (86.47, 82.63, 81.65, 79.82)),
    )
)
