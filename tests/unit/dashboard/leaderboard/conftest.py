"""Boards of result files, written once for all files of tests here."""

from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.leaderboard.board import Board, read_board
from fer_models.evaluation.records import FaceSetComparison
from fer_models.evaluation.statistics import PairedTest
from fer_models.evaluation.store import Loaded
from fer_models.models.ensemble import ENSEMBLE
from tests.helpers.boards import row
from tests.helpers.leaderboard_files import write_files


@pytest.fixture(scope="session")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file. Read only."""
    return write_files(tmp_path_factory.mktemp("board") / "weights")


@pytest.fixture
def folder(complete: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    target = tmp_path / "weights"
    (target / "results").mkdir(parents=True)
    for path in [*complete.glob("*.json"), *complete.glob("results/*.json")]:
        (target / path.relative_to(complete)).write_bytes(path.read_bytes())
    return target


@pytest.fixture(scope="session")
def board(complete: Path) -> Board:
    return read_board(complete)


@pytest.fixture
def small(board: Board) -> Board:
    """Two models on 628 faces of two expressions."""
    models = {
        "vgg16": row([[400, 128], [30, 70]], 0.748),
        "eac_resnet50": row([[416, 112], [0, 100]], 0.822),
        ENSEMBLE: row([[420, 108], [10, 90]], 0.812, before_temperature=None, temperature=None, sha256=None),
    }
    faces = FaceSetComparison(
        labels="fer2013",
        split="test",
        command="COMMAND",
        count=628,
        copies=57,
        models=models,
        pairs=(PairedTest("vgg16", "eac_resnet50", 20, 66, 0.0000004, 0.71, 0.52),),
        pairs_without_copies=(),
        calibration_gaps={},
        oracle=0.877,
        members=("vgg16", "eac_resnet50"),
    )
    cards = {name: replace(card, sha256="0", temperature=1.5) for name, card in board.cards.items()}
    return replace(board, cards=cards, sets={**board.sets, "fer2013_test": Loaded(faces)})
