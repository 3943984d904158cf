"""What a worker of a cluster does, in this process: the rows of one process, part by part, and none is missing."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas
import pytest
from numpy.typing import NDArray
from PIL import Image

from cluster.batch import Job, Worker
from cluster.batch_output import open_output
from cluster.batch_sources import list_pictures
from cluster.batch_videos import finished_videos, missing_segments
from fer_models.analyzer import Analyzer, load_analyzer
from fer_models.batch.checkpoint import model_facts
from fer_models.batch.labels import labels_from_folders
from fer_models.batch.videos import video_parts
from fer_models.cli.main import main
from fer_models.errors import EngineError
from tests.conftest import FakeDetector
from tests.helpers.clips import write_clip

MODEL = "eac_mobilenet_v2"


@pytest.fixture
def folder(tmp_path: Path, picture: NDArray[np.uint8]) -> Path:
    """Labelled pictures with one, two and no face, one that cannot be read; a video, and one that is none."""
    root = tmp_path / "files"
    for name, width in (("happy/1.png", 100), ("happy/2.png", 230), ("sad/3.png", 90), ("sad/4.png", 120)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture[:, :width]).save(root / name)
    (root / "broken.jpg").write_bytes(b"nothing")
    (root / "broken.mp4").write_bytes(b"nothing")
    write_clip(root / "talk.mp4", [picture[:, :130]] * 60, encoder={"g": "10"})
    return root


def loaded(weights: Path) -> Analyzer:
    return load_analyzer([MODEL], weights=weights, device="cpu", detector=FakeDetector())


def test_the_parts_of_all_workers_are_the_table_of_one_process(
    folder: Path, tmp_path: Path, weights_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fer_models.media.video_segments.SEGMENT_S", 2.0)
    monkeypatch.setattr("fer_models.analyzer.CenterFace", FakeDetector)
    local = tmp_path / "local.parquet"
    flags = ["--models", MODEL, "--weights", str(weights_dir), "--device", "cpu", "--rate", "2"]
    assert main(["batch", str(folder), "--out", str(local), *flags]) == 1

    pictures = list_pictures(folder)
    output = open_output(tmp_path / "ray.parquet", pictures, {}, 2)
    labels = labels_from_folders([file.name for file in pictures.files])
    facts = model_facts(loaded(weights_dir))
    workers = [Worker(Job(partial(loaded, weights_dir), facts, output, 2, False, labels, 2.0)) for _ in range(2)]
    assert [workers[number % 2].analyze(number, pictures.files[output.slice(number)]) for number in (2, 0, 1)] == [
        1,
        2,
        2,
    ]
    parts = {number: video_parts(video, 2.0) for number, video in enumerate(pictures.videos)}
    tasks = missing_segments(output, parts)
    assert len(tasks) >= 3
    for number, task in enumerate(reversed(tasks)):
        assert workers[number % 2].analyze_segment(task) == 1
    for number, of in parts.items():
        assert workers[number].write_video(number, len(of)) == 0

    counts = output.finish([name for names in finished_videos(output).values() for name in names])
    assert counts.unreadable == ("broken.jpg", "broken.mp4") and (counts.faces, counts.without) == (4 + 12, 1)
    rows, expected = pandas.read_parquet(tmp_path / "ray.parquet"), pandas.read_parquet(local)
    pandas.testing.assert_frame_equal(rows, expected, rtol=0, atol=1e-4)


def test_a_node_with_other_models_is_refused(tmp_path: Path, weights_dir: Path, folder: Path) -> None:
    output = open_output(tmp_path / "ray.parquet", list_pictures(folder), {}, 2)
    with pytest.raises(EngineError, match="other models"):
        Worker(Job(partial(loaded, weights_dir), {MODEL: ["other"]}, output)).ready()
