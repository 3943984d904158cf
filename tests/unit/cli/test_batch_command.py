"""python -m fer_models batch: the table, its exit codes and errors, and going on after any kind of stop."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from numpy.typing import NDArray
from PIL import Image

from fer_models.batch.checkpoint import Checkpoint, checkpoint_path
from fer_models.cli.main import main
from fer_models.errors import BatchError
from fer_models.media.images import Picture
from fer_models.media.sources import PictureFile
from fer_models.registry import MODELS
from tests.helpers.clips import write_clip
from tests.helpers.texts import assert_states

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def fake_detection(monkeypatch: pytest.MonkeyPatch, fake_detector: Any) -> None:
    monkeypatch.setattr("fer_models.analyzer.CenterFace", lambda: fake_detector)


@pytest.fixture
def flags(weights_dir: Path) -> list[str]:
    return ["--weights", str(weights_dir), "--device", "cpu"]


#: By how many of four are right: Wilson's 95 % interval, worked out by hand with z = 1.96.
WILSON_OF_4 = ((0, 0.4899), (0.0456, 0.6994), (0.15, 0.85), (0.3006, 0.9544), (0.5101, 1))


@pytest.fixture
def folder(tmp_path: Path, picture: NDArray[np.uint8]) -> Path:
    root = tmp_path / "pictures"
    for index, name in enumerate(("happy/1.png", "happy/2.png", "sad/3.png", "sad/4.png")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(picture[:, :100], 13 * index, 1)).save(root / name)
    return root


def test_a_table_with_labels_of_class_folders(
    folder: Path, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, report = tmp_path / "t.parquet", tmp_path / "report.json"
    assert main(["batch", str(folder), "--out", str(out), "--report", str(report), *flags]) == 0
    table = pandas.read_parquet(out)
    assert list(table["file"]) == ["happy/1.png", "happy/2.png", "sad/3.png", "sad/4.png"]
    assert list(table["label"]) == ["happiness"] * 2 + ["sadness"] * 2
    text = capsys.readouterr().out
    assert_states(text, "4 files", "4 faces", "0 without a face", "0 not readable", str(out))
    assert all(f"{name} " in text for name in MODELS) and "macro-F1" in text
    figures = json.loads(report.read_text())
    for name in MODELS:
        share = float((table[f"{name}_label"] == table["label"]).mean())
        assert figures["models"][name]["accuracy"] == share
        interval = figures["models"][name]["accuracy_interval"]
        assert interval["value"] == share
        assert (interval["low"], interval["high"]) == pytest.approx(WILSON_OF_4[round(4 * share)], abs=5e-5)
    assert not checkpoint_path(out).exists()


def test_a_csv_with_labels_of_a_csv_and_a_bad_file(
    folder: Path, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "=cmd().png").write_bytes(b"no picture")
    labels = tmp_path / "labels.csv"
    labels.write_text("file,label\nhappy/2.png,fear\n")
    out = tmp_path / "t.csv"
    arguments = ["--out", str(out), "--labels", str(labels), "--models", "vgg16"]
    assert main(["batch", str(folder), *arguments, *flags]) == 1
    table = pandas.read_csv(out)
    assert list(table["file"])[0] == "'=cmd().png"
    assert [value for value in table["label"] if isinstance(value, str)] == ["fear"]
    assert [name for name in table if name.endswith("_confidence")] == ["vgg16_confidence"]
    assert "1 not readable" in capsys.readouterr().out


def test_the_summary_names_what_was_left_out_and_on_how_many_faces_the_figures_stand(
    folder: Path, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "abcde":
        (folder / f"{name}.txt").write_text("notes")
    labels, out, report = tmp_path / "labels.csv", tmp_path / "t.csv", tmp_path / "report.json"
    rows = "HAPPY/1.PNG;Hapy\r\nhappy/2.png;contempt\r\nM\u00fcller.png;sad\r\nsad/3.png;sad\r\n"
    labels.write_text(f"File;Label\r\n{rows}", encoding="utf-16", newline="")
    arguments = ["--out", str(out), "--labels", str(labels), "--report", str(report), "--models", "vgg16"]
    assert main(["batch", str(folder), *arguments, *flags]) == 0
    text = capsys.readouterr().out
    assert_states(text, "5 other files", "a.txt, b.txt, c.txt", "2 more")
    assert_states(text, "1 of 4 labels", "M\u00fcller.png")
    assert "'contempt' (1)" in text and "'Hapy' as happiness" in text and "measured on 2 faces" in text
    document = json.loads(report.read_text())
    assert document["labels"] == {
        "files": 2,
        "listed": 4,
        "unmatched": ["M\u00fcller.png"],
        "guessed": {"Hapy": "happiness"},
        "unknown": {"contempt": 1},
    }
    assert document["models"]["vgg16"]["count"] == 2


def test_numbers_as_labels_are_what_the_command_is_told(
    folder: Path, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate(("happy", "sad")):
        (folder / name).rename(folder / str(number))
    words = ["batch", str(folder), "--out", str(tmp_path / "t.csv"), "--report", str(tmp_path / "r.json"), *flags]
    assert main([*words, "--models", "vgg16"]) == 2 and "--class-names" in capsys.readouterr().err
    assert main([*words, "--models", "vgg16", "--class-names", "0=happiness,1=sad"]) == 0
    assert list(pandas.read_csv(tmp_path / "t.csv")["label"]) == ["happiness"] * 2 + ["sadness"] * 2


@pytest.mark.parametrize("source", ["CSV", "folders"])
def test_a_report_on_no_label_is_an_error(
    folder: Path, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    labels, out = tmp_path / "labels.csv", tmp_path / "t.csv"
    labels.write_text("file,label\nhappy/1.png,contempt\n")
    (folder / "happy").rename(folder / "contempt")
    words = ["--labels", str(labels)] if source == "CSV" else []
    assert main(["batch", str(folder), "--out", str(out), "--report", str(tmp_path / "r.json"), *words, *flags]) == 2
    assert not out.exists() and not checkpoint_path(out).exists()
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["SOURCE", "--out", "t.xlsx"], "must end in .csv or .parquet"),
        (["SOURCE", "--out", "nowhere/t.csv"], "Cannot write nowhere/t.csv: No such file"),
        (["EMPTY", "--out", "t.csv"], "There is no picture in the folder empty"),
        (["missing", "--out", "t.csv"], "There is no folder or zip missing"),
        (["SOURCE", "--out", "t.csv", "--models", "alexnet"], "Unknown model 'alexnet'"),
        (["SOURCE", "--out", "t.csv", "--batch", "0"], "--batch 0 holds nothing"),
        (["SOURCE", "--out", "t.csv", "--labels", "missing.csv"], "The labels cannot be read"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(
    folder: Path,
    flags: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    words = [{"SOURCE": str(folder), "EMPTY": str(tmp_path / "empty")}.get(word, word) for word in arguments]
    assert main(["batch", *words, *flags]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1
    assert message in err
    assert sorted(tmp_path.iterdir()) == before


def test_a_finished_output_is_not_overwritten_unless_asked(
    folder: Path, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.csv"
    out.write_text("mine")
    command = ["batch", str(folder), "--out", str(out), "--models", "vgg16", *flags]
    assert main(command) == 2
    assert "--restart" in capsys.readouterr().err and out.read_text() == "mine"
    assert main([*command, "--restart"]) == 0
    assert len(pandas.read_csv(out)) == 4


def stopped_after(count: int, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the command until so many files are in the checkpoint, as Ctrl-C would end it."""
    add = Checkpoint.add
    done: list[str] = []

    def counted(self: Checkpoint, file: PictureFile, rows: Any) -> None:
        if len(done) == count:
            raise KeyboardInterrupt
        add(self, file, rows)
        done.append(file.name)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "add", counted)
        assert main(command) == 130


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(
    folder: Path, flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.csv"
    command = ["batch", str(folder), "--out", str(out), "--models", "vgg16", *flags]
    stopped_after(2, command, monkeypatch)
    assert "continues from here" in capsys.readouterr().err
    assert not out.exists()
    # Meanwhile one file is changed, one goes and one comes.
    (folder / "happy" / "1.png").write_bytes(b"changed")
    (folder / "sad" / "4.png").unlink()
    Image.new("RGB", (100, 100)).save(folder / "happy" / "0.png")
    assert main(command) == 1
    assert "1 of 4 files are done already" in capsys.readouterr().err
    table = pandas.read_csv(out)
    assert list(table["file"]) == ["happy/0.png", "happy/1.png", "happy/2.png", "sad/3.png"]
    assert table["face"].isna().tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("changes", "word"),
    [(["--models", "resnet50"], "models"), (["--whole-if-none"], "options"), (["SOURCE"], "source")],
)
def test_going_on_with_other_settings_is_refused(
    folder: Path,
    flags: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: list[str],
    word: str,
) -> None:
    out = tmp_path / "t.csv"
    command = ["batch", str(folder), "--out", str(out), "--models", "vgg16", *flags]
    stopped_after(1, command, monkeypatch)
    before = checkpoint_path(out).read_bytes()
    if changes == ["SOURCE"]:
        folder.rename(tmp_path / "moved")
        changed = ["batch", str(tmp_path / "moved"), *command[2:]]
    else:
        changed = [*command, *changes]
    capsys.readouterr()
    assert main(changed) == 2
    err = capsys.readouterr().err
    assert f"was begun with other {word}. " in err and "--restart" in err
    assert checkpoint_path(out).read_bytes() == before
    assert main([*changed, "--restart"]) == 0
    assert len(pandas.read_csv(out)) == 4


def test_videos_have_a_row_for_each_frame_and_are_gone_on_with(
    folder: Path,
    flags: list[str],
    tmp_path: Path,
    picture: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("fer_models.media.video_segments.SEGMENT_S", 2.0)
    write_clip(folder / "sad" / "talk.mp4", [picture[:, :130]] * 90, encoder={"g": "10"})
    (folder / "broken.mov").write_bytes(b"broken")
    (folder / "code.ts").write_text("let a = 1\n")
    command = ["batch", str(folder), "--models", "vgg16", "--rate", "2", *flags, "--out"]
    whole, out = tmp_path / "whole.parquet", tmp_path / "t.parquet"
    assert main([*command, str(whole)]) == 1
    text = capsys.readouterr().out
    assert_states(text, "6 files: 22 faces", "1 not readable (broken.mov)", "2 videos: 18 frames", "code.ts")
    assert "measured on 4 faces" in text  # labels are those of pictures
    table = pandas.read_parquet(whole)
    assert table["file"].tolist()[:5] == ["happy/1.png", "happy/2.png", "sad/3.png", "sad/4.png", "broken.mov"]
    assert list(table)[:5] == ["file", "label", "time_s", "track", "face"]
    video = table[table["file"] == "sad/talk.mp4"]
    assert video["time_s"].tolist() == [index / 2 for index in range(18)]
    assert set(video["track"]) == {1} and set(video["face"]) == {1} and video["label"].isna().all()

    stopped_after(7, [*command, str(out)], monkeypatch)
    assert main([*command, str(out)]) == 1
    assert re.search(r"7 of \d+ parts are done already", capsys.readouterr().err)
    pandas.testing.assert_frame_equal(pandas.read_parquet(out), table)
    stopped_after(7, [*command, str(out), "--restart"], monkeypatch)
    assert main([*command, str(out), "--rate", "3"]) == 2
    assert "begun with other options" in capsys.readouterr().err


def checkpoint(path: Path, **options: Any) -> Checkpoint:
    return Checkpoint(path, {"models": {"a": 1}}, **options)


def crashed(path: Path, folder: Path, files: list[PictureFile]) -> tuple[Path, bytes]:
    """A checkpoint as a crash leaves it, with all that was added since in its write-ahead log; that log's content."""
    folder.mkdir()
    with checkpoint(path) as begun:
        for file in files:
            begun.add(file, [{"file": file.name, "face": 1}])
        (folder / "c").write_bytes(path.read_bytes())
        log = path.with_name(path.name + "-wal").read_bytes()
    return folder / "c", log


def test_whatever_a_crash_cuts_off_what_was_added_before_stays(tmp_path: Path) -> None:
    files = [PictureFile(name, "1", lambda: Picture(np.zeros((1, 1, 3), np.uint8))) for name in "abc"]
    copy, log = crashed(tmp_path / "t.csv.journal", tmp_path / "copy", files)
    database, kept = copy.read_bytes(), []
    for length in range(0, len(log) + 1, 97):
        for file in copy.parent.iterdir():
            file.unlink()
        copy.write_bytes(database)
        copy.with_name("c-wal").write_bytes(log[:length])
        with checkpoint(copy) as again:
            done = [again.has(file) for file in files]
            assert done == sorted(done, reverse=True)  # the first ones
            assert again.rows([file for file in files if again.has(file)]) == [
                {"file": name, "face": 1} for name in "abc"[: sum(done)]
            ]
            again.add(files[2], [{"file": "c", "face": 2}])
        with checkpoint(copy) as once_more:
            assert once_more.rows(files[2:]) == [{"file": "c", "face": 2}]
        kept.append(sum(done))
    assert kept == sorted(kept) and kept[0] == 0 and max(kept) >= 2


def test_what_the_disk_lost_is_dropped_with_all_after_it(tmp_path: Path) -> None:
    files = [PictureFile(name, "1", lambda: Picture(np.zeros((1, 1, 3), np.uint8))) for name in "abc"]
    copy, log = crashed(tmp_path / "t.csv.journal", tmp_path / "copy", files)
    copy.with_name("c-wal").write_bytes(log[: len(log) // 2] + bytes(len(log) - len(log) // 2))
    with checkpoint(copy) as again:
        done = [again.has(file) for file in files]
        assert done == sorted(done, reverse=True) and not all(done)


@pytest.mark.parametrize(
    "content", [b"my notes", b"my notes\nmore\n" * 99, b"\xff\xfe\n", b'{"journal": 1, "version": "0.1.0"}\n']
)
def test_another_file_is_not_taken_for_a_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "j").write_bytes(content)
    with pytest.raises(BatchError, match="no checkpoint"):
        checkpoint(tmp_path / "j")
    assert (tmp_path / "j").read_bytes() == content
    with checkpoint(tmp_path / "j", restart=True) as begun:
        assert not begun.has(PictureFile("a", "1", lambda: Picture(np.zeros((1, 1, 3), np.uint8))))


def test_another_programs_database_is_not_taken_for_a_checkpoint(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "j")) as database:
        database.execute("CREATE TABLE settings (colour TEXT)")
    with pytest.raises(BatchError, match="no checkpoint"):
        checkpoint(tmp_path / "j")


def done_in(path: Path) -> int:
    """How many files a checkpoint has, read while it is written."""
    if not path.exists():
        return 0
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        try:
            return int(database.execute("SELECT count(*) FROM files").fetchone()[0])
        except sqlite3.OperationalError:  # its tables are not made yet
            return 0


def test_kill_9_in_the_middle_loses_and_repeats_no_row(
    flags: list[str], tmp_path: Path, picture: NDArray[np.uint8]
) -> None:
    root, out = tmp_path / "pictures", tmp_path / "t.csv"
    root.mkdir()
    for index in range(300):
        Image.fromarray(np.roll(picture[:, :100], index, 1)).save(root / f"{index:03}.png")
    (root / "150.png").write_bytes(b"broken")
    program = (
        "import sys; sys.path.insert(0, 'tests'); import fer_models.analyzer as a; from conftest import FakeDetector\n"
        "from fer_models.cli.main import main; a.CenterFace = FakeDetector; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["batch", str(root), "--out", str(out), "--models", "vgg16", "--batch", "8", *flags]
    command = [sys.executable, "-c", program, *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as run:
        deadline = time.monotonic() + 120
        while done_in(checkpoint_path(out)) < 39:
            assert run.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
    done = done_in(checkpoint_path(out))
    assert run.returncode == -signal.SIGKILL and not out.exists()
    assert 39 <= done < 300
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, env=environment)
    assert again.returncode == 1, again.stderr
    assert f"{done} of 300 files are done already" in again.stderr
    assert_states(again.stdout, "300 files", "299 faces", "0 without a face", "1 not readable")
    table = pandas.read_csv(out)
    assert list(table["file"]) == [f"{index:03}.png" for index in range(300)]
    assert table["face"].isna().sum() == 1
