"""What the Leaderboard makes of its files: read, missing, stale, damaged, hostile."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from dashboard.components.templates import macro
from dashboard.leaderboard import sentences
from dashboard.leaderboard.board import LABEL_SETS, Board, read_board
from dashboard.leaderboard.cost.cards_view import card_view, metrics_summary, recipe_summary
from dashboard.leaderboard.cost.cost_view import cost_of
from dashboard.leaderboard.sections import SECTIONS
from fer_models.evaluation import leaderboard as command
from fer_models.evaluation.store import Loaded, Problem
from fer_models.models.card import read_card
from fer_models.models.ensemble import ENSEMBLE
from fer_models.registry import MODELS, model_styles
from tests.helpers.boards import NBSP, SECTION, change, chosen, everything
from tests.helpers.leaderboard_files import VERSIONS, write
from tests.helpers.texts import assert_states


def test_every_section_reads_what_the_commands_wrote(board: Board, complete: Path) -> None:
    for name, label_set in LABEL_SETS.items():
        measured = board.sets[name]
        assert measured.record is not None and measured.problem is None
        written = json.loads((complete / "results" / command.FILE).read_text())["sets"][name]
        assert [*measured.record.models] == [*MODELS, ENSEMBLE] and measured.record.labels == label_set.labels
        for model, values in written["models"].items():
            assert measured.record.models[model].accuracy.value == values["accuracy"]["value"]
            recalls = {label: measured.record.models[model].recall_of(label) for label in values["labels"]}
            assert recalls == pytest.approx(values["recall"])
        assert measured.record.oracle == written["oracle"] and measured.record.copies == 37
        assert board.robustness[name].problem is None
    assert board.noise.problem is None and board.latency.problem is None and not board.card_problems
    text = everything(board)
    assert "Stale" not in text and "Not measured yet. Measure" not in text and "is damaged" not in text


def test_names_are_those_the_commands_use() -> None:
    assert tuple(LABEL_SETS) == command.SETS and command.FILE == "leaderboard.json"


def test_what_is_missing_names_its_command(folder: Path) -> None:
    for path in (folder / "results").iterdir():
        path.unlink()
    board = read_board(folder)
    text = everything(board)
    for words in (
        "evaluate --data DIR --labels fer2013 --json weights/results/fer2013_test.json",
        "python -m fer_models leaderboard",
        "robustness --data DIR --labels ferplus --json weights/results/robustness_ferplus.json",
        "study noise --data DIR",
        "python -m benchmarks.latency --json weights/results/latency.json",
    ):
        assert words in text
    assert text.count("Not measured yet") >= 5
    assert "23.5 million" in text  # what the cards know is shown all the same
    empty = read_board(folder / "none")
    assert not empty.cards and "no model cards" in everything(empty)


def test_one_set_may_be_missing(folder: Path) -> None:
    change(folder / "results" / "leaderboard.json", lambda document: document["sets"].pop("ferplus_test"))
    board = read_board(folder)
    assert board.sets["fer2013_test"].record is not None
    advice = board.sets["ferplus_test"].problem
    assert (
        advice is not None and advice.text.startswith("Not measured yet") and "--labels ferplus" in advice.commands[0]
    )


def test_new_weights_make_the_models_rows_stale(folder: Path) -> None:
    change(folder / "vgg16.json", lambda card: card.update(sha256="0" * 64))
    board = read_board(folder)
    stale_rows = board.stale(chosen(board))
    assert set(stale_rows) == {"vgg16", ENSEMBLE}
    stale = stale_rows["vgg16"]
    assert "other weights" in stale.text
    assert stale.commands == (LABEL_SETS["fer2013_test"].evaluate, "python -m fer_models leaderboard")
    assert set(board.stale(board.robustness["fer2013_test"].record)) == {"vgg16", ENSEMBLE}
    # VGG16 did not learn FER+'s labels: it is in no mean there.
    assert set(board.stale(board.sets["ferplus_test"].record)) == {"vgg16"}
    assert set(board.stale(board.robustness["ferplus_test"].record)) == {"vgg16"}
    assert set(board.stale(board.latency.record)) == {"vgg16"}
    text = everything(board)
    assert_states(text, "VGG16", "Stale", "other weights")
    assert "VGG16 (stale)" in text
    assert "ResNet50 (stale)" not in text


def test_a_mean_of_all_models_is_stale_and_its_members_are_named(folder: Path) -> None:
    """Files from before ensembles were of one label set have no members."""
    results = folder / "results"
    change(results / "leaderboard.json", lambda document: document["sets"]["fer2013_test"].pop("members"))
    change(results / "robustness_ferplus.json", lambda document: document.pop("members"))
    board = read_board(folder)
    assert set(board.stale(chosen(board))) == {ENSEMBLE}
    assert chosen(board).ensemble_members == MODELS
    assert sentences.members(board, chosen(board)) == "ResNet50, VGG16, EAC (ResNet-50) and EAC (MobileNetV2)"
    assert set(board.stale(board.robustness["ferplus_test"].record)) == {ENSEMBLE}
    other = board.sets["ferplus_test"].record
    assert other is not None and board.stale(other) == {}
    assert sentences.members(board, other) == "EAC (ResNet-50) and EAC (MobileNetV2)"


def test_without_an_ensemble_none_is_shown_or_stale(folder: Path) -> None:
    def leave_out(document: Any) -> None:
        for faces in document["sets"].values():
            del faces["models"][ENSEMBLE]
            faces["members"] = []

    change(folder / "results" / "leaderboard.json", leave_out)
    change(folder / "vgg16.json", lambda card: card.update(sha256="0" * 64))
    board = read_board(folder)
    assert chosen(board).ensemble_members == () and set(board.stale(chosen(board))) == {"vgg16"}
    assert "mean of" not in " ".join(sentences.summary(board, chosen(board), "fer2013_test"))
    assert ENSEMBLE not in cost_of(board, chosen(board), None)[1]


def test_a_new_temperature_and_a_lost_card_make_a_row_stale(folder: Path) -> None:
    change(folder / "vgg16.json", lambda card: card.update(temperature=2.0))
    (folder / "resnet50.json").unlink()
    board = read_board(folder)
    reasons = {name: problem.text for name, problem in board.stale(chosen(board)).items()}
    assert "another temperature" in reasons["vgg16"] and "no card any more" in reasons["resnet50"]


def test_another_versions_files_are_not_stale(folder: Path) -> None:
    change(folder / "results" / "leaderboard.json", lambda document: document.update(version="0.0.1"))
    old = {**VERSIONS, "fer_models": "0.0.2"}
    change(folder / "results" / "latency.json", lambda document: document.update(versions=old))
    board = read_board(folder)
    assert board.sets["fer2013_test"] == Loaded(chosen(board)) and board.latency.problem is None
    assert "Stale" not in everything(board)


FILES = ("leaderboard", "robustness_fer2013", "robustness_ferplus", "noise_study", "latency")


def sources(board: Board) -> list[Any]:
    return [*board.sets.values(), *board.robustness.values(), board.noise, board.latency]


@pytest.mark.parametrize("file", FILES)
def test_damaged_files_become_a_message(folder: Path, file: str) -> None:
    for content in (b"", b"{}", b"[]", b"null", b'{"sets": 3}', b"\xff\xfe", b"[" * 100_000):
        (folder / "results" / f"{file}.json").write_bytes(content)
        board = read_board(folder)
        problems = [source.problem for source in sources(board) if source.record is None]
        assert len(problems) == (2 if file == "leaderboard" else 1)  # one per label set
        for problem in problems:
            assert f"results/{file}.json is damaged" in problem.text
            assert any(command.startswith("python -m ") for command in problem.commands)
    text = everything(board)  # the same page, whatever the damage
    assert f"results/{file}.json is damaged" in text and problems[0].commands[0] in text


@pytest.mark.parametrize("file", FILES)
def test_no_single_wrong_value_breaks_the_page(folder: Path, file: str) -> None:
    """Each value of the first levels in turn becomes nonsense: it is read or reported, never raised."""
    path = folder / "results" / f"{file}.json"
    intact = json.loads(path.read_text())

    def spots(node: Any, depth: int) -> list[tuple[Any, Any]]:
        keys = list(node) if isinstance(node, dict) else [0] if isinstance(node, list) and node else []
        if isinstance(node, dict) and all(
            isinstance(item, dict) and [*item] == [*node[keys[0]]] for item in node.values()
        ):
            keys = keys[:1]  # all are alike, such as the models
        here = [(node, key) for key in keys]
        return here + [spot for key in keys if depth for spot in spots(node[key], depth - 1)]

    for node, key in spots(intact, 3):
        before = node[key]
        for nonsense in (None, "x", -1):
            node[key] = nonsense
            write(path, intact)
            board = read_board(folder)
            assert all((source.record is None) == (source.problem is not None) for source in sources(board))
        node[key] = before


@pytest.mark.parametrize(
    ("file", "keys", "value"),
    [
        ("leaderboard", ["sets", "fer2013_test", "models"], {}),
        ("leaderboard", ["sets", "fer2013_test", "pairs"], []),
        ("leaderboard", ["sets", "fer2013_test", "models", "vgg16", "risk_coverage"], []),
        ("leaderboard", ["sets", "fer2013_test", "models", "vgg16", "after_temperature", "reliability"], []),
        ("leaderboard", ["sets", "fer2013_test", "models", "vgg16", "confusion"], [[0] * 7] * 7),
        ("robustness_fer2013", ["strengths"], []),
        ("robustness_fer2013", ["corrupted"], {}),
        ("robustness_fer2013", ["clean"], {}),
        ("noise_study", ["runs"], []),
        ("latency", ["models"], {}),
    ],
)
def test_the_page_draws_what_is_empty(folder: Path, file: str, keys: list[str], value: Any) -> None:
    def edit(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    change(folder / "results" / f"{file}.json", edit)
    board = read_board(folder)
    assert all(len(section.parts(board, "fer2013_test")) == len(section.charts) for section in SECTIONS)


def test_a_damaged_card_is_reported_and_the_others_shown(folder: Path) -> None:
    (folder / "vgg16.json").write_text("{")
    board = read_board(folder)
    assert [*board.cards] == [name for name in MODELS if name != "vgg16"]
    (problem,) = board.card_problems
    assert "malformed" in problem and "malformed" in everything(board)


def test_reading_is_quick(complete: Path) -> None:
    began = time.perf_counter()
    read_board(complete)
    assert time.perf_counter() - began < 2


def test_every_text_from_files_is_escaped(folder: Path) -> None:
    evil = "<img src=x onerror=alert(1)>\"'&"
    change(
        folder / "vgg16.json",
        lambda card: card.update({"title": evil, "weaknesses": evil, "recipe": {"machine": evil}}),
    )
    change(folder / "results" / "noise_study.json", lambda document: document.update(tested_on=evil, command=evil))
    change(folder / "results" / "latency.json", lambda document: document.update(machine=evil))
    change(
        folder / "results" / "robustness_fer2013.json", lambda d: d["corrupted"].update({evil: d["corrupted"]["blur"]})
    )
    board = read_board(folder)
    assert board.card_problems == ()
    for name in LABEL_SETS:
        for section in SECTIONS:
            html = "".join(part for part in section.parts(board, name) if isinstance(part, str))
            assert "<img" not in html
    assert "&lt;img src=x" in everything(board)
    assert "<script" not in macro("advice", Problem("<script>", ("<script>",)))


def test_cards_are_readable_pages(folder: Path) -> None:
    card = read_card(folder / "vgg16.json")
    facts = card_view(card, model_styles(["vgg16"])["vgg16"]).facts
    text = "\n".join(facts.values())
    for words in ("28,709 grey faces", "MIT", "lie or attention detection", "14,726,727 parameters", card.sha256):
        assert words in text
    assert_states(facts["Recipe"], "28 epochs", "64 px", "sgd")
    first = recipe_summary(card.recipe["earlier_runs"][0])
    assert_states(first, "5 epochs", "48 px", "2 epochs", "64 px", "sgd")
    assert_states(first, "66.6 %", "validation")
    assert recipe_summary({}) == "Not stated."
    assert recipe_summary({"settings": {"stages": "odd"}, "command": "C"}) == "Command: C"
    summary = metrics_summary({"fer2013_test": {"accuracy": 0.5, "count": 3589}, "other": 3})
    assert summary == f"FER2013 test set: 50.0{NBSP}% of 3,589 faces"
    page = str(SECTION["cards"].parts(read_board(folder), "fer2013_test")[0])
    assert page.count("<details") == 4 and page.count(" open>") == 1 and card.sha256 in page


def test_fairness_names_its_command(board: Board) -> None:
    (page,) = SECTION["fairness"].parts(board, "fer2013_test")
    assert "python -m fer_models fairness --data DIR --groups FILE.csv" in str(page)
