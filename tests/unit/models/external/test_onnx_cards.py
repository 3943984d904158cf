"""Cards beside other people's ONNX graphs: what may be left out, what does not fit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from fer_models.errors import CardError
from fer_models.expressions import EXPRESSIONS
from fer_models.results import SHARED_CROP, CropSpec
from tests.helpers.graphs import LABELS, SIZE, card, export, load, small_net, write_card

CROP = np.random.default_rng(3).integers(0, 256, (SIZE, SIZE, 3), np.uint8)


def test_a_toml_card_says_the_same(tmp_path: Path) -> None:
    path = export(small_net(), tmp_path / "theirs.onnx")
    write_card(path)
    expected = load(path).predict([CROP])[0].logits
    path.with_suffix(".json").unlink()
    path.with_suffix(".toml").write_text(
        f"labels = {json.dumps(LABELS)}\noutputs = 'logits'\n[input]\nmode = 'rgb'\n"
        "mean = [0.1, 0.2, 0.3]\nstd = [0.5, 0.6, 0.7]\n"
    )
    np.testing.assert_array_equal(load(path).predict([CROP])[0].logits, expected)


def test_the_message_without_a_card_holds_one_that_works(tmp_path: Path) -> None:
    path = export(small_net(), tmp_path / "theirs.onnx")
    with pytest.raises(CardError) as error:
        load(path)
    text = str(error.value)
    missing = text[: text.index("Write")]
    assert "labels" in missing and "input.mean" in missing and "outputs" in missing and "input.size" not in missing
    proposed = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert proposed["input"]["size"] == SIZE and proposed["input"]["layout"] == "NCHW" and len(proposed["labels"]) == 7
    path.with_suffix(".json").write_text(json.dumps(proposed))
    assert load(path).card.labels == EXPRESSIONS


@pytest.mark.parametrize(
    "text", [json.dumps(LABELS), str(dict(enumerate(LABELS))), ", ".join(LABELS), json.dumps(dict(enumerate(LABELS)))]
)
def test_labels_in_the_metadata_need_not_be_on_the_card(tmp_path: Path, text: str) -> None:
    path = export(small_net(), tmp_path / "theirs.onnx")
    model = onnx.load(path)
    model.metadata_props.add(key="names", value=text)
    onnx.save(model, path)
    facts = card()
    del facts["labels"]
    path.with_suffix(".json").write_text(json.dumps(facts))
    assert load(path).card.labels == LABELS


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": list(LABELS[:6])}, "6 labels.*7"),
        ({"labels": ["fear", "afraid", *LABELS[:5]]}, "fear more than once"),
        ({"labels": [f"class {number}" for number in range(7)]}, "none of anger"),
        ({"input": {"size": 32}}, r"input\.size = 32.*16"),
        ({"input": {"layout": "NHWC"}}, r"input\.layout"),
        ({"input": {"channels": 1}}, r"input\.channels"),
        ({"input": {"std": [0.5, 0, 0.5]}}, r"input\.std"),
        ({"input": {"mean": [123, 117, 104]}}, '"scale": "0-255"'),
        ({"input": {"mode": "hsv"}}, r"input\.mode"),
        ({"outputs": "probabilities"}, "not between 0 and 1"),
        ({"output": "z"}, "no output 'z'"),
        ({"colour": "rgb"}, "colour"),
        ({"temperature": 0}, "temperature"),
        ({"sha256": "ab"}, "SHA-256"),
    ],
)
def test_a_card_that_does_not_fit_is_one_clear_error(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    path = export(small_net(), tmp_path / "theirs.onnx")
    write_card(path, **changes)
    with pytest.raises(CardError, match=words):
        load(path)


def test_a_softmax_called_logits_is_refused(tmp_path: Path) -> None:
    path = export(small_net(softmax=True), tmp_path / "theirs.onnx")
    write_card(path)
    with pytest.raises(CardError, match="outputs = logits"):
        load(path)


def test_two_cards_are_refused(tmp_path: Path) -> None:
    path = export(small_net(), tmp_path / "theirs.onnx")
    write_card(path)
    path.with_suffix(".toml").write_text("outputs = 'logits'")
    with pytest.raises(CardError, match="two cards"):
        load(path)


@pytest.mark.parametrize("text", ["{", "[1]", "{" * 100_000, "\xff"])
def test_a_damaged_card_is_a_card_error(tmp_path: Path, text: str) -> None:
    path = export(small_net(), tmp_path / "theirs.onnx")
    path.with_suffix(".json").write_text(text, encoding="latin1")
    with pytest.raises(CardError):
        load(path)


def test_the_crop_on_a_card(tmp_path: Path) -> None:
    path = export(small_net(), tmp_path / "theirs.onnx")
    for given, expected in (
        ("landmarks", SHARED_CROP),
        ("box", CropSpec("box")),
        ({"kind": "box", "margin": 0.2, "aligned": True}, CropSpec("box", 0.2, aligned=True)),
    ):
        write_card(path, crop=given)
        assert load(path).card.crop == expected
    for wrong in ("tight", {"kind": "box", "margin": -1}, {"margin": 0.2}, {"kind": "box", "side": 3}):
        write_card(path, crop=wrong)
        with pytest.raises(CardError, match="crop"):
            load(path)
