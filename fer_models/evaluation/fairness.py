"""Whether models err more often for some groups of people than for others.

Needs faces whose people said which group they count themselves to; neither FER2013 nor FER+ has such labels.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_models.analyzer import Analyzer
from fer_models.datasets.dataset import FaceData
from fer_models.errors import DatasetError, FerError
from fer_models.evaluation.predictions import FaceMode, predict_test_set
from fer_models.evaluation.records import package_versions
from fer_models.evaluation.records.fairness import FairnessRecord, GroupAccuracy, GroupGap, ModelFairness
from fer_models.evaluation.statistics import gap_with_interval, share_with_interval
from fer_models.expressions import EXPRESSIONS, ClassNames
from fer_models.media.files import read_csv
from fer_models.media.images import read_image
from fer_models.models.classifier import engine_names
from fer_models.registry import ensembles_of

_log = logging.getLogger(__name__)

_COLUMNS: Final = ("file", "label", "group")


@dataclass(frozen=True, eq=False)
class GroupedFaces:
    """Labelled faces, each of a person of some group.

    Attributes:
        data: the faces.
        groups: the group of each.
    """

    data: FaceData
    groups: tuple[str, ...]

    def of(self, group: str) -> NDArray[np.bool_]:
        """(N,) bool: the faces of this group."""
        return np.array([name == group for name in self.groups])


def measure_fairness(
    analyzer: Analyzer,
    faces: GroupedFaces,
    *,
    least: int,
    mode: FaceMode = "auto",
    seed: int = 0,
    command: str = "",
) -> FairnessRecord:
    """Accuracy of every model and of every ensemble in every group, and the gap of every two groups.

    Args:
        analyzer: the loaded models.
        faces: with their groups.
        least: faces that a group needs.
        mode: how a picture becomes a face.
        seed: of the bootstrap.
        command: what repeats the measurement.

    Raises:
        FerError: no group is large enough.
    """
    check_groups(faces, least)
    data = faces.data
    predictions, missed = predict_test_set(analyzer, data, mode)
    training_labels = {name: model.card.training_labels for name, model in analyzer.classifiers.items()}
    ensembles = {each.name: each.members for each in ensembles_of(training_labels)}
    return FairnessRecord(
        command=command,
        versions=package_versions(),
        engine=engine_names(analyzer.classifiers.values()),
        count=len(data),
        faces_not_found=missed,
        least=least,
        too_small=too_small(faces, least),
        labels={group: _labels(faces, group) for group in dict.fromkeys(faces.groups)},
        sha256={name: model.card.sha256 for name, model in analyzer.classifiers.items()},
        models={
            name: compare_groups(classes == data.targets, faces, least, seed)
            for name, classes in predictions.classes(ensembles).items()
        },
        ensembles=ensembles,
    )


def check_groups(faces: GroupedFaces, least: int) -> None:
    """Find out before the models are loaded whether anything can be measured.

    Raises:
        FerError: no group is large enough.
    """
    small = too_small(faces, least)
    if len(small) == len(set(faces.groups)):
        counts = ", ".join(f"{group} has {count}" for group, count in small.items())
        raise FerError(f"No group has {least} faces, so nothing can be said: {counts}. Add faces, or lower --least.")


def load_groups(root: Path, path: Path, class_names: Mapping[str, str] | None = None) -> GroupedFaces:
    """The pictures a list names, with their labels and groups. Rows whose label is no expression are left out, logged.

    Args:
        root: folder of the pictures; the list cannot name one outside.
        path: CSV with the columns file, label and group, see `read_csv`; other columns are not read.
        class_names: the expressions that labels stand for, if not the vocabulary's.

    Raises:
        DatasetError: the list or a picture is missing or malformed; the message names file and row.
        ImageError: a picture cannot be read.
    """
    pictures, targets, groups = [], [], []
    classes = ClassNames(class_names or {})
    for line, row in read_csv(path, _COLUMNS, str(path)):
        picture = root / row["file"]
        inside = picture.resolve().is_relative_to(root.resolve())
        if not row["file"] or not row["group"] or not inside or not picture.is_file():
            raise DatasetError(f"{path}, line {line}: expected a picture below {root}, a label and a group.")
        if word := classes.expression(row["label"]):
            pictures.append(read_image(picture))
            targets.append(EXPRESSIONS.index(word))
            groups.append(row["group"])
    if not targets:
        reason = " ".join(classes.notes()) or "It names no picture."
        raise DatasetError(f"{path}: there is no labelled picture. {reason} Known: {', '.join(EXPRESSIONS)}.")
    for note in classes.notes():
        _log.warning("%s: %s", path, note)
    data = FaceData("groups", "test", pictures, np.array(targets), np.arange(len(targets)))
    return GroupedFaces(data, tuple(groups))


def too_small(faces: GroupedFaces, least: int) -> dict[str, int]:
    """Groups with fewer faces than that, and how many they have."""
    counts = {group: int(faces.of(group).sum()) for group in dict.fromkeys(faces.groups)}
    return {group: count for group, count in counts.items() if count < least}


def compare_groups(right: NDArray[np.bool_], faces: GroupedFaces, least: int, seed: int = 0) -> ModelFairness:
    """One model's accuracy in every group that is large enough, and the gap of every two.

    Args:
        right: (N,) bool, which faces it gets right.
        faces: with their groups.
        least: faces a group needs.
        seed: of the bootstrap.
    """
    small = too_small(faces, least)
    masks = {group: faces.of(group) for group in dict.fromkeys(faces.groups) if group not in small}
    groups = {
        group: GroupAccuracy(count=int(mask.sum()), accuracy=share_with_interval(right[mask], seed=seed))
        for group, mask in masks.items()
    }
    gaps = [
        GroupGap(
            first=first,
            second=second,
            **asdict(gap_with_interval(right[masks[first]], right[masks[second]], seed=seed)),
        )
        for first, second in combinations(masks, 2)
    ]
    return ModelFairness(groups=groups, gaps=tuple(gaps))


def _labels(faces: GroupedFaces, group: str) -> dict[str, int]:
    """How many faces of a group carry each label: groups with other labels have other accuracies for that alone."""
    counts = np.bincount(faces.data.targets[faces.of(group)], minlength=len(EXPRESSIONS))
    return dict(zip(EXPRESSIONS, counts.tolist(), strict=True))
