"""A whole video into a folder: annotated.mp4, frames.csv, frames.jsonl and summary.json, written while it runs."""

import csv
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from fer_models.analyzer import Analyzer
from fer_models.errors import VideoError
from fer_models.expressions import in_display_order
from fer_models.media.files import CSV_ENCODING
from fer_models.media.video_files import Limits
from fer_models.media.video_reader import VideoInfo, VideoReader
from fer_models.models.classifier import Classifier
from fer_models.results import FaceAnalysis
from fer_models.schema import face_to_json
from fer_models.video.analysis import FrameAnalysis, Summary, analyze_video, total_disagreement
from fer_models.video.annotation import AnnotatedVideo

#: Names of the files, in the order they are offered.
VIDEO, TABLE, LINES, SUMMARY = "annotated.mp4", "frames.csv", "frames.jsonl", "summary.json"
_SOUND_LOST: Final = "The sound is in a format that is not read here; the annotated video has none or only a part."


@dataclass
class VideoRun:
    """What a run has done so far.

    Attributes:
        info: what the file is.
        frame: the last analysed frame.
        complete: whether the whole video was analysed; False while it runs and after it was stopped.
        summary: what summary.json holds; None until the end.
    """

    info: VideoInfo
    frame: FrameAnalysis | None = None
    complete: bool = False
    summary: dict[str, Any] | None = None

    @property
    def fraction(self) -> float | None:
        """Share of the video that is done, in [0, 1]; None if the file does not say how long it is."""
        if not self.info.duration_s or self.frame is None:
            return None
        return min(self.frame.time_s / self.info.duration_s, 1.0)


def run_video(
    analyzer: Analyzer,
    path: Path,
    folder: Path,
    *,
    rate: float = 5.0,
    models: Sequence[str] | None = None,
    limits: Limits | None = None,
    annotate: bool = True,
    colours: Mapping[str, str] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[VideoRun]:
    """Analyse a video and write everything about it; yields after each analysed frame and once at the end.

    Whatever ends it, be it an error, the files are finished and hold what was done until then. A summary is written at
    the end of the video and after `stopped`. Memory does not grow with the video's length.

    summary.json is
        {"video": {"width", "height", "duration_s", "frame_rate", "sound"},
         "analysis": {"rate", "models": [NAME], "frames", "seconds", "complete"},
         "notes": [SENTENCE], "disagreement", "faces": [see `Summary.faces`]}
    frames.jsonl has one line an analysed frame, with or without faces:
        {"time_s", "faces": [{"face": NUMBER, "box", "score", "models": see `fer_models.schema`}]}
    and "width" and "height" if the frame's are not the video's.
    frames.csv has one row a frame and face: time_s, face, x1, y1, x2, y2 (px), score, and for each model its label,
    confidence and the probability of every expression it knows.

    Args:
        analyzer: detects and classifies the faces.
        path: the video.
        folder: for the files; made if it is missing.
        rate: frames per second to analyse.
        models: only these; None means all that are loaded.
        limits: what is refused.
        annotate: also write annotated.mp4.
        colours: of the models in it, "#rrggbb" by name.
        stopped: asked after each frame; True ends the analysis.

    Raises:
        VideoError: the video cannot be read or a file not be written.
        UnknownNameError: a model that is not loaded.
    """
    names = [name for name in analyzer.classifiers if models is None or name in models]
    titles = {name: analyzer.classifiers[name].card.title for name in names}
    summary = Summary()
    try:
        with ExitStack() as stack:
            reader = stack.enter_context(VideoReader(path, limits))
            table, lines = _open_files(folder, stack)
            writer = csv.writer(table)
            writer.writerow(_header(analyzer.classifiers, names))
            video = None
            if annotate:
                video = AnnotatedVideo(path, folder / VIDEO, titles=titles, colours=colours, limits=limits)
                stack.enter_context(video)
            run = VideoRun(reader.info)
            for frame in analyze_video(analyzer, reader, rate=rate, models=models):
                run.frame = frame
                summary.add(frame)
                _write_rows(writer, lines, frame)
                if video:
                    video.add(frame)
                yield run
                if stopped():
                    break
            else:
                run.complete = True
            end_s = reader.end_s
            if run.frame and not run.complete:  # the reader may be a few frames ahead
                end_s = min(run.frame.time_s + 1 / rate, max(run.info.duration_s or 0, end_s))
            summary.finish(end_s)
            notes = list(reader.notes)
            if video:
                video.finish(None if run.complete else end_s)
                notes += [_SOUND_LOST] if video.sound_lost else []
            if not run.complete:
                notes.append(f"Stopped after {end_s:.1f} seconds of the video.")
            run.summary = _summary(run, summary, names, rate, notes)
            (folder / SUMMARY).write_text(json.dumps(run.summary, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        yield run
    except OSError as error:
        raise VideoError(f"Cannot write the results: {error.strerror}.") from None


def _open_files(folder: Path, stack: ExitStack) -> tuple[TextIO, TextIO]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        table = stack.enter_context((folder / TABLE).open("w", encoding=CSV_ENCODING, newline=""))
        return table, stack.enter_context((folder / LINES).open("w", encoding="utf-8"))
    except OSError as error:
        raise VideoError(f"Cannot write to {folder}: {error.strerror}.") from None


def _header(classifiers: Mapping[str, Classifier], names: Sequence[str]) -> list[str]:
    header = ["time_s", "face", "x1", "y1", "x2", "y2", "score"]
    for name in names:
        expressions = in_display_order(classifiers[name].card.labels)
        header += [f"{name}.{column}" for column in ("label", "confidence", *expressions)]
    return header


def _write_rows(writer: Any, lines: TextIO, frame: FrameAnalysis) -> None:
    time_s = round(frame.time_s, 4)
    pairs = list(zip(frame.numbers, frame.faces, strict=True))
    for number, face in pairs:
        writer.writerow([time_s, number, *_cells(face)])
    faces = [{"face": number} | face_to_json(face) for number, face in pairs]
    size = dict(zip(("width", "height"), frame.size, strict=True)) if frame.size else {}
    lines.write(json.dumps({"time_s": time_s, **size, "faces": faces}, allow_nan=False) + "\n")


def _cells(face: FaceAnalysis) -> list[Any]:
    cells: list[Any] = [*(round(float(side), 2) for side in face.face.box), round(face.face.score, 4)]
    for prediction in face.predictions.values():
        cells += [prediction.label, f"{prediction.confidence:.4f}"]
        cells += [f"{prediction.probability(label):.4f}" for label in in_display_order(prediction.labels)]
    return cells


def _summary(
    run: VideoRun, summary: Summary, names: Sequence[str], rate: float, notes: Sequence[str]
) -> dict[str, Any]:
    faces = summary.faces()
    info = run.info
    return {
        "video": {
            "width": info.width,
            "height": info.height,
            "duration_s": info.duration_s,
            "frame_rate": info.frame_rate,
            "sound": info.sound,
        },
        "analysis": {
            "rate": rate,
            "models": list(names),
            "frames": summary.frames,
            "seconds": round(summary.analysed_s, 3),
            "complete": run.complete,
        },
        "notes": list(notes),
        "disagreement": total_disagreement(faces),
        "faces": faces,
    }
