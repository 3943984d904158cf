"""A picture with its numbered faces, for the tabs in which one of them is chosen. No Gradio here."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from dashboard.components.analyzed_image import AnalyzedFace, AnalyzedImage
from dashboard.components.templates import render
from fer_models.formatting import percent


@dataclass(frozen=True)
class RelativeBox:
    """A box in percent of its picture's width and height, so that it fits at any size."""

    left: float
    top: float
    width: float
    height: float


def relative_box(box: NDArray[np.float32], size: tuple[int, int]) -> RelativeBox:
    """A box (4,) xyxy in px, clipped to a picture of some width and height in px."""
    left, top, right, bottom = (np.clip(box / np.array([*size, *size]), 0, 1) * 100).tolist()
    return RelativeBox(left, top, right - left, bottom - top)


@dataclass(frozen=True, eq=False)
class FaceButton:
    """A face that can be chosen.

    Attributes:
        index: its number, counted from 0.
        box: where it is in the picture.
        thumbnail: (96, 96, 3) uint8 RGB.
        agreed: how many models give the most frequent answer.
        models: of how many.
    """

    index: int
    box: RelativeBox
    thumbnail: NDArray[np.uint8]
    agreed: int
    models: int

    @property
    def differs(self) -> bool:
        """Whether the models disagree about it."""
        return self.agreed < self.models


@dataclass(frozen=True, eq=False)
class PictureView:
    """A picture with numbered boxes.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        alt: what it shows, for those who cannot see it.
        note: how many faces were detected.
        file_notes: what the file was not as it should be in.
        facts: about the file, by term.
        faces: by number, counted from 0; none if there is nothing to choose.
        chosen: number of the chosen one.
    """

    image: NDArray[np.uint8]
    alt: str
    note: str
    file_notes: tuple[str, ...]
    facts: Mapping[str, str]
    faces: tuple[FaceButton, ...]
    chosen: int = 0

    @property
    def mixed(self) -> bool:
        """Whether the models disagree about some of the faces and agree about others."""
        return len({face.differs for face in self.faces}) == 2

    @property
    def offered(self) -> list[FaceButton]:
        """The faces as they are offered: first those about which the models disagree."""
        return sorted(self.faces, key=lambda face: not face.differs)


def picture_view(analyzed: AnalyzedImage, chosen: int = 0) -> PictureView:
    """An analysed picture as the page shows it, one of its faces chosen."""
    count = len(analyzed.faces)
    several = analyzed.faces if count > 1 else ()
    faces = tuple(
        FaceButton(index, relative_box(face.face.box, analyzed.size), _thumbnail(face), *face.votes)
        for index, face in enumerate(several)
    )
    alt = f"Your picture with {count} numbered {'box' if count == 1 else 'boxes'}" if count else "Your picture"
    return PictureView(analyzed.picture, alt, _note(analyzed), analyzed.notes, _facts(analyzed), faces, chosen)


def picture(analyzed: AnalyzedImage, chosen: int = 0) -> Markup:
    """`picture_view` as HTML for `CHOOSE_FACE`: each box and thumbnail is a button with data-face, the face's index."""
    return render("components/picture.html", view=picture_view(analyzed, chosen))


def position(analyzed: AnalyzedImage, index: int) -> str:
    """A face's place among those of its picture, such as "Face 2 of 3"."""
    if analyzed.faces[index].face.landmarks is None:
        return "The whole picture as one face"
    return f"Face {index + 1} of {len(analyzed.faces)}" if len(analyzed.faces) > 1 else "The face"


def _facts(analyzed: AnalyzedImage) -> dict[str, str]:
    """The file's name and size, what was detected and how surely."""
    facts = {"File": analyzed.name} if analyzed.name else {}
    width, height = analyzed.size
    facts["Size"] = f"{width:,}\u00a0×\u00a0{height:,}\u00a0px"
    found = [face.face for face in analyzed.faces if face.face.landmarks is not None]
    if found:
        scores = sorted(face.score for face in found)
        lowest, highest = percent(scores[0]), percent(scores[-1])
        facts["Detection score"] = lowest if lowest == highest else f"{lowest} to {highest}"
        sides = sorted(float(face.box[2] - face.box[0]) for face in found)
        least, most = f"{sides[0]:,.0f}", f"{sides[-1]:,.0f}"
        facts["Width of the faces"] = f"{least if least == most else f'{least} to {most}'}\u00a0px"
    return facts


def _thumbnail(face: AnalyzedFace) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(face.crop, (96, 96), interpolation=cv2.INTER_AREA), np.uint8)


def _note(analyzed: AnalyzedImage) -> str:
    if not analyzed.faces:
        return "No face was found."
    if analyzed.faces[0].face.landmarks is None:
        return "Classified as one face, without face detection."
    if analyzed.total == 1:
        return "One face found."
    limit = f", the {len(analyzed.faces)} largest are shown" if analyzed.total > len(analyzed.faces) else ""
    return f"{analyzed.total} faces found{limit}. Choose one in the picture or below."
