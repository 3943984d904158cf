"""Adding a model on the page: first cards, a try on an example, saving, and for whom the tab is there."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

from dashboard.add_model.session import choose
from dashboard.add_model.tab import AddModelTab
from dashboard.add_model.view import BOX, FIELDS, UPRIGHT, CardForm, card_of, form_of
from dashboard.server.options import adds_models, parse
from fer_models.analyzer import Analyzer, load_analyzer
from fer_models.errors import CardError, FerError, WeightsError
from fer_models.models.external.draft import draft_card
from tests.conftest import FakeDetector
from tests.helpers.graphs import LABELS, export, small_net


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    return export(small_net(), tmp_path / "uploaded")


def named(path: Path, name: str) -> Path:
    target = path.with_name(name)
    shutil.copyfile(path, target)
    return target


def test_a_graph_tells_its_size_and_how_many_classes_it_has(onnx: Path) -> None:
    draft = draft_card(named(onnx, "theirs.onnx"))
    assert draft.card["input"]["size"] == 16 and len(draft.card["labels"]) == 7
    assert "16 px" in draft.told[0] and "7 numbers" in draft.told[1]
    assert set(draft.guessed) == {"labels", "colours", "mean and deviation", "outputs", "crop"}


def test_weights_are_recognised_by_their_tensors(tmp_path: Path) -> None:
    made = torchvision.models.mobilenet_v3_small(weights=None, num_classes=8)
    path = tmp_path / "theirs.safetensors"
    save_file(made.state_dict(), path)
    draft = draft_card(path)
    assert draft.card["architecture"] == "torchvision:mobilenet_v3_small" and len(draft.card["labels"]) == 8
    assert set(draft.card["input"]) == {"mode", "size", "mean", "std"}
    torch.save({"state_dict": {"a": torch.zeros(3)}}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="ONNX"):
        draft_card(tmp_path / "other.pth")


def test_the_form_becomes_the_card(onnx: Path) -> None:
    draft = draft_card(named(onnx, "theirs.onnx"))
    form = form_of("théirs 2", draft)
    assert form.name == "th_irs_2" and form.mean == "0.485, 0.456, 0.406"
    changes: dict[str, Any] = {"labels": " happy,anger , ", "mean": "0.5", "std": "", "mode": "bgr", "licence": "MIT"}
    card = card_of(replace(form, crop=UPRIGHT, margin=20, **changes), draft)
    assert card["labels"] == ["happy", "anger"] and card["licence"] == "MIT" and "training_labels" not in card
    assert card["input"]["mean"] == [0.5] and "std" not in card["input"] and card["input"]["mode"] == "bgr"
    assert card["crop"] == {"kind": "box", "margin": 0.2, "aligned": True}
    assert card_of(replace(form, crop=BOX), draft)["crop"]["aligned"] is False
    for wrong in (replace(form, name="../x"), replace(form, name=""), replace(form, mean="a, b")):
        with pytest.raises(CardError):
            card_of(wrong, draft)


@pytest.mark.parametrize("name", ["notes.txt", "theirs.h5", "theirs", ".onnx"])
def test_other_files_are_no_models(onnx: Path, name: str) -> None:
    with pytest.raises(WeightsError, match="is no model"):
        choose(onnx, name, onnx.parent)


def test_an_error_names_the_file_and_not_where_it_is_kept(onnx: Path) -> None:
    onnx.write_bytes(b"damaged")
    with pytest.raises(FerError) as raised:
        choose(onnx, "theirs.onnx", onnx.parent)
    assert str(raised.value).startswith("theirs.onnx is not") and str(onnx.parent) not in str(raised.value)
    assert not [path for path in onnx.parent.iterdir() if path.is_dir()]


@pytest.fixture
def tab(analyzer: Analyzer, tmp_path: Path) -> AddModelTab:
    with gr.Blocks():
        return AddModelTab(analyzer, tmp_path, tmp_path / "weights")


def values_of(tab: AddModelTab, updates: dict[Any, Any]) -> list[Any]:
    """What the form holds after a file was chosen."""
    shown = [updates[field] for field in tab.fields]
    return [each["value"] if isinstance(each, dict) else each for each in shown]


def test_a_file_is_chosen_tried_and_saved(tab: AddModelTab, onnx: Path, tmp_path: Path) -> None:
    updates = tab.choose({"path": str(onnx), "orig_name": "theirs.onnx"})
    chosen = updates[tab.chosen]
    values = values_of(tab, updates)
    values[FIELDS.index("labels")] = ", ".join(LABELS)
    assert values[FIELDS.index("name")] == "theirs" and "theirs.onnx" in updates[tab.told]
    event: Any = SimpleNamespace(index=0)
    html = tab.attempt(chosen, event, *values)
    assert html.count("<img") == 1 and "VGG16" in html and "fer-message" not in html
    assert "onnx" in html and all(label.capitalize() in html for label in LABELS)
    saved = tab.keep(chosen, *values)
    assert "theirs.onnx" in saved and "theirs.json" in saved and "again" in saved
    written = json.loads((tmp_path / "weights" / "theirs.json").read_text())
    assert written["labels"] == list(LABELS)
    again = load_analyzer(weights=tmp_path / "weights", detector=FakeDetector(), device="cpu")
    (model,) = again.classifiers.values()
    assert model.name == "theirs" and model.card.labels == LABELS
    assert "already" in tab.keep(chosen, *values)  # nothing is overwritten
    tab.forget(chosen)  # as when another file is chosen
    assert not chosen.folder.exists() and (tmp_path / "weights" / "theirs.onnx").is_file()


def test_what_is_wrong_is_said_and_nothing_is_saved(tab: AddModelTab, onnx: Path, tmp_path: Path) -> None:
    updates = tab.choose({"path": str(onnx), "orig_name": "theirs.onnx"})
    values = values_of(tab, updates)
    values[FIELDS.index("labels")] = "happy, sad"
    event: Any = SimpleNamespace(index=0)
    for html in (tab.attempt(updates[tab.chosen], event, *values), tab.keep(updates[tab.chosen], *values)):
        assert "2 labels" in html and "fer-message" in html and str(tmp_path) not in html
    assert not (tmp_path / "weights").exists()
    assert "Choose a file" in tab.keep(None, *values) and "Choose a file" in tab.attempt(None, event, *values)
    assert tab.choose(None)[tab.chosen] is None
    elsewhere = tab.choose({"path": "/etc/hostname", "orig_name": "theirs.onnx"})
    assert elsewhere[tab.chosen] is None and elsewhere[tab.notice]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], True),
        (["--host", "localhost"], True),
        (["--host", "0.0.0.0"], False),
        (["--share"], False),
        (["--auth", "anna:secret"], False),
        (["--auth-file", "FILE"], False),
        (["--trusted-proxies", "1"], False),
        (["--root-path", "/faces"], False),
        (["--share", "--add-models"], True),
        (["--no-add-models"], False),
    ],
)
def test_only_on_a_page_of_ones_own(flags: list[str], expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert adds_models(parse(flags)) is expected
    monkeypatch.setenv("SPACE_ID", "someone/space")
    assert adds_models(parse(flags)) is ("--add-models" in flags)


def test_fields_of_the_form_are_those_of_the_page(tab: AddModelTab) -> None:
    assert len(tab.fields) == len(FIELDS) == len(CardForm("x").__dict__)
    assert np.unique([id(field) for field in tab.fields]).size == len(FIELDS)
