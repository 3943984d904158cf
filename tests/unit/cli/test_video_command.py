"""python -m fer_models video: the files it writes, its limits and errors, and Ctrl-C."""

import json
import signal
from pathlib import Path
from typing import Any

import av
import pytest
import tqdm

import fer_models.analyzer
from fer_models.cli.main import main
from fer_models.video.analysis import analyze_video
from tests.conftest import FakeDetector
from tests.helpers.clips import ramp, write_clip


@pytest.fixture(autouse=True)
def _fake_centerface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fer_models.analyzer, "CenterFace", FakeDetector)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", [ramp(index) for index in range(20)])


@pytest.fixture
def flags(weights_dir: Path, tmp_path: Path) -> list[str]:
    return ["--weights", str(weights_dir), "--device", "cpu", "--out", str(tmp_path / "out")]


def test_writes_everything_and_reports(
    clip: Path, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["video", str(clip), "--rate", "2", *flags]) == 0
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "annotated.mp4",
        "frames.csv",
        "frames.jsonl",
        "summary.json",
    ]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["analysis"]["frames"] == 4 and summary["analysis"]["complete"]
    assert len(summary["faces"]) == 1 and len(summary["faces"][0]["models"]) == 4
    printed, err = capsys.readouterr()
    assert "2.0 seconds, 4 frames analysed" in printed and "track 1: 2.0 s" in printed and "Traceback" not in err


def test_the_progress_bar_stands_a_video_of_unknown_length(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a terminal; a GIF, like what browsers record, does not say how long it is."""
    shown: Any = tqdm.tqdm
    monkeypatch.setattr(tqdm, "tqdm", lambda **options: shown(**options | {"disable": False, "mininterval": 0}))
    clip = write_clip(tmp_path / "a.gif", [ramp(index) for index in range(20)], codec="gif", pix_fmt="gray")
    assert main(["video", str(clip), "--rate", "2", "--no-video", *flags]) == 0
    printed, err = capsys.readouterr()
    assert "2.0 seconds, 4 frames analysed" in printed
    assert "1.5/" in err and "s of video" in err


def test_notes_about_the_file_reach_the_terminal_and_the_summary(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interlace(stream: Any) -> None:
        stream.options = {"flags": "+ildct+ilme"}

    clip = write_clip(tmp_path / "a.mts", [ramp(index) for index in range(20)], fps=25, change=interlace)
    assert main(["video", str(clip), "--rate", "2", "--no-video", *flags]) == 0
    (note,) = json.loads((tmp_path / "out" / "summary.json").read_text())["notes"]
    assert "interlaced" in note and note in capsys.readouterr().out


def test_fewer_models_and_no_video(clip: Path, flags: list[str], tmp_path: Path) -> None:
    assert main(["video", str(clip), "--rate", "1", "--models", "vgg16", "--no-video", *flags]) == 0
    assert not (tmp_path / "out" / "annotated.mp4").exists()
    assert "resnet50" not in (tmp_path / "out" / "frames.csv").read_text()


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["--max-minutes", "0.01"], "too long"),
        (["--max-mb", "0.0001"], "too large"),
        (["--models", "none"], "Unknown model 'none'"),
    ],
)
def test_what_cannot_be_done_exits_with_2(
    clip: Path, flags: list[str], extra: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["video", str(clip), *flags, *extra]) == 2
    assert words in capsys.readouterr().err


def test_the_source_is_not_overwritten(
    clip: Path, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    source = clip.rename(folder / "annotated.mp4")
    before = source.read_bytes()
    assert main(["video", str(source), *flags]) == 2
    assert "would be overwritten" in capsys.readouterr().err and source.read_bytes() == before


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf", "x"])
def test_a_rate_must_be_above_0(clip: Path, flags: list[str], rate: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["video", str(clip), f"--rate={rate}", *flags])
    assert caught.value.code == 2


def test_ctrl_c_keeps_what_is_done(
    clip: Path, flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: Any, **options: Any) -> Any:
        for number, frame in enumerate(analyze_video(*args, **options)):
            if number == 3:
                signal.raise_signal(signal.SIGINT)
            yield frame

    monkeypatch.setattr("fer_models.video.run.analyze_video", interrupted)
    before = signal.getsignal(signal.SIGINT)  # ignored where the tests run in the background
    assert main(["video", str(clip), "--rate", "5", *flags]) == 130
    out, err = capsys.readouterr()
    assert "Stopped after 0.8 seconds" in out and "Finishing the files" in err
    assert signal.getsignal(signal.SIGINT) is before
    with av.open(str(tmp_path / "out" / "annotated.mp4")) as container:
        assert len(list(container.decode(video=0))) == 8
    assert len((tmp_path / "out" / "frames.jsonl").read_text().splitlines()) == 4
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["analysis"]["complete"] is False
