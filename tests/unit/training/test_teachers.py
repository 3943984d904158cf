"""Targets between labels and what trained models predict, and one schedule over a whole run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_models.analyzer import Analyzer
from fer_models.expressions import EXPRESSIONS
from fer_models.models.architectures import build_network
from fer_models.registry import load_dataset
from fer_models.training.recipes import Recipe, Stage
from fer_models.training.teachers import with_teachers
from fer_models.training.trainer import Trainer


def test_a_target_lies_between_the_label_and_the_teachers_by_name(analyzer: Analyzer, data_dir: Path) -> None:
    data = load_dataset("fer2013", data_dir, "validation")
    teachers = [analyzer.classifiers["resnet50"], analyzer.classifiers["vgg16"]]  # their labels differ in order
    soft = with_teachers(data, teachers, 0.25, precision="fp32").soft
    assert soft is not None and soft.dtype == np.float32
    expected = np.zeros(7)
    for teacher in teachers:
        face, mirrored = (teacher.predict([crop])[0].logits for crop in (data.faces[0], data.faces[0][:, ::-1].copy()))
        mean = torch.from_numpy(face + mirrored).div(2).softmax(0).numpy()
        expected += [0.25 * mean[teacher.card.labels.index(label)] / 2 for label in EXPRESSIONS]
    expected[data.targets[0]] += 0.75
    assert soft[0] == pytest.approx(expected, abs=1e-5)
    assert soft.sum(1) == pytest.approx(np.ones(len(data)), abs=1e-5)


def test_without_a_share_the_labels_stay(analyzer: Analyzer, data_dir: Path) -> None:
    data = load_dataset("ferplus", data_dir, "validation")
    hard = with_teachers(data, [analyzer.classifiers["vgg16"]], 0.0).soft
    soft = with_teachers(data, [analyzer.classifiers["vgg16"]], 0.0, soft=True).soft
    assert hard is not None and soft is not None and data.soft is not None
    assert np.array_equal(hard, np.eye(7, dtype=np.float32)[data.targets])
    assert np.array_equal(soft, data.soft)


@pytest.mark.parametrize(("restarts", "expected"), [(False, [0.5, 0.0]), (True, [0.0, 0.0])])
def test_one_cosine_over_the_run_or_one_a_stage(
    restarts: bool, expected: list[float], data_dir: Path, tmp_path: Path
) -> None:
    recipe = Recipe("mobilenet_v2", "fer2013", (Stage(16, 1), Stage(16, 1)), lr=1.0, warmup=1e-6, precision="fp32")
    trainer = Trainer(
        build_network("mobilenet_v2", 7), replace(recipe, restarts=restarts, batch=1), tmp_path, torch.device("cpu")
    )
    stages, faces = trainer.recipe.stages, 100
    ends = []
    for number, stage in enumerate(stages):
        trainer.step = faces if restarts else (number + 1) * faces
        trainer._set_schedule(stage, trainer._scheduled_steps(stage, faces))
        ends.append(trainer.lr)
    assert ends == pytest.approx(expected, abs=1e-4)
