"""The report: one file with everything, drawn without asking any server."""

import re
import shutil
from pathlib import Path

import pytest

from dashboard.leaderboard.board import read_board
from dashboard.leaderboard.report.page import report
from fer_models.cli.main import main


def test_the_command_writes_every_section(complete: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "report.html"
    assert main(["report", "--out", str(file), "--weights", str(complete)]) == 0
    assert "wrote" in capsys.readouterr().out
    text = file.read_text(encoding="utf-8")
    for words in ("Accuracy, FER2013</h2>", "Accuracy, FER+</h2>", "Label noise</h2>", "EAC</h2>", "Model cards</h2>"):
        assert text.count(words) == 1
    assert text.count("plotly.js v") == 1  # the library stands in it once
    assert text.count("data-figure>") == 14
    markup = re.sub(r"<script\b.*?</script>", "", text, flags=re.DOTALL)
    outside = re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', markup)
    assert outside == []


def test_what_is_missing_and_what_cannot_be_written_is_reported(
    complete: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "--out", str(tmp_path / "a.html"), "--weights", str(tmp_path)]) == 2
    assert "no model cards" in capsys.readouterr().err
    assert main(["report", "--out", str(tmp_path / "no" / "a.html"), "--weights", str(complete)]) == 2
    assert "Cannot write" in capsys.readouterr().err
    shutil.copy(complete / "vgg16.json", tmp_path)
    assert "Not measured yet" in report(read_board(tmp_path))


def test_no_text_can_leave_its_place(complete: Path, tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>"
    shutil.copytree(complete, tmp_path / "weights")
    card = tmp_path / "weights" / "vgg16.json"
    card.write_text(card.read_text().replace('"VGG16"', f'"{evil}"'))
    text = report(read_board(tmp_path / "weights"))
    assert evil not in text and "\\u003c\\u002fscript" in text and "&lt;/script&gt;" in text
