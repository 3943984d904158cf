"""What docs/your-model.md says can be typed: its commands are understood, and its cards are read."""

import argparse
import json
import shlex
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torchvision
from safetensors.torch import save_file

from dashboard.server.options import parse
from fer_models.cli.main import COMMANDS, main
from fer_models.models.classifier import load_classifier
from tests.helpers.graphs import export, small_net

PAGE = (Path(__file__).parents[4] / "docs" / "your-model.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return [block.split("```")[0] for block in PAGE.split(f"```{language}\n")[1:]]


def commands(begin: str) -> list[list[str]]:
    lines = [line for block in blocks("") for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line)[len(begin.split()) :] for line in lines if line.startswith(begin)]


@pytest.mark.parametrize("words", commands("python -m fer_models"), ids=" ".join)
def test_a_command_is_understood(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[argparse.Namespace] = []

    def run(args: argparse.Namespace) -> int:
        seen.append(args)
        return 0

    monkeypatch.setattr(import_module(COMMANDS[words[0]][0]), "run", run)
    assert main(words) == 0 and len(seen) == 1


@pytest.mark.parametrize("words", commands("python app.py"), ids=" ".join)
def test_a_start_of_the_app_is_understood(words: list[str]) -> None:
    assert vars(parse(words))["model_files" if "--model" in words else "peers"]


def test_there_are_commands_of_each_kind() -> None:
    assert {words[0] for words in commands("python -m fer_models")} >= {"evaluate", "calibrate", "robustness"}
    assert len(commands("python app.py")) >= 3


def test_the_card_of_a_librarys_architecture_is_read(tmp_path: Path) -> None:
    (card,) = [json.loads(block) for block in blocks("json") if "torchvision:" in block]
    name = card["architecture"].removeprefix("torchvision:")
    made = torchvision.models.get_model(name, weights=None, num_classes=len(card["labels"]))
    save_file(made.state_dict(), tmp_path / "NAME.safetensors")
    (tmp_path / "NAME.json").write_text(json.dumps(card | {"input": card["input"] | {"size": 64}}))
    found = load_classifier("NAME", tmp_path, "cpu").card
    assert found.architecture == card["architecture"] and found.crop.margin == 0.1


def test_the_cards_of_graphs_are_read(tmp_path: Path) -> None:
    cards: list[dict[str, Any]] = [tomllib.loads(block) for block in blocks("toml")]
    cards += [json.loads(block) for block in blocks("json") if '"layout"' in block]
    assert len(cards) == 2
    export(small_net(8), tmp_path / "NAME.onnx")
    for card in cards:
        card["input"].pop("size", None)  # the small graph has another
        (tmp_path / "NAME.json").write_text(json.dumps(card))
        assert load_classifier("NAME", tmp_path, "cpu").card.labels[-1] == "contempt"
