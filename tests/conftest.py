"""Shared fixtures: four small models with random weights, written by the project's own code, and a fake detector."""

import copy
import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fer_models.analyzer import Analyzer, load_analyzer
from fer_models.expressions import EXPRESSIONS
from fer_models.models.architectures import PooledClassifier, build_network
from fer_models.models.card import ModelCard, write_card
from fer_models.models.classifier import Classifier
from fer_models.models.engines.graph import CACHE_VARIABLE
from fer_models.models.preprocessing import InputSpec
from fer_models.models.weights import save_weights
from fer_models.registry import LABEL_SETS, MODEL_SPECS, MODELS
from fer_models.results import Face

# No deadline: what is fast alone takes long on a machine that is busy.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")

if "PYTEST_XDIST_WORKER" in os.environ:  # the workers and their subprocesses share the cores
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"


def pytest_configure(config: pytest.Config) -> None:
    """Keep graphs of networks where the next run finds them, and not among the user's."""
    if (cache := getattr(config, "cache", None)) is not None:  # there is none with -p no:cacheprovider
        os.environ.setdefault(CACHE_VARIABLE, str(cache.mkdir("graphs")))


LANDMARKS = np.array([(0.31, 0.40), (0.68, 0.40), (0.49, 0.60), (0.35, 0.76), (0.65, 0.75)], np.float32)


class FakeDetector:
    """Sees one face in every full 100 px of a picture's width, side by side; in a narrower picture none."""

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        faces = []
        for number in range(image.shape[1] // 100):
            corner = np.array([100 * number, 0], np.float32)
            box = np.concatenate([corner, corner + np.float32(100)])
            faces.append(Face(box, corner + LANDMARKS * 100, 0.9))
        return faces


def network_of(classifier: Classifier) -> PooledClassifier:
    """The network of a model that has one."""
    assert classifier.network is not None
    return classifier.network


def random_network(architecture: str, classes: int, seed: int) -> PooledClassifier:
    """A network whose batch norms fit random pictures, so that different faces get clearly different answers."""
    return copy.deepcopy(_random_network(architecture, classes, seed))


@functools.cache
def _random_network(architecture: str, classes: int, seed: int) -> PooledClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(architecture, classes)
        probe = torch.randn(16, 3, 8, 8).repeat_interleave(8, 2).repeat_interleave(8, 3)
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.momentum = 1.0
        network(probe)
        logits = network.eval()(probe)
        network.fc.weight.mul_(2 / logits.std(0).mean())
        network.fc.bias.sub_(network(probe).mean(0))
    for norm in norms:
        norm.momentum = 0.1
    return network


@pytest.fixture(scope="session")
def write_model() -> Callable[..., ModelCard]:
    """A function (folder, name, labels, *, seed, architecture, network, training_labels): writes card and weights."""

    def write(
        folder: Path,
        name: str,
        labels: tuple[str, ...] = EXPRESSIONS,
        *,
        seed: int = 0,
        architecture: str = "mobilenet_v2",
        network: PooledClassifier | None = None,
        training_labels: str = "none: random weights",
    ) -> ModelCard:
        network = network or random_network(architecture, len(labels), seed)
        card = ModelCard(
            name=name,
            title=name.upper(),
            architecture=architecture,
            labels=labels,
            input=InputSpec(size=64),
            training_labels=training_labels,
            training_data="none",
            licence="MIT",
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            sha256=save_weights(network, folder / f"{name}.safetensors"),
            temperature=1.5,
        )
        write_card(card, folder / f"{name}.json")
        return card

    return write


@pytest.fixture(scope="session")
def weights_dir(tmp_path_factory: pytest.TempPathFactory, write_model: Callable[..., ModelCard]) -> Path:
    """The project's four models, small, each with its labels in another order and the shipped one's training labels.

    Read only.
    """
    folder = tmp_path_factory.mktemp("weights")
    for seed, name in enumerate(MODELS):
        training_labels = LABEL_SETS[MODEL_SPECS[name].label_set].training_labels
        labels = EXPRESSIONS[seed:] + EXPRESSIONS[:seed]
        write_model(folder, name, labels, seed=seed, training_labels=training_labels)
    return folder


@pytest.fixture(scope="session")
def fake_detector() -> FakeDetector:
    return FakeDetector()


@pytest.fixture(scope="session")
def analyzer(weights_dir: Path, fake_detector: FakeDetector) -> Analyzer:
    """All four small models on the CPU behind the fake detector."""
    return load_analyzer(weights=weights_dir, device="cpu", detector=fake_detector)


@pytest.fixture(scope="session")
def picture() -> NDArray[np.uint8]:
    """(100, 230, 3) uint8: the fake detector sees two different faces in it."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (10, 23, 3), np.uint8)
    return coarse.repeat(10, 0).repeat(10, 1)


@pytest.fixture(scope="session")
def fer2013(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fer2013.csv and fer2013new.csv, unpacked from ../shared; skips where that is absent."""
    unpack = Path(__file__).resolve().parents[2] / "shared" / "fer2013" / "unpack.py"
    if not unpack.is_file():
        pytest.skip("needs the FER2013 files in ../shared/fer2013")
    folder = tmp_path_factory.mktemp("fer2013")
    subprocess.run([sys.executable, str(unpack), str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FER2013 and FER+ in their layouts: anger is a dark face, happiness a bright one."""
    folder = tmp_path_factory.mktemp("synthetic")
    generator = np.random.default_rng(0)
    rows, votes = [], []
    for usage, count in (("Training", 160), ("PublicTest", 12), ("PrivateTest", 12)):
        for index in range(count):
            label = index % 2
            pixels = generator.integers(0, 60, 2304) + 180 * label
            rows.append(f"{3 * label},{' '.join(map(str, pixels))},{usage}")
            votes.append(f"{usage},f.png," + ("0,9,0,0,0,0,0,0,0,0" if label else "0,0,0,0,9,0,0,0,0,0"))
    (folder / "fer2013.csv").write_text("emotion,pixels,Usage\n" + "\n".join(rows) + "\n")
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
    (folder / "fer2013new.csv").write_text(header + "\n".join(votes) + "\n")
    return folder
