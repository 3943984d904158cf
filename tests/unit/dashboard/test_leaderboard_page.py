"""What the leaderboard shows: every number by hand, staleness, damage, escaping, and that reading is quick."""

import base64
import csv
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashboard.components.templates import macro, part
from dashboard.leaderboard import csv_tables, figures, pairs_view, ranking_view, sentences, view
from dashboard.leaderboard.board import LABEL_SETS, Board, read_board
from dashboard.leaderboard.cost.cards_view import card_view, metrics_summary, recipe_summary
from dashboard.leaderboard.cost.cost_view import cost_of, frontier
from dashboard.leaderboard.eac import figures as eac_figures
from dashboard.leaderboard.eac.findings import eac_findings
from dashboard.leaderboard.eac.noise import missing_shares, noise_points, noise_rows
from dashboard.leaderboard.published import FIGURES, NOISE, QUOTED, quoted_for
from dashboard.leaderboard.reliability_figure import reliability_figure
from dashboard.leaderboard.sections import GROUPS, SECTIONS
from dashboard.leaderboard.threshold_view import above_threshold
from fer_models.evaluation import leaderboard as command
from fer_models.evaluation.predictions import TestPredictions
from fer_models.evaluation.records import (
    Baseline,
    Calibration,
    FaceSetComparison,
    LatencyRecord,
    ModelComparison,
    ModelLatency,
    NoisePoint,
    NoiseRun,
    NoiseStudyRecord,
    RobustnessRecord,
)
from fer_models.evaluation.statistics import Interval, PairedTest, ReliabilityBin
from fer_models.evaluation.store import Loaded, Problem
from fer_models.expressions import EXPRESSIONS
from fer_models.models.card import read_card
from fer_models.models.ensemble import ENSEMBLE
from fer_models.registry import MODELS, model_styles
from tests.helpers.leaderboard_files import VERSIONS, write, write_files
from tests.helpers.texts import assert_states

NBSP = "\u00a0"
SECTION = {section.key: section for section in SECTIONS}


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def board(complete: Path) -> Board:
    return read_board(complete)


def change(path: Path, edit: Callable[[Any], None]) -> None:
    document = json.loads(path.read_text())
    edit(document)
    write(path, document)


def everything(board: Board) -> str:
    return "".join(str(part) for name in LABEL_SETS for each in SECTIONS for part in each.parts(board, name))


CALIBRATION = Calibration(
    expected_calibration_error=0.062,
    negative_log_likelihood=1.25,
    brier=0.5,
    reliability=(ReliabilityBin(0.6, 0.6667, 9, 0.65, 0.6),),
)


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


def chosen(board: Board) -> FaceSetComparison:
    faces = board.sets["fer2013_test"].record
    assert faces is not None
    return faces


def changed(record: Any, **values: Any) -> Any:
    return record.model_copy(update=values)


# Words


def test_a_cell_says_what_it_means_and_how_often(small: Board) -> None:
    model = chosen(small).models["eac_resnet50"]
    cell = sentences.cell_sentence
    assert_states(cell(model, "EAC", "fear", "sadness"), "528 faces", "fear", "EAC", "sadness", "112", f"21{NBSP}%")
    right = cell(model, "EAC", "sadness", "sadness")
    assert_states(right, "100 faces", "sadness", "EAC", "sadness", "100", "correct", f"100{NBSP}%")
    wrong = cell(model, "EAC", "sadness", "fear")
    assert_states(wrong, "100 faces", "sadness", "EAC", "fear", " 0", f"(0{NBSP}%)")
    assert "correct" not in wrong
    rare = row([[999, 1], [0, 0]], 0.9)
    assert_states(cell(rare, "X", "fear", "sadness"), "1,000 faces", "fear", "X", "sadness", " 1 ", f"under 1{NBSP}%")
    none = cell(rare, "X", "sadness", "fear")
    assert_states(none, "No", "sadness")
    assert "%" not in none and "X" not in none


def test_p_values_are_adjusted_after_holm() -> None:
    """By hand: 0.01 x 3, then 0.02 x 2, then 0.6; never less than a smaller one's, never above 1."""
    assert sentences.holm([0.6, 0.01, 0.02]) == pytest.approx([0.6, 0.03, 0.04])
    assert sentences.holm([0.02, 0.021]) == pytest.approx([0.04, 0.04])
    assert sentences.holm([0.9, 0.8]) == [1.0, 1.0]
    assert sentences.holm([]) == []


def test_pairs_in_words() -> None:
    titles = {"a": "A", "b": "B"}
    pair = PairedTest("a", "b", 412, 268, 0.0001, 0.71, 0.6)
    say = sentences.pair_sentence
    better = say(pair, 0.0001, titles)
    assert_states(better, "A and B", f"71.0{NBSP}%", "Only A", "412", "only B", "268")
    assert_states(better, "A is significantly better", f"p{NBSP}<{NBSP}0.001")
    assert_states(say(pair, 0.2, titles), "not significantly different", f"p{NBSP}={NBSP}0.200")
    assert "no difference" in say(replace(pair, only_second=412), 1.0, titles)
    assert "B is significantly better" in say(replace(pair, only_first=100), 0.01, titles)
    without = replace(pair, only_first=400, only_second=260)
    both = say(pair, 0.0001, titles, (without, 0.033))
    assert both.startswith(better)
    assert_states(both.removeprefix(better), "duplicates", "400", "260", f"p{NBSP}={NBSP}0.033")


def test_the_summary_ranks_only_significant_differences(small: Board) -> None:
    accuracy, ensemble, expressions, *_ = sentences.summary(small, chosen(small), "fer2013_test")
    assert_states(accuracy, "EAC (ResNet-50)", "FER2013", "628", f"82.2{NBSP}%", f"80.2{NBSP}%", f"85.2{NBSP}%")
    assert_states(accuracy, "VGG16", f"74.8{NBSP}%", "significantly behind")
    assert_states(ensemble, f"81.2{NBSP}%", f"87.7{NBSP}%")
    assert_states(expressions, "Easiest", "sadness", f"100.0{NBSP}%", "EAC (ResNet-50)", "Hardest", "fear", "78.8")
    close = (replace(chosen(small).pairs[0], p_value=0.06),)
    accuracy = sentences.summary(small, changed(chosen(small), pairs=close), "fer2013_test")[0]
    assert_states(accuracy, "VGG16", "not significantly different", "do not rank")


def test_the_summary_names_what_is_not_significantly_behind_and_what_is_too_rare(small: Board) -> None:
    gaps = {"vgg16": Interval(0.01, -0.002, 0.02)}
    summary = sentences.summary(small, changed(chosen(small), calibration_gaps=gaps), "fer2013_test")
    assert_states(summary[3], "calibrated", "6.2 percentage points", "Not significantly different", "VGG16")
    clear = changed(chosen(small), calibration_gaps={"vgg16": Interval(0.01, 0.002, 0.02)})
    assert "significant" not in sentences.summary(small, clear, "fer2013_test")[3]
    # as leaderboard_files.py has it: EAC (ResNet-50) is behind by -1 to 20 points, the other two by more than 0
    assert_states(summary[4], "Not significantly different", "EAC (ResNet-50)")
    assert not any(title in summary[4].split("Not significantly")[1] for title in ("VGG16", "MobileNetV2"))

    labels, matrix = ("fear", "sadness", "disgust"), ((400, 128, 0), (30, 70, 0), (12, 0, 6))
    rare = {name: changed(each, labels=labels, confusion=matrix) for name, each in chosen(small).models.items()}
    expressions = sentences.summary(small, changed(chosen(small), models=rare), "fer2013_test")[2]
    assert_states(expressions, "Hardest: sadness", "Too rare", "disgust (18 faces)")


def test_recall_and_precision_by_hand(small: Board) -> None:
    model = chosen(small).models["vgg16"]
    assert model.recall_of("fear") == 400 / 528 and model.precision("fear") == 400 / 430
    assert model.recall_of("sadness") == 0.7 and model.precision("sadness") == 70 / 198
    never = row([[5, 0], [0, 0]], 1.0)
    assert never.recall_of("sadness") is None and never.precision("sadness") is None


# Tables


def test_the_best_models_of_each_expression(small: Board) -> None:
    record = chosen(small)
    fear, sadness = view.expression_rows(small, record)
    eac = ("EAC (ResNet-50)",)
    assert (fear.faces, fear.recall) == (528, view.Best(eac, 416 / 528))
    assert sadness.recall == view.Best(eac, 1.0)
    assert sadness.precision == view.Best(eac, 100 / 212)
    seldom = {name: changed(each, confusion=((520, 8), (90, 10))) for name, each in record.models.items()}
    assert view.expression_rows(small, changed(record, models=seldom))[1].precision is None


def test_the_table_of_the_best_models_says_what_is_weak_and_what_is_missing() -> None:
    def cell(best: view.Best | None) -> str:
        return part("leaderboard/overview.html", "best", best, "too rare")

    assert cell(view.Best(("A", "B"), 0.788)) == f'<td class="fer-words">A, B <small>78.8{NBSP}%</small></td>'
    assert "below" in cell(view.Best(("A",), 0.49)) and "none" in cell(view.Best(("A",), 0.0))
    assert ">too rare<" in cell(None)


def test_tables_show_the_figures(small: Board) -> None:
    record = chosen(small)
    accuracy = view.accuracy_rows(small, record)
    assert [row.best for row in accuracy] == [True, False, False] and accuracy[0].accuracy == f"82.2{NBSP}%"
    assert accuracy[2].interval == f"72.8 to 77.8{NBSP}%" and accuracy[2].without_duplicates == view.DASH
    calibration = view.calibration_rows(small, record)
    same = tuple(view.Change(figure, figure) for figure in ("6.2", "1.250", "0.500"))
    assert calibration[0].changes == same and calibration[0].temperature == "1.50"
    assert calibration[2].changes[0].before is None and calibration[2].temperature == view.DASH
    agreement = pairs_view.Agreement(f"71.0{NBSP}%", "0.52")
    assert [cells for _, cells in pairs_view.agreement_table(small, record)] == [[None, agreement], [agreement, None]]
    risks = sentences.risk_sentences(small, record)
    assert all(figure in risks[0] for figure in ("VGG16", f"30.0{NBSP}%", f"10.0{NBSP}%", f"83{NBSP}%"))
    combination = " ".join(sentences.combination_sentences(small, record))
    assert "\u22121.0 percentage points" in combination and f"12.3{NBSP}%" in combination
    page = everything(small)
    assert f'<td class="fer-best">82.2{NBSP}%</td>' in page
    assert "1.250 \u2192 <b>1.250</b>" in page and f"71.0{NBSP}%<br><small>\u03ba 0.52</small>" in page


def test_models_are_ranked_by_accuracy_and_overlapping_intervals_share_ranks(small: Board) -> None:
    record = chosen(small)
    # By hand: a is wholly above b and c, which overlap; d is wholly below b, but not below c.
    measured = {"d": (0.60, 0.58, 0.62), "b": (0.70, 0.67, 0.73), "a": (0.80, 0.77, 0.83), "c": (0.65, 0.61, 0.69)}
    model = next(iter(record.models.values()))
    models = {name: changed(model, accuracy=Interval(*values)) for name, values in measured.items()}
    assert sentences.ranks(changed(record, models=models)) == {
        "a": "1",
        "b": "2\u20133",
        "c": "2\u20134",
        "d": "3\u20134",
    }
    rows = view.accuracy_rows(small, record)
    assert [row.accuracy for row in rows] == sorted((row.accuracy for row in rows), reverse=True)
    chart = figures.accuracy_figure(small, record, [])
    assert [trace.x[0] for trace in chart.data] == sorted((trace.x[0] for trace in chart.data), reverse=True)
    assert '<td class="fer-rank">1' in everything(small)


def test_every_section_is_on_one_tab_and_the_label_noise_study_beside_no_choice_of_labels() -> None:
    assert sorted(key for group in GROUPS for key in group.sections) == sorted(SECTION)
    assert all([section.key for section in group.members] == [*group.sections] for group in GROUPS)
    (eac,) = (group for group in GROUPS if "noise" in group.sections)
    assert eac.key == "eac" and not any(section.by_labels for section in eac.members)


def test_the_overview_has_every_model_once_on_both_label_sets(board: Board) -> None:
    rows = ranking_view.ranked_rows(board)
    singles = [row for row in rows if "mean of" not in row.note]
    assert sorted(row.model.title for row in singles) == sorted(board.title(name) for name in MODELS)
    for key, number in (("fer2013_test", 0), ("ferplus_test", 1)):
        record = board.sets[key].record
        assert record is not None
        ordered = sorted((row for row in rows if row.cells[number]), key=lambda row: row.orders[number])
        accuracies = [cell.value for row in ordered if (cell := row.cells[number])]
        assert accuracies == sorted((m.accuracy.value for m in record.models.values()), reverse=True)
        assert [cell.rank for row in ordered if (cell := row.cells[number])] == [*sentences.ranks(record).values()]
    vgg16 = next(row for row in rows if row.model.title == "VGG16")
    assert (vgg16.time, vgg16.size) == (f"22.0{NBSP}ms", f"3.0{NBSP}MB")
    means = {row.note: row for row in rows if "mean of" in row.note}
    both = means["mean of ResNet50 and VGG16"]
    assert len(means) == 2 and both.cells[1] is None and both.time == f"52.0{NBSP}ms" and both.size == f"6.0{NBSP}MB"
    page = str(SECTION["overview"].parts(board, "fer2013_test")[0])
    assert page.count("<tr data-order-fer2013=") == len(rows) == 6
    assert page.count('data-sort="') == 2 and page.count('aria-sort="ascending"') == 1


def test_the_overview_recommends_from_the_records(small: Board) -> None:
    small = replace(small, file_bytes=dict.fromkeys(small.cards, 3_000_000))
    own, other, device = ranking_view.picks(small)
    assert_states(own.need, "FER2013")
    assert own.title == "EAC (ResNet-50)"
    assert_states(own.text, f"82.2{NBSP}%", "80.2 to 85.2", f"81.2{NBSP}%")
    assert "significant" not in own.text
    assert_states(other.need, "FER+")
    close = changed(chosen(small), pairs=(replace(chosen(small).pairs[0], p_value=0.06),))
    (tied, *_) = ranking_view.picks(replace(small, sets={**small.sets, "fer2013_test": Loaded(close)}))
    assert_states(tied.text, "Not significantly different", "VGG16")
    smaller = replace(small, file_bytes={**small.file_bytes, "vgg16": 1_500_000})
    assert ranking_view.picks(smaller)[2].title == "VGG16"
    assert_states(ranking_view.picks(smaller)[2].text, f"1.5{NBSP}MB", f"74.8{NBSP}% on FER2013")
    assert_states(device.need, "small device")


def test_the_overview_says_what_was_not_measured(folder: Path) -> None:
    (folder / "results" / "leaderboard.json").unlink()
    page = str(SECTION["overview"].parts(read_board(folder), "fer2013_test")[0])
    assert "--labels fer2013 --json" in page and "--labels ferplus --json" in page and "<table" not in page


def test_pairs_are_a_matrix_of_significant_differences(small: Board) -> None:
    (_, (itself, eac)), (_, (vgg16, _)) = pairs_view.pair_matrix(small, chosen(small))
    assert itself is None and eac is not None and vgg16 is not None
    assert (eac.result, eac.faces) == ("worse", "\u221246") and (vgg16.result, vgg16.faces) == ("better", "+46")
    assert eac.sentence == sentences.pair_sentences(small, chosen(small))[0]
    assert "differ significantly" in pairs_view.pairs_verdict(small, chosen(small))
    close = changed(chosen(small), pairs=(replace(chosen(small).pairs[0], p_value=0.06),))
    cells = [cell for _, row in pairs_view.pair_matrix(small, close) for cell in row if cell]
    assert {cell.result for cell in cells} == {"same"}
    assert_states(pairs_view.pairs_verdict(small, close), "not differ significantly", "zero")
    page = str(SECTION["agreement"].parts(small, "fer2013_test")[0])
    assert re.findall(r'data-result="(\w+)"', page) == ["worse", "better"]
    assert page.index("differ significantly") < page.index("data-result")  # seen without pointing at anything


def points(figure: Any) -> list[Any]:
    """The traces of bins that have points and are shown at first."""
    return [trace for trace in figure.data if trace.error_y.array is not None and len(trace.x) and trace.visible]


def test_reliability_has_equally_many_faces_per_point_and_intervals(board: Board) -> None:
    record = chosen(board)
    figure = reliability_figure(board, record)
    shown = points(figure)
    assert len(shown) == len(record.models) and all(len(trace.x) == 10 for trace in shown)
    for trace in shown:
        assert [count for count, _, _ in trace.customdata] == [40] * 10
        for value, (_, low, high) in zip(trace.y, trace.customdata, strict=True):
            assert 0 <= low <= value <= high <= 100 and high - low > 5
    assert "tenth of the faces" in str(SECTION["confidence"].parts(board, "fer2013_test")[0])


def test_reliability_falls_back_to_the_records_bins_and_greys_few_faces(small: Board) -> None:
    (first, *_) = points(reliability_figure(small, chosen(small)))
    assert list(first.x) == [65] and first.y[0] == pytest.approx(100 * 5 / 9)
    assert first.marker.color == "#8a8a94" and first.customdata[0][0] == 9
    many = CALIBRATION.model_copy(update={"reliability": (ReliabilityBin(0.6, 0.7, 20, 0.65, 0.6),)})
    models = {name: changed(each, after_temperature=many) for name, each in chosen(small).models.items()}
    (first, *_) = points(reliability_figure(small, changed(chosen(small), models=models)))
    assert first.marker.color == model_styles(models)["vgg16"].colour
    recorded = SECTION["confidence"].parts(replace(small, predictions={}), "fer2013_test")
    assert "tenth of the faces" not in str(recorded[0])


def test_a_threshold_moves_coverage_accuracy_interval_and_confusion(small: Board) -> None:
    anger, fear = EXPRESSIONS.index("anger"), EXPRESSIONS.index("fear")
    shares = np.full((4, 7), 0.02, np.float32)
    for face, (answer, confidence) in enumerate([(fear, 0.9), (anger, 0.8), (anger, 0.6), (fear, 0.4)]):
        shares[face] = (1 - confidence) / 6
        shares[face, answer] = confidence
    targets, none = np.array([fear, fear, anger, anger]), np.zeros(4, bool)  # right, wrong, right, wrong
    predictions = TestPredictions(np.arange(4), targets, none, {"vgg16": np.log(shares)}, {"vgg16": 1.0})
    models = {"vgg16": row([[1, 1], [1, 1]], 0.5), "eac_resnet50": row([[1, 1], [1, 1]], 0.5)}
    board = replace(small, predictions={"fer2013_test": predictions})
    record = changed(chosen(small), models=models)

    def at(least: float) -> tuple[str, ...]:
        (only,), _ = above_threshold(board, record, least)  # of the other model no face's predictions are on file
        return only.coverage, only.accuracy, only.interval

    # Wilson's interval by hand, z = 1.96: 2 of 4, 2 of 3, 1 of 2, 1 of 1.
    assert at(0.0) == (f"100.0{NBSP}%", f"50.0{NBSP}%", f"15.0 to 85.0{NBSP}%")
    assert at(0.5) == (f"75.0{NBSP}%", f"66.7{NBSP}%", f"20.8 to 93.9{NBSP}%")
    assert at(0.7) == (f"50.0{NBSP}%", f"50.0{NBSP}%", f"9.5 to 90.5{NBSP}%")
    assert at(0.85) == (f"25.0{NBSP}%", f"100.0{NBSP}%", f"20.7 to 100.0{NBSP}%")
    assert at(0.95) == (f"0.0{NBSP}%", view.DASH, view.DASH)
    _, (matrix,) = above_threshold(board, record, 0.5)
    assert [cell.share for cell in matrix.rows["fear"]][anger] == 0.5 and not any(
        cell.share for cell in matrix.rows["anger"][1:]
    )
    other_run = changed(record, models={"vgg16": row([[1, 1], [1, 1]], 0.75)})
    assert above_threshold(board, other_run, 0.0) == ([], [])


def test_confusion_matrices_mark_the_diagonal(small: Board) -> None:
    matrices = {matrix.name: matrix for matrix in view.confusion_matrices(small, chosen(small))}
    right, wrong = matrices["vgg16"].rows["fear"]
    assert right.correct and right.share == 400 / 528 and not wrong.correct and wrong.share == 128 / 528
    page = part("leaderboard/expressions.html", "confusion", matrices["vgg16"])
    assert re.findall(r'data-right="(\w+)"', page) == ["true", "false", "false", "true"]
    assert re.findall(r">(\d+)</button>", page) == ["76", "24", "30", "70"]


def corruption_table(board: Board, record: RobustnessRecord) -> str:
    sets = {**board.robustness, "fer2013_test": Loaded(record)}
    return str(SECTION["pictures"].parts(replace(board, robustness=sets), "fer2013_test")[2])


def test_corruption_figures_by_hand(small: Board) -> None:
    curves: dict[str, dict[str, tuple[float, ...]]] = {"blur": {"vgg16": (0.6, 0.4)}, "noise": {"vgg16": (0.5, 0.1)}}
    record = RobustnessRecord(
        labels="fer2013",
        split="test",
        count=500,
        seed=0,
        strengths=(1, 2),
        sha256={"vgg16": "0"},
        clean={"vgg16": 0.7},
        corrupted=curves,
        mean={},
        behind={},
    )
    assert record.mean_by_strength("vgg16") == pytest.approx((0.55, 0.25))
    cells = {row.kind: row.cells for row in view.corruption_rows(record)}
    assert cells["Blur"] == ((f"50.0{NBSP}%", "\u221220.0"),) and cells["Noise"] == ((f"30.0{NBSP}%", "\u221240.0"),)
    assert view.corruption_title("jpeg") == "JPEG" and view.corruption_title("low light") == "Low light"
    assert cells["Mean of all kinds"] == ((f"40.0{NBSP}%", "\u221230.0"),)
    assert "interval" not in corruption_table(small, record)
    sure = changed(record, mean={"vgg16": Interval(0.4, 0.351, 0.449)})
    assert f"<small>35.1 to 44.9{NBSP}%</small>" in corruption_table(small, sure)
    figure = figures.corruption_figure(small, record)
    assert [trace.visible for trace in figure.data] == [True, False, False]
    assert list(figure.data[0].y) == pytest.approx([70, 55, 25]) and list(figure.data[1].y) == pytest.approx(
        [70, 60, 40]
    )
    labels = [button.label for button in figure.layout.updatemenus[0].buttons]
    assert labels == ["Mean of all kinds", "Blur", "Noise"]
    assert figure.layout.updatemenus[0].buttons[1].args[0] == {"visible": [False, True, False]}
    rows = csv_tables.corruption_rows(small, record)
    assert rows[-1] == ("VGG16", "noise", 2, 0.1) and len(rows) == 6


def test_noise_runs_average_over_seeds_and_unfinished_ones_are_open() -> None:
    def run(
        method: str, noise: int | str, seed: int, last: float | None, best: float | None, held: float | None
    ) -> NoiseRun:
        point = NoisePoint(epoch=1, validation_accuracy=0.5, test_accuracy=0.5, wrong_labels_held=held)
        return NoiseRun(
            method=method,
            noise=noise,
            seed=seed,
            finished=last is not None and last != 0.4,
            last_test_accuracy=last,
            best_test_accuracy=best,
            curve=() if last is None else (point,),
        )

    runs = (
        run("plain", 30, 0, 0.5, 0.6, 0.1),
        run("plain", 30, 1, 0.4, 0.5, 0.1),
        run("plain", 0, 0, 0.7, 0.8, None),
        run("plain", "fer2013", 0, 0.55, 0.57, 0.1),
        run("eac", 30, 0, None, None, None),
    )
    study = NoiseStudyRecord(tested_on="FER+", epochs=40, runs=runs)
    points = noise_points(study, "plain", "best_test_accuracy")
    assert points == [(0, 0.8, True), (30, pytest.approx(0.55), False), ("fer2013", 0.57, True)]
    figure = eac_figures.noise_figure(study)
    measured = figure.data[0]
    assert list(measured.marker.symbol) == ["triangle-up", "triangle-up-open", "triangle-up"]
    assert list(measured.y) == pytest.approx([80, 55, 57])
    assert [trace.name for trace in figure.data if "quoted" in trace.name] == [
        f"{each.title}, quoted" for each in NOISE
    ]
    states = [row.state for row in noise_rows(study)]
    assert states.count("finished") == 3 and "not finished: 0 of 40 epochs" in states
    memory = eac_figures.memory_figure(study)
    assert [trace.name for trace in memory.data] == [
        f"Plain, 30{NBSP}%, seed 0",
        f"Plain, 30{NBSP}%, seed 1 (not finished)",
        "Plain, FER2013, seed 0",
    ]


def test_what_of_eac_was_reproduced_follows_from_the_records(small: Board, board: Board) -> None:
    """As leaderboard_files.py has it, at 30 %: EAC 74.0 at best and 72.3 at last, plain training 62.0 and 61.5."""
    memorised, accurate = eac_findings(board)
    assert memorised.reproduced and accurate.reproduced
    assert_states(memorised.text, "30 %", "6.0 %", "90.0 %")
    assert_states(
        accurate.text, "72.3 %", "61.5 %", "+10.8 points", "74.0 %", "62.0 %", "+12.0 points", "+17.3", "RAF-DB"
    )
    assert eac_findings(replace(board, noise=Loaded(problem=Problem("none")))) == []
    record = board.sets["ferplus_test"].record
    assert record is not None
    baseline = Baseline(title="ResNet-50 on FER+, without EAC")
    models = {**record.models, "plain_resnet50": changed(record.models["vgg16"], baseline=baseline)}
    for p_value, better, reproduced in ((0.001, True, True), (0.001, False, False), (0.4, True, False)):
        pair = PairedTest("eac_resnet50", "plain_resnet50", 9, 1, p_value, 0.8, 0.7)
        own = changed(models["eac_resnet50"], accuracy=Interval(0.9 if better else 0.1, 0.05, 0.95))
        faces = changed(record, models={**models, "eac_resnet50": own}, pairs=(pair,))
        clean = eac_findings(replace(board, sets={**board.sets, "ferplus_test": Loaded(faces)}))[-1]
        assert clean.reproduced is reproduced
        assert ("not significantly" in clean.text) == (p_value > 0.05)
    page = str(SECTION["reproduced"].parts(board, "fer2013_test")[0])
    assert page.count('data-reproduced="true"') == 2 and "RAF-DB" in page


def test_shares_of_noise_without_a_run_are_named(folder: Path) -> None:
    def missing() -> tuple[str, str]:
        board = read_board(folder)
        assert board.noise.record is not None
        return missing_shares(board.noise.record), str(SECTION["noise"].parts(board, "fer2013_test")[0])

    assert missing()[0] == ""
    path = folder / "results" / "noise_study.json"
    change(path, lambda study: study.update(runs=[run for run in study["runs"] if run["noise"] in (0, 30)]))
    shares, page = missing()
    assert shares == "10 and 20" and "10 and 20&nbsp;%" in page


def test_the_frontier_keeps_what_is_not_beaten() -> None:
    costs = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 3.0}
    assert frontier(costs, {"a": 0.6, "b": 0.5, "c": 0.7, "d": 0.8}) == ["a", "d"]


def test_cost_is_time_if_all_were_timed_else_what_the_cards_know(small: Board) -> None:
    record = chosen(small)
    times = LatencyRecord(
        machine="M",
        device="cpu",
        threads=2,
        dtype="float32",
        batch=16,
        repeats=9,
        models={
            name: ModelLatency(sha256="0", p50_ms=time, p95_ms=time, throughput=1, peak_memory_mb=None)
            for name, time in (("vgg16", 20.0), ("eac_resnet50", 30.0))
        },
    )
    title, costs = cost_of(small, record, times)
    assert title == "Time per face (ms)" and costs == {"vgg16": 20, "eac_resnet50": 30, ENSEMBLE: 50}
    uncounted = replace(small, cards={name: replace(card, multiply_adds=0) for name, card in small.cards.items()})
    title, costs = cost_of(uncounted, record, changed(times, models={}))
    assert title == "Parameters (millions)" and costs["vgg16"] == pytest.approx(14.726727)
    cards = {name: replace(card, multiply_adds=2_000_000_000) for name, card in small.cards.items()}
    title, costs = cost_of(replace(small, cards=cards), record, None)
    assert title == "Multiply-adds (billions)" and costs[ENSEMBLE] == 4
    three = {**record.models, "resnet50": record.models["vgg16"]}  # no member of the ensemble
    title, costs = cost_of(replace(small, cards=cards), changed(record, models=three), None)
    assert len(costs) == 4 and costs[ENSEMBLE] == 4
    assert cost_of(replace(small, cards={}), record, None) == ("", {})


def test_charts_mark_what_is_quoted(small: Board) -> None:
    quoted = quoted_for("fer2013")
    figure = figures.accuracy_figure(small, chosen(small), quoted)
    measured, others = figure.data[:3], figure.data[3:]
    assert [trace.x[0] for trace in measured] == pytest.approx([82.2, 81.2, 74.8])
    assert measured[0].error_x.array[0] == pytest.approx(3) and measured[0].error_x.arrayminus[0] == pytest.approx(2)
    assert all(trace.marker.symbol == "diamond-open" and QUOTED in trace.hovertemplate for trace in others)
    assert [trace.x[0] for trace in others] == [76.82, 75.42, 74.42, 74.14, 73.28, 68.63, 65.94, 65.0]
    people = others[-1]
    assert people.y[0] == "Human annotators (2013)" and people.error_x.array[0] == pytest.approx(5)
    styles = model_styles(chosen(small).models)
    assert [trace.marker.color for trace in measured] == [
        styles[name].colour for name in sentences.ranks(chosen(small))
    ]


def test_long_titles_wrap_in_charts(small: Board) -> None:
    record = chosen(small)
    baseline = Baseline(title="MobileNetV2 on FER+, without EAC")
    models = {**record.models, "plain": changed(record.models["vgg16"], baseline=baseline)}
    with_baseline = changed(record, models=models)
    board = replace(small, sets={**small.sets, "fer2013_test": Loaded(with_baseline)})
    names = [trace.name for trace in figures.recall_figure(board, with_baseline).data]
    assert names[-1] == "MobileNetV2 on FER+,<br>without EAC (baseline)" and "EAC (ResNet-50)" in names


def test_published_figures_are_the_papers() -> None:
    by_labels = {
        labels: [each.accuracy for each in FIGURES if each.labels == labels] for labels in ("ferplus", "rafdb")
    }
    assert by_labels == {"ferplus": [89.64, 84.99], "rafdb": [90.35, 86.47]}
    assert [*NOISE[0].accuracy.values()] == [88.75, 83.44, 79.11, 71.67]
    assert [*NOISE[3].accuracy.values()] == [86.47, 82.63, 81.65, 79.82]
    assert all(each.source for each in FIGURES)


def test_flip_averaged_accuracies_are_a_column_of_their_own(small: Board) -> None:
    record = chosen(small)

    def table(faces: FaceSetComparison) -> str:
        return part("leaderboard/accuracy.html", "tables", view.accuracy_rows(small, faces), [])

    assert "Flip-averaged" not in table(record)
    assert "accuracy_flip_averaged" not in csv_tables.accuracy_rows(small, record, [])[0]
    vgg16 = changed(record.models["vgg16"], accuracy_flip_averaged=Interval(0.761, 0.743, 0.778))
    measured = changed(record, models={**record.models, "vgg16": vgg16})
    assert_states(table(measured), "Flip-averaged", f"76.1{NBSP}%", f"74.3 to 77.8{NBSP}%")
    rows = csv_tables.accuracy_rows(small, measured, quoted_for("fer2013"))
    assert {len(row) for row in rows} == {10}
    values = dict(zip(rows[0], rows[1], strict=True))
    assert (values["accuracy"], values["accuracy_flip_averaged"], values["flip_averaged_low"]) == (0.748, 0.761, 0.743)
    assert rows[2][6:9] == ("", "", "") and rows[-1][6:9] == ("", "", "")


def tools(download: view.Download) -> str:
    return part("leaderboard/_macros.html", "tools", download)


def test_csv_buttons_hold_the_numbers(small: Board) -> None:
    rows = csv_tables.accuracy_rows(small, chosen(small), quoted_for("fer2013"))
    button = tools(view.Download("accuracy", rows, "accuracy"))
    code = re.search(r"base64,([^\"]+)", button)
    assert code is not None
    content = base64.b64decode(code[1])
    assert content.startswith(b"\xef\xbb\xbf")  # or Excel takes it for another code page
    read = list(csv.DictReader(content.decode("utf-8-sig").splitlines()))
    assert read[0]["model"] == "VGG16" and float(read[0]["accuracy"]) == 0.748 and read[0]["source"] == "measured here"
    assert all(each["source"].startswith(QUOTED) for each in read[3:]) and len(read) == 11
    assert 'data-save="png"' in button and 'data-save="svg"' in button
    assert "data-save" not in tools(view.Download("accuracy", rows))


# Files


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
