"""Whole videos through a fake analyzer that reads what is in a frame from its grey: exact times, shares and files."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from fer_models.analyzer import Analyzer
from fer_models.errors import FerError, VideoError
from fer_models.expressions import EXPRESSIONS
from fer_models.media.video_files import Limits
from fer_models.media.video_reader import VideoReader
from fer_models.media.video_segments import frame_at
from fer_models.media.video_writer import VideoWriter
from fer_models.results import Face, FaceAnalysis, Prediction
from fer_models.video.analysis import FrameAnalysis, Summary, analyze_video, total_disagreement
from fer_models.video.run import LINES, SUMMARY, TABLE, VIDEO, VideoRun, run_video
from tests.helpers.browsing import CHROMIUM, WAIT, chromium
from tests.helpers.clips import flat, index_of, ramp, write_clip, write_turning_clip
from tests.helpers.texts import assert_states

NAMES = ("one", "two")
CROP = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8).repeat(6, 0).repeat(6, 1)


class ByGrey:
    """Sees one face in every frame but those of index 4 and 5; both models say neutral, "two" from index 6 on anger."""

    def __init__(self) -> None:
        card = SimpleNamespace(labels=EXPRESSIONS)
        self.classifiers = {
            name: SimpleNamespace(card=SimpleNamespace(**vars(card), title=name.upper())) for name in NAMES
        }
        self.seen: list[int] = []
        self.batches: list[int] = []

    def analyze(self, images: Sequence[NDArray[np.uint8]], *, models: Any = None, **_: Any) -> list[FaceAnalysis]:
        self.batches.append(len(images))
        faces = []
        for position, image in enumerate(images):
            index = index_of(image)
            self.seen.append(index)
            if index in (4, 5):
                continue
            said = {
                name: self.says(name, "anger" if name == "two" and index >= 6 else "neutral")
                for name in NAMES
                if models is None or name in models
            }
            box = np.array([10, 20, 60, 80], np.float32)
            faces.append(FaceAnalysis(position, Face(box, None, 0.9), CROP, MappingProxyType(said)))
        return faces

    @staticmethod
    def says(name: str, label: str) -> Prediction:
        probabilities = np.full(len(EXPRESSIONS), 0.05, np.float32)
        probabilities[EXPRESSIONS.index(label)] = 0.7
        return Prediction(name, EXPRESSIONS, np.log(probabilities), probabilities, 1.0, 1.0)


@pytest.fixture
def fake() -> ByGrey:
    return ByGrey()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two seconds at 10 frames a second, with sound."""
    return write_clip(tmp_path / "clip.mp4", [ramp(index) for index in range(20)], sound="aac")


def run(fake: ByGrey, clip: Path, folder: Path, **options: Any) -> VideoRun:
    *_, last = run_video(cast(Analyzer, fake), clip, folder, **options)
    return last


def probe(path: Path) -> tuple[list[float], float | None, str | None, Any]:
    """Times of all frames, seconds of sound, its codec, the video stream's facts."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        facts = (video.codec_context.name, video.codec_context.pix_fmt, video.width, video.height)
        times = [float(frame.time) for frame in container.decode(video)]
    with av.open(str(path)) as container:
        audio = next(iter(container.streams.audio), None)
        if audio is None:
            return times, None, None, facts
        samples = sum(frame.samples for frame in container.decode(audio))
        return times, samples / audio.codec_context.sample_rate, audio.codec_context.name, facts


def test_frames_are_analysed_at_the_rate_in_batches_with_their_times(fake: ByGrey, clip: Path) -> None:
    with VideoReader(clip) as reader:
        found = list(analyze_video(cast(Analyzer, fake), reader, rate=5, batch=4))
    assert fake.seen == list(range(0, 20, 2)) and fake.batches == [4, 4, 2]
    assert [frame.time_s for frame in found] == pytest.approx([0.2 * step for step in range(10)])
    assert [frame.numbers for frame in found] == [(1,), (1,), ()] + [(1,)] * 7
    with VideoReader(clip) as reader:
        assert len(list(analyze_video(cast(Analyzer, fake), reader, rate=None))) == 20
    with VideoReader(clip) as reader, pytest.raises(ValueError, match="positive rate"):
        next(analyze_video(cast(Analyzer, fake), reader, rate=0))


def test_shares_of_time_by_hand(fake: ByGrey, clip: Path, tmp_path: Path) -> None:
    done = run(fake, clip, tmp_path / "out", rate=10)
    # Frames 0 to 3 and 6 to 19 have the face: 0.4 and 1.4 s. "two" says anger in the latter.
    assert done.complete and done.summary is not None
    assert done.summary["faces"] == [
        {
            "face": 1,
            "first_s": 0.0,
            "last_s": 2.0,
            "seconds": 1.8,
            "disagreement": 0.7778,
            "models": {"one": {"neutral": 1.0}, "two": {"anger": 0.7778, "neutral": 0.2222}},
        }
    ]
    assert done.summary["disagreement"] == 0.7778 and done.summary["notes"] == []
    assert done.summary["analysis"] == {
        "rate": 10,
        "models": ["one", "two"],
        "frames": 20,
        "seconds": 2.0,
        "complete": True,
    }
    assert done.summary["video"] == {
        "width": 130,
        "height": 100,
        "duration_s": 2.0,
        "frame_rate": 10.0,
        "sound": True,
    }
    assert json.loads((tmp_path / "out" / SUMMARY).read_text()) == done.summary


def test_a_frame_stands_until_the_next_one_at_a_variable_rate(fake: ByGrey, tmp_path: Path) -> None:
    images = [ramp(index) for index in (0, 6, 0, 6)]
    clip = write_clip(tmp_path / "a.mp4", images, times_ms=[0, 100, 1000, 1500])
    summary = Summary()
    with VideoReader(clip) as reader:
        for frame in analyze_video(cast(Analyzer, fake), reader, rate=20):
            summary.add(frame)
        summary.finish(2.0)
    (face,) = summary.faces()
    assert face["models"]["two"] == {"anger": pytest.approx(1.4 / 2), "neutral": pytest.approx(0.6 / 2)}
    assert total_disagreement([face]) == pytest.approx(0.7)
    assert total_disagreement([]) is None


def test_time_with_a_tie_is_not_time_of_disagreement() -> None:
    def frame(time_s: float, fear: float) -> FrameAnalysis:
        """The model one gives anger 40 %, the model two is sure of fear."""
        values = {"one": {"anger": 0.4, "fear": fear}, "two": {"fear": 0.9}}
        predictions = {}
        for name, stated in values.items():
            array = np.array([stated.get(label, 0.02) for label in EXPRESSIONS], np.float32)
            predictions[name] = Prediction(name, EXPRESSIONS, np.log(array), array, 1.0, 1.0)
        face = FaceAnalysis(0, Face(np.zeros(4, np.float32), None, 1.0), np.zeros((8, 8, 3), np.uint8), predictions)
        return FrameAnalysis(time_s, (1,), (face,))

    summary = Summary()
    summary.add(frame(0, 0.395))
    summary.add(frame(3, 0.3))
    summary.finish(4)
    (found,) = summary.faces()
    assert found["disagreement"] == 0.25 and found["models"]["one"] == {"anger": 1.0}


def test_table_and_lines_hold_what_was_said(fake: ByGrey, clip: Path, tmp_path: Path) -> None:
    run(fake, clip, tmp_path, rate=10, annotate=False)
    with (tmp_path / TABLE).open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["time_s"]) for row in rows] == pytest.approx([i / 10 for i in range(20) if i not in (4, 5)])
    assert {row["face"] for row in rows} == {"1"}
    assert list(rows[0])[:9] == ["time_s", "face", "x1", "y1", "x2", "y2", "score", "one.label", "one.confidence"]
    assert (rows[0]["two.label"], rows[-1]["two.label"]) == ("neutral", "anger")
    assert float(rows[-1]["two.anger"]) == pytest.approx(0.7) == float(rows[-1]["two.confidence"])
    assert [float(rows[0][side]) for side in ("x1", "y1", "x2", "y2")] == [10, 20, 60, 80]
    lines = [json.loads(line) for line in (tmp_path / LINES).read_text().splitlines()]
    assert len(lines) == 20 and lines[4] == {"time_s": 0.4, "faces": []}
    face = lines[6]["faces"][0]
    assert (face["face"], face["box"], face["models"]["two"]["label"]) == (1, [10, 20, 60, 80], "anger")
    assert list(face["models"]["one"]["probabilities"]) == list(EXPRESSIONS)
    assert not (tmp_path / VIDEO).exists()


def test_the_annotated_video_has_every_frame_and_the_sound(fake: ByGrey, clip: Path, tmp_path: Path) -> None:
    run(fake, clip, tmp_path, rate=5)
    times, sound_s, codec, facts = probe(tmp_path / VIDEO)
    assert times == pytest.approx([index / 10 for index in range(20)], abs=1e-3)
    assert facts == ("h264", "yuv420p", 640, 492)
    assert codec == "aac" and sound_s == pytest.approx(2, abs=0.1)
    data = (tmp_path / VIDEO).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_boxes_are_on_the_frames_they_belong_to_and_held_in_between(fake: ByGrey, clip: Path, tmp_path: Path) -> None:
    run(fake, clip, tmp_path, rate=5)
    scale = 640 / 130
    drawn = []
    for index in range(20):
        image = frame_at(tmp_path / VIDEO, index / 10 + 0.01).image
        edge = image[round(50 * scale), round(10 * scale) - 1 : round(10 * scale) + 2]
        drawn.append(bool(edge.min(-1).max() > 215))  # white; the clip's greys end at 134
    # Frame 4 is analysed and has no face, which holds for 5; frame 6 has one again.
    assert drawn == [index not in (4, 5) for index in range(20)]


def test_a_video_that_changes_shape_is_letterboxed_with_boxes_in_their_own_pixels(fake: ByGrey, tmp_path: Path) -> None:
    parts = [[ramp(index, (640, 360)) for index in range(4)], [ramp(index, (360, 640)) for index in range(6, 10)]]
    done = run(fake, write_turning_clip(tmp_path / "a.webm", parts), tmp_path, rate=10)
    assert done.summary is not None and "360 x 640 to 640 x 360 px" in done.summary["notes"][0]
    lines = [json.loads(line) for line in (tmp_path / LINES).read_text().splitlines()]
    assert [(line.get("width"), line.get("height")) for line in lines] == [(None, None)] * 4 + [(640, 360)] * 4
    assert [line["faces"][0]["box"] for line in lines] == [[10, 20, 60, 80]] * 8
    _, _, _, facts = probe(tmp_path / VIDEO)
    assert facts[2:] == (360, 640)
    image = frame_at(tmp_path / VIDEO, 0.71).image
    grey = int(ramp(9)[0, 0, 0])
    # 640 x 360 is 360 x 202 there, 219 px from the top, and so is the left edge of the box at (10, 50).
    assert image[[100, 550], 300].max() < 12 and image[320, 300].tolist() == pytest.approx([grey] * 3, abs=6)
    edge = image[219 + round(50 * 360 / 640), round(10 * 360 / 640) - 1 : round(10 * 360 / 640) + 2]
    assert edge.min(-1).max() > 215


def test_odd_sides_variable_rate_and_no_sound(fake: ByGrey, tmp_path: Path) -> None:
    at = [0, 40, 1000, 1700]
    images = [ramp(index, (501, 701)) for index in range(4)]
    clip = write_clip(tmp_path / "a.mkv", images, times_ms=at, codec="libx264", pix_fmt="yuv444p")
    run(fake, clip, tmp_path, rate=30)
    times, sound_s, _, facts = probe(tmp_path / VIDEO)
    assert times == pytest.approx([ms / 1000 for ms in at], abs=2e-3)
    assert sound_s is None and facts == ("h264", "yuv420p", 702, 502)


def test_sound_that_mp4_does_not_know_is_encoded_again(fake: ByGrey, tmp_path: Path) -> None:
    images = [ramp(index) for index in range(20)]
    clip = write_clip(tmp_path / "a.webm", images, codec="libvpx", sound="libopus")
    run(fake, clip, tmp_path, rate=2)
    _, sound_s, codec, _ = probe(tmp_path / VIDEO)
    assert codec == "aac" and sound_s == pytest.approx(2, abs=0.1)


def test_stopping_keeps_what_is_done(fake: ByGrey, tmp_path: Path) -> None:
    images = [ramp(index % 4) for index in range(60)]
    clip = write_clip(tmp_path / "a.mp4", images, sound="aac")
    done = 0

    def enough() -> bool:
        return done >= 10

    for run in run_video(cast(Analyzer, fake), clip, tmp_path, rate=5, stopped=enough):
        done += 1
        last = run
    assert not last.complete and last.summary is not None
    # Frames at 0, 0.2 ... 1.8 s: the last one stands until 2 s.
    assert last.summary["analysis"]["frames"] == 10 and last.summary["analysis"]["seconds"] == pytest.approx(2)
    (note,) = last.summary["notes"]
    assert_states(note, "Stopped", "2.0 seconds")
    times, sound_s, _, _ = probe(tmp_path / VIDEO)
    assert times == pytest.approx([index / 10 for index in range(20)], abs=1e-3)
    assert sound_s == pytest.approx(2, abs=0.1)
    assert len((tmp_path / LINES).read_text().splitlines()) == 10


def test_closing_in_the_middle_leaves_playable_files(fake: ByGrey, clip: Path, tmp_path: Path) -> None:
    running = run_video(cast(Analyzer, fake), clip, tmp_path, rate=10)
    for _ in range(8):
        next(running)
    running.close()
    times, _, _, _ = probe(tmp_path / VIDEO)
    assert times == pytest.approx([index / 10 for index in range(7)], abs=1e-3)
    assert len((tmp_path / LINES).read_text().splitlines()) == 8


def test_an_analyzer_that_fails_leaves_finished_files(fake: ByGrey, clip: Path, tmp_path: Path) -> None:
    def fail(images: Sequence[NDArray[np.uint8]], **options: Any) -> list[FaceAnalysis]:
        if len(fake.batches) == 2:
            raise FerError("no more")
        return ByGrey.analyze(fake, images, **options)

    fake.analyze = fail  # type: ignore[method-assign]
    with pytest.raises(FerError, match="no more"):
        run(fake, clip, tmp_path, rate=10)
    assert len(probe(tmp_path / VIDEO)[0]) == 7


def test_notes_tell_of_a_truncated_file(fake: ByGrey, tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    images = [noise.integers(0, 60, (100, 130, 3), np.uint8) for _ in range(30)]
    clip = write_clip(tmp_path / "a.mp4", images, options={"movflags": "+faststart"})
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    done = run(fake, clip, tmp_path, rate=5)
    assert done.complete and done.summary is not None
    assert_states(done.summary["notes"][0], "incomplete", "3.0 seconds")
    assert len(probe(tmp_path / VIDEO)[0]) > 5


def test_results_that_cannot_be_written(fake: ByGrey, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VideoError, match="Cannot write"):
        run(fake, clip, tmp_path / "file" / "out")
    with pytest.raises(VideoError, match="too long"):
        run(fake, clip, tmp_path / "out", limits=Limits(minutes=0.01))
    assert not (tmp_path / "out").exists()


def test_a_disk_that_is_full_ends_the_analysis_soon_and_leaves_what_was_written(
    fake: ByGrey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The annotated video is written by a thread of its own, whose errors must not be lost."""
    clip = write_clip(tmp_path / "long.mp4", [ramp(index % 20) for index in range(60)])
    write = VideoWriter.write
    written: list[float] = []

    def fill_up(self: VideoWriter, image: NDArray[np.uint8], time_s: float) -> None:
        if len(written) == 5:
            raise VideoError("Cannot write 'annotated.mp4': No space left on device.")
        written.append(time_s)
        write(self, image, time_s)

    monkeypatch.setattr(VideoWriter, "write", fill_up)
    with pytest.raises(VideoError, match="No space left"):
        run(fake, clip, tmp_path / "out", rate=10)
    assert len(fake.seen) < 40
    with VideoReader(tmp_path / "out" / VIDEO) as reader:
        assert len(list(reader.frames())) == 5


def test_no_frame_outlives_its_batch(fake: ByGrey, tmp_path: Path) -> None:
    """Counted by references to the frames handed to the analyzer: at most one batch is alive."""
    import weakref

    clip = write_clip(tmp_path / "a.mp4", [ramp(index % 30) for index in range(60)])
    alive: list[weakref.ref[Any]] = []
    most = 0
    real = fake.analyze

    def watch(images: Sequence[NDArray[np.uint8]], **options: Any) -> list[FaceAnalysis]:
        nonlocal most
        alive.extend(weakref.ref(image) for image in images)
        most = max(most, sum(image() is not None for image in alive))
        return real(images, **options)

    fake.analyze = watch  # type: ignore[method-assign]
    for _ in run_video(cast(Analyzer, fake), clip, tmp_path, rate=10):
        pass
    assert len(alive) == 60 and most <= 4


def test_large_frames_are_read_one_at_a_time(fake: ByGrey, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.avi", [flat((20, 20, 20), (1620, 2880))] * 3, codec="mpeg4")
    with VideoReader(clip) as reader:
        list(analyze_video(cast(Analyzer, fake), reader, rate=10, batch=4))
    assert fake.batches == [1, 1, 1]


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")
def test_chromium_plays_the_annotated_video(fake: ByGrey, clip: Path, tmp_path: Path) -> None:
    run(fake, clip, tmp_path, rate=5)
    (tmp_path / "page.html").write_text(f"<video src={VIDEO} preload=auto></video>")
    with chromium() as browser:
        page = browser.new_page()
        page.goto((tmp_path / "page.html").as_uri())
        page.wait_for_function("document.querySelector('video').readyState >= 2", timeout=WAIT)
        facts = page.evaluate("(({duration, videoWidth}) => [duration, videoWidth])(document.querySelector('video'))")
    assert facts == [pytest.approx(2, abs=0.1), 640]
