"""What the Leaderboard says of the records: sentences, tables, ranks, downloads."""

import base64
import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.components.templates import part
from dashboard.leaderboard import csv_tables, figures, pairs_view, ranking_view, sentences, view
from dashboard.leaderboard.board import Board, read_board
from dashboard.leaderboard.published import QUOTED, quoted_for
from dashboard.leaderboard.sections import GROUPS
from fer_models.evaluation.records import FaceSetComparison
from fer_models.evaluation.statistics import Interval, PairedTest
from fer_models.evaluation.store import Loaded
from fer_models.registry import MODELS
from tests.helpers.boards import NBSP, SECTION, changed, chosen, everything, row
from tests.helpers.texts import assert_states


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
