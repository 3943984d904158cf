"""A picture with its numbered faces, for the tabs in which one of them is chosen. No Gradio here."""

from dataclasses import dataclass

import cv2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from dashboard.components.analyzed_image import AnalyzedFace, AnalyzedImage
from dashboard.components.templates import render


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
        box: where it is in the picture.
        thumbnail: (96, 96, 3) uint8 RGB.
    """

    box: RelativeBox
    thumbnail: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class PictureView:
    """A picture with numbered boxes.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        alt: what it shows, for those who cannot see it.
        note: how many faces were detected.
        file_notes: what the file was not as it should be in.
        size: width and height of the original in px.
        faces: by number, counted from 0; none if there is nothing to choose.
    """

    image: NDArray[np.uint8]
    alt: str
    note: str
    file_notes: tuple[str, ...]
    size: tuple[int, int]
    faces: tuple[FaceButton, ...]


def picture_view(analyzed: AnalyzedImage) -> PictureView:
    """An analysed picture as the page shows it."""
    count = len(analyzed.faces)
    several = analyzed.faces if count > 1 else ()
    faces = tuple(FaceButton(relative_box(face.face.box, analyzed.size), _thumbnail(face)) for face in several)
    alt = f"Your picture with {count} numbered {'box' if count == 1 else 'boxes'}" if count else "Your picture"
    return PictureView(analyzed.picture, alt, _note(analyzed), analyzed.notes, analyzed.size, faces)


def picture(analyzed: AnalyzedImage) -> Markup:
    """`picture_view` as HTML; each box and each thumbnail is a button with data-face, the face's index."""
    return render("components/picture.html", view=picture_view(analyzed))


def position(analyzed: AnalyzedImage, index: int) -> str:
    """A face's place among those of its picture, such as "Face 2 of 3"."""
    if analyzed.faces[index].face.landmarks is None:
        return "The whole picture as one face"
    return f"Face {index + 1} of {len(analyzed.faces)}" if len(analyzed.faces) > 1 else "The face"


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
