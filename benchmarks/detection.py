"""Recall, landmarks and time of face detection, beside a detector that sees every picture whole at the finest scale.

python -m benchmarks.detection --data DIR [--json FILE]

FER2013 faces in place of the face in two heads of the examples, pasted at known places on plain, noisy or photographic
backgrounds. The reference is what the detector was before: 640 px, and a second pass over all of a larger picture.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.landmark_template import training_faces
from fer_models.evaluation.records.benchmarks import DetectionFigures, DetectionRecord
from fer_models.evaluation.store import write_record
from fer_models.faces.alignment import similarity
from fer_models.faces.detector import CenterFace
from fer_models.faces.following import FaceFollower, overlap
from fer_models.media.images import read_image
from fer_models.results import Face

Picture = NDArray[np.uint8]
Detect = Callable[[Picture, float], list[Face]]
EXAMPLES: Final = Path(__file__).resolve().parents[1] / "examples"
_HEAD: Final = 150  # px of the side of a head
_FOUND: Final = 0.5  # intersection over union
#: Name: width, height, pictures, least and most faces in one, least and most width of a face in px.
SCENES: Final = {
    "webcam": (640, 480, 80, 1, 2, 80, 200),
    "photo of 1 megapixel": (1152, 864, 80, 1, 6, 60, 260),
    "group in 1 megapixel": (1152, 864, 60, 6, 20, 30, 160),
    "group in 12 megapixels": (4000, 3000, 24, 10, 20, 48, 200),
}
CLIPS: Final = 6
RATES: Final = (5, 25)
_FRAMES: Final = 24


class WholePictures(CenterFace):
    """Sees every picture whole at the finest scale: the reference."""

    def _factors(self, width: int, height: int) -> tuple[float | None, float, float | None]:
        _, first, finest = super()._factors(width, height)
        longest = max(width, height)
        usual = self.longest_side / longest
        return (usual if finest and finest > 1.01 * usual else None), finest or first, None


@dataclass
class Head:
    """A head (150, 150, 3) and where its face and landmarks are."""

    picture: Picture
    box: NDArray[np.float32]
    landmarks: NDArray[np.float32]


@dataclass
class Tally:
    """What one detector found."""

    seconds: float = 0.0
    faces: int = 0
    found: int = 0
    false: int = 0
    errors: list[float] = field(default_factory=list)

    def add(self, truth: Sequence[Head], faces: Sequence[Face]) -> None:
        """Count one picture."""
        left = list(faces)
        for head in truth:
            best = max(left, key=lambda face: overlap(face.box, head.box), default=None)
            self.faces += 1
            if best is None or best.landmarks is None or overlap(best.box, head.box) < _FOUND:
                continue
            left.remove(best)
            self.found += 1
            eyes = float(np.linalg.norm(head.landmarks[0] - head.landmarks[1]))
            self.errors.append(float(np.linalg.norm(best.landmarks - head.landmarks, axis=1).mean()) / eyes)
        self.false += len(left)

    def figures(self, reference: "Tally") -> DetectionFigures:
        """Shares, and the time beside the reference's."""
        return DetectionFigures(
            faces=self.faces,
            recall=round(self.found / self.faces, 4),
            false_positives=self.false,
            landmark_error=round(float(np.mean(self.errors)), 4),
            times_faster=round(reference.seconds / self.seconds, 2),
        )


def heads_of(faces: Sequence[Picture], detector: CenterFace) -> list[Head]:
    """Each face in a head of the examples, where the detector finds both; landmarks are those of the large head."""
    hosts = []
    for name in ("astronaut.jpg", "camera.jpg"):
        picture = read_image(EXAMPLES / name)
        (face,) = detector.detect(picture)
        centre, half = (face.box[:2] + face.box[2:]) / 2, float((face.box[2:] - face.box[:2]).max())
        x, y = np.maximum(centre - half, 0).astype(int)
        side = int(min(2 * half, *(np.array(picture.shape[1::-1]) - (x, y))))
        grey = cv2.cvtColor(picture[y : y + side, x : x + side], cv2.COLOR_RGB2GRAY)
        assert face.landmarks is not None
        hosts.append((cv2.resize(grey, (_HEAD, _HEAD)), (face.landmarks - (x, y)) * _HEAD / side))
    rows, columns = np.mgrid[:48, :48]
    oval = np.clip((1 - ((columns - 23.5) / 21) ** 2 - ((rows - 25) / 23) ** 2) / 0.35, 0, 1).astype(np.float32)
    heads = []
    for index, picture in enumerate(faces):
        seen = detector.detect(picture)
        if len(seen) != 1 or seen[0].landmarks is None:
            continue
        host, landmarks = hosts[index % len(hosts)]
        matrix = similarity(seen[0].landmarks.astype(float), landmarks.astype(float)).astype(np.float32)
        mask, inner = (cv2.warpAffine(image, matrix, (_HEAD, _HEAD)) for image in (oval, picture[..., 0]))
        mixed = (host * (1 - mask) + inner * mask).astype(np.uint8)
        head = np.dstack([mixed] * 3)
        if len(whole := detector.detect(head)) == 1 and whole[0].landmarks is not None and whole[0].score > 0.6:
            heads.append(Head(head, whole[0].box, whole[0].landmarks))
    return heads


def background(random: np.random.Generator, width: int, height: int) -> Picture:
    """One colour, soft noisy shades, or a part of a photo without people."""
    kind = random.integers(3)
    if kind == 0:
        return np.full((height, width, 3), random.integers(20, 235, 3), np.uint8)
    if kind == 1:
        shades = random.integers(40, 220, (height // 100 + 2, width // 100 + 2, 3)).astype(np.uint8)
        noise = random.normal(0, random.uniform(3, 25), (height, width, 1))
        return np.clip(cv2.resize(shades, (width, height), interpolation=cv2.INTER_CUBIC) + noise, 0, 255).astype(
            np.uint8
        )
    photo = read_image(EXAMPLES / "cat.jpg")
    y, x = (int(random.integers(side // 2)) for side in photo.shape[:2])
    part = photo[y : y + photo.shape[0] // 2, x : x + photo.shape[1] // 2]
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def paste(picture: Picture, head: Head, x: float, y: float, width: float) -> Head:
    """Put a head with a face of this width into a picture; the head as it is there."""
    scale = width / float(head.box[2] - head.box[0])
    side = round(_HEAD * scale)
    scale = side / _HEAD
    left, top = round(x - side / 2), round(y - side / 2)
    small = cv2.resize(head.picture, (side, side), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    ramp = np.clip((1 - np.abs((np.arange(side) + 0.5) / side * 2 - 1)) / 0.12, 0, 1)
    mask = np.minimum(ramp[:, None], ramp[None])[..., None]
    under = picture[top : top + side, left : left + side]
    under[:] = np.rint(under * (1 - mask) + small * mask).astype(np.uint8)
    corner = np.array([left, top], np.float32)
    return Head(np.asarray(small, np.uint8), head.box * scale + np.tile(corner, 2), head.landmarks * scale + corner)


def scenes(name: str, heads: Sequence[Head], seed: int = 0) -> Iterator[tuple[Picture, list[Head]]]:
    """Pictures with heads that do not touch, and where they are."""
    width, height, count, fewest, most, narrow, wide = SCENES[name]
    random = np.random.default_rng(seed)
    for _ in range(count):
        picture, truth, taken = background(random, width, height), list[Head](), list[tuple[float, float, float]]()
        wanted = int(random.integers(fewest, most + 1))
        for _ in range(60 * wanted):
            head = heads[int(random.integers(len(heads)))]
            face = float(np.exp(random.uniform(np.log(narrow), np.log(wide))))
            side = _HEAD * face / float(head.box[2] - head.box[0]) + 2
            if side >= min(width, height):
                continue
            x, y = random.uniform(side / 2, width - side / 2), random.uniform(side / 2, height - side / 2)
            if all(max(abs(x - a), abs(y - b)) > (side + other) / 2 for a, b, other in taken):
                truth.append(paste(picture, head, x, y, face))
                taken.append((x, y, side))
            if len(truth) == wanted:
                break
        yield picture, truth


def clips(heads: Sequence[Head], rate: int, seed: int = 0) -> Iterator[tuple[float, Picture, list[Head]]]:
    """Frames of clips in which one head moves; each clip starts an hour after the last one."""
    random = np.random.default_rng(seed)
    for clip in range(CLIPS):
        scene, head = background(random, 640, 480), heads[int(random.integers(len(heads)))]
        sway, rate_hz, width = random.uniform(40, 140), random.uniform(0.1, 0.5), random.uniform(80, 130)
        side = 1.15 * width * _HEAD / float(head.box[2] - head.box[0])
        sway = min(sway, (640 - side) / 2 - 1)  # inside of the picture
        for index in range(_FRAMES):
            phase = 2 * np.pi * rate_hz * index / rate
            picture = scene.copy()
            size = width * (1 + 0.15 * np.sin(phase / 2))
            yield 3600 * clip + index / rate, picture, [paste(picture, head, 320 + sway * np.sin(phase), 240, size)]


def compare(pictures: Iterator[tuple[float, Picture, list[Head]]], detectors: dict[str, Detect]) -> dict[str, Tally]:
    """Every detector on every picture, in turns that rotate."""
    tallies = {name: Tally() for name in detectors}
    names = list(detectors)
    for time_s, picture, truth in pictures:
        for name in names:
            start = time.process_time()
            faces = detectors[name](picture, time_s)
            tallies[name].seconds += time.process_time() - start
            tallies[name].add(truth, faces)
        names = [*names[1:], names[0]]
    return tallies


def main() -> None:
    """Measure, print, and write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds fer2013.csv")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    reference, detector, follower = WholePictures(), CenterFace(), FaceFollower()
    heads = heads_of(training_faces(args.data, 600), detector)
    both: dict[str, Detect] = {
        "reference": lambda picture, _: reference.detect(picture),
        "cascade": lambda picture, _: detector.detect(picture),
    }
    following: dict[str, Detect] = both | {"following": lambda p, time_s: follower.detect(detector, p, time_s)}
    tallies = {}
    for use in both.values():  # loads the network and allocates its memory
        use(np.zeros((480, 640, 3), np.uint8), 0.0)
    for name in SCENES:
        tallies[name] = compare(((0.0, *scene) for scene in scenes(name, heads)), both)
    for rate in RATES:
        tallies[f"{rate} frames per second"] = compare(clips(heads, rate), following)
    record = DetectionRecord(
        command="python -m benchmarks.detection --data DIR",
        heads=len(heads),
        scenes={
            name: {kind: tally.figures(found["reference"]) for kind, tally in found.items()}
            for name, found in tallies.items()
        },
    )
    print(record.text(), end="")
    if args.json:
        write_record(record, args.json)


if __name__ == "__main__":
    main()
