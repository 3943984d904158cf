"""Targets between labels and what trained models predict."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_models.analyzer import Analyzer
from fer_models.errors import FerError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.architectures import PooledClassifier
from fer_models.models.classifier import Classifier
from fer_models.models.preprocessing import imagenet_input
from fer_models.registry import load_dataset
from fer_models.training.losses import CrossEntropyTask
from fer_models.training.teachers import teacher_of_inputs, with_teachers
from tests.conftest import network_of


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


def test_teachers_of_inputs_see_what_the_network_sees_at_their_own_size(analyzer: Analyzer) -> None:
    models = [analyzer.classifiers["resnet50"], analyzer.classifiers["vgg16"]]
    teachers = [Classifier(model.card, network_of(model), model.device, "torch") for model in models]  # as `train` does
    spec = replace(teachers[0].card.input, size=96)
    inputs = torch.randn(2, 3, 96, 96)
    predicted = teacher_of_inputs(teachers, spec)(inputs)
    assert predicted.sum(1).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)
    expected = torch.zeros(2, 7)
    for teacher in teachers:
        size = teacher.card.input.size
        sized = torch.nn.functional.interpolate(
            inputs, (size, size), mode="bilinear", align_corners=False, antialias=size < 96
        )
        columns = [teacher.card.labels.index(label) for label in EXPRESSIONS]
        expected += teacher.logits(sized).softmax(1)[:, columns] / 2
    torch.testing.assert_close(predicted, expected, atol=1e-5, rtol=0)


def test_a_teacher_that_is_fed_otherwise_is_refused(analyzer: Analyzer) -> None:
    with pytest.raises(FerError, match="resnet50 is fed other pictures"):
        teacher_of_inputs([analyzer.classifiers["resnet50"]], imagenet_input(112))


def test_the_teachers_share_of_a_batch_follows_what_it_predicts() -> None:
    """With the whole share, the loss is the cross-entropy to the teacher's answer, whatever the label."""
    network = PooledClassifier(torch.nn.Conv2d(3, 4, 1), 4, 7)
    answer = torch.full((2, 7), 1 / 7)
    task = CrossEntropyTask(
        network, smoothing=0, erasing=0, mixing=0, classes=7, teacher=lambda inputs: answer, teacher_share=1.0
    )
    inputs, generator = torch.randn(2, 3, 8, 8), torch.Generator()
    losses = [task(inputs, torch.eye(7)[rows], generator)[0].item() for rows in ([0, 1], [5, 6])]
    expected = -network(inputs).log_softmax(1).mean().item()
    assert losses == pytest.approx([expected, expected], abs=1e-5)
