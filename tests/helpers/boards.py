"""A Leaderboard to test with: records made by hand, edits of files, and all that is shown."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dashboard.leaderboard.board import LABEL_SETS, Board
from dashboard.leaderboard.sections import SECTIONS
from fer_models.evaluation.records import Calibration, FaceSetComparison, ModelComparison
from fer_models.evaluation.statistics import Interval, ReliabilityBin
from tests.helpers.leaderboard_files import write

NBSP = "\u00a0"
SECTION = {section.key: section for section in SECTIONS}
CALIBRATION = Calibration(
    expected_calibration_error=0.062,
    negative_log_likelihood=1.25,
    brier=0.5,
    reliability=(ReliabilityBin(0.6, 0.6667, 9, 0.65, 0.6),),
)


def change(path: Path, edit: Callable[[Any], None]) -> None:
    document = json.loads(path.read_text())
    edit(document)
    write(path, document)


def everything(board: Board) -> str:
    return "".join(str(part) for name in LABEL_SETS for each in SECTIONS for part in each.parts(board, name))


def row(confusion: list[list[int]], accuracy: float, **more: Any) -> ModelComparison:
    values: dict[str, Any] = {"before_temperature": CALIBRATION, "temperature": 1.5, "sha256": "0"} | more
    return ModelComparison(
        accuracy=Interval(accuracy, accuracy - 0.02, min(accuracy + 0.03, 1)),
        accuracy_without_copies=None,
        macro_f1=0.5,
        labels=("fear", "sadness"),
        confusion=tuple(map(tuple, confusion)),
        risk_coverage=((0.5, 0.1, 0.83), (1.0, 0.3, 0.2)),
        after_temperature=CALIBRATION,
        **values,
    )


def chosen(board: Board) -> FaceSetComparison:
    faces = board.sets["fer2013_test"].record
    assert faces is not None
    return faces


def changed(record: Any, **values: Any) -> Any:
    return record.model_copy(update=values)
