"""Every result file is a record: reading it and writing it again changes nothing. What a reader is told otherwise."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fer_models.analyzer import WEIGHTS
from fer_models.evaluation.records import (
    AttentionRecord,
    EvaluationRecord,
    LatencyRecord,
    LeaderboardRecord,
    NoiseStudyRecord,
    Provenance,
    RobustnessRecord,
)
from fer_models.evaluation.records.benchmarks import (
    BatchRecord,
    CropResolutionRecord,
    DetectionRecord,
    FaceQualityRecord,
    FuzzRecord,
    JourneysRecord,
    LandmarkTemplateRecord,
    LiveRecord,
    LoadRecord,
    StartRecord,
    VideoRecord,
)
from fer_models.evaluation.records.scale import ScaleRecord
from fer_models.evaluation.store import read_cards, read_record, stale_models, write_record
from fer_models.models.card import read_card

RESULTS = WEIGHTS / "results"
KINDS: dict[str, type[Provenance]] = {
    "attention_ferplus": AttentionRecord,
    "batch": BatchRecord,
    "crop_resolution": CropResolutionRecord,
    "detection": DetectionRecord,
    "face_quality": FaceQualityRecord,
    "fer2013_test": EvaluationRecord,
    "ferplus_test": EvaluationRecord,
    "fuzz": FuzzRecord,
    "journeys": JourneysRecord,
    "landmark_template": LandmarkTemplateRecord,
    "latency": LatencyRecord,
    "leaderboard": LeaderboardRecord,
    "live_soak": LiveRecord,
    "load": LoadRecord,
    "load_sequential": LoadRecord,
    "noise_study": NoiseStudyRecord,
    "robustness_fer2013": RobustnessRecord,
    "robustness_ferplus": RobustnessRecord,
    "scale": ScaleRecord,
    **{f"scale_load_{clients}": LoadRecord for clients in (1, 4, 32)},
    "start": StartRecord,
    "video": VideoRecord,
}
AGAIN = ("python -m fer_models evaluate",)


def test_every_result_file_has_its_record() -> None:
    baselines = {path.stem for path in RESULTS.glob("*_card.json")}  # cards of networks that are not shipped
    assert {path.stem for path in RESULTS.glob("*.json")} - baselines == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_reading_and_writing_changes_nothing(name: str, tmp_path: Path) -> None:
    path = RESULTS / f"{name}.json"
    loaded = read_record(path, KINDS[name], AGAIN)
    assert loaded.problem is None and loaded.record is not None
    write_record(loaded.record, tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == json.loads(path.read_text())


def test_one_problem_tells_what_is_wrong_and_what_to_run(tmp_path: Path) -> None:
    document = json.loads((RESULTS / "latency.json").read_text())
    document["models"]["vgg16"]["p50_ms"] = -1
    path = tmp_path / "latency.json"
    path.write_text(json.dumps(document))
    problem = read_record(path, LatencyRecord, AGAIN).problem
    assert problem is not None and problem.commands == AGAIN
    assert "models.vgg16.p50_ms" in problem.text and "latency.json" in problem.text
    missing = read_record(tmp_path / "none.json", LatencyRecord, AGAIN).problem
    assert missing is not None and missing.commands == AGAIN and missing.text != problem.text


def test_staleness_is_a_matter_of_the_weights_alone() -> None:
    cards, problems, _ = read_cards(WEIGHTS)
    record = read_record(RESULTS / "latency.json", LatencyRecord, AGAIN).record
    assert record is not None and not problems
    assert stale_models(record.measured_weights, cards, AGAIN) == {}
    other = record.model_copy(update={"versions": {"fer_models": "99.0"}})
    assert stale_models(other.measured_weights, cards, AGAIN) == {}
    changed = {**cards, "vgg16": replace(read_card(WEIGHTS / "vgg16.json"), sha256="0" * 64)}
    assert set(stale_models(record.measured_weights, changed, AGAIN)) == {"vgg16"}
    del changed["resnet50"]
    assert set(stale_models(record.measured_weights, changed, AGAIN)) == {"vgg16", "resnet50"}
