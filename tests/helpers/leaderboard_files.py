"""Result files as the commands write them, from made-up predictions for the shipped cards: no model is loaded."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from fer_models import __version__
from fer_models.analyzer import WEIGHTS
from fer_models.cli.main import main
from fer_models.evaluation.corruptions import CORRUPTIONS, STRENGTHS
from fer_models.evaluation.evaluate import model_evaluations
from fer_models.evaluation.predictions import TestPredictions, save_test_predictions
from fer_models.evaluation.records import EvaluationRecord, TrainTestDuplicates
from fer_models.evaluation.store import write_record
from fer_models.models.card import ModelCard, read_card
from fer_models.registry import MODEL_SPECS, MODELS

FACES = 400
VERSIONS = {"fer_models": __version__, "torch": "2", "numpy": "2", "python": "3"}


def write_files(folder: Path) -> Path:
    """A folder of the shipped cards with every result file. Returns the folder."""
    results = folder / "results"
    results.mkdir(parents=True)
    for name in MODELS:
        shutil.copy(WEIGHTS / f"{name}.json", folder)
        (folder / f"{name}.safetensors").write_bytes(b"x" * 3_000_000)
    cards = {name: read_card(folder / f"{name}.json") for name in MODELS}
    for seed, labels in enumerate(("fer2013", "ferplus")):
        write_predictions(results / f"{labels}_test.json", labels, cards, seed)
        write(results / f"robustness_{labels}.json", robustness(labels, cards))
    assert main(["leaderboard", "--weights", str(folder)]) == 0
    write(results / "noise_study.json", noise_study())
    write(results / "latency.json", latency(cards))
    return folder


def write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n")


def write_predictions(path: Path, labels: str, cards: dict[str, ModelCard], seed: int) -> None:
    generator = np.random.default_rng(seed)
    targets = generator.choice(7, FACES, p=[0.14, 0.02, 0.15, 0.25, 0.16, 0.11, 0.17])
    hard = generator.normal(0, 1.2, FACES)[:, None]
    logits = {}
    for number, name in enumerate(MODELS):
        noise = generator.normal(0, 1.6, (FACES, 7)) * (1.25 - 0.1 * number)
        easy = np.array([0.9, -0.5, 0.2, 1.6, 0.4, 1.0, 0.9])[targets][:, None]
        logits[name] = (np.eye(7)[targets] * np.maximum(1.5 + easy - hard, -1) + noise).astype(np.float32) * 1.4
    duplicates = np.arange(FACES) % 11 == 0
    temperatures = {name: card.temperature for name, card in cards.items()}
    predictions = TestPredictions(np.arange(FACES), targets, duplicates, logits, temperatures)
    save_test_predictions(predictions, path.with_suffix(".npz"))
    record = EvaluationRecord(
        command=f"python -m fer_models evaluate --data DIR --labels {labels} --split test --json {path.name}",
        labels=labels,
        split="test",
        views=1,
        faces_not_found=0,
        overlap=TrainTestDuplicates(correlation_above=0.99, rows=tuple(np.flatnonzero(duplicates).tolist())),
        versions=VERSIONS,
        models=model_evaluations(predictions, cards),
    )
    write_record(record, path)


def robustness(labels: str, cards: dict[str, ModelCard]) -> dict[str, Any]:
    clean = {name: 0.60 + 0.04 * number for number, name in enumerate([*MODELS, "ensemble"])}
    return {
        "command": f"python -m fer_models robustness --data DIR --labels {labels}",
        "labels": labels,
        "split": "test",
        "count": 500,
        "seed": 0,
        "strengths": STRENGTHS,
        "versions": VERSIONS,
        "sha256": {name: cards[name].sha256 for name in MODELS},
        "clean": clean,
        "corrupted": {
            kind: {
                name: [round(value - 0.01 * strength * (1 + index % 6), 4) for strength in STRENGTHS]
                for name, value in clean.items()
            }
            for index, kind in enumerate(CORRUPTIONS)
        },
        "mean": {name: {"value": value, "low": value - 0.03, "high": value + 0.03} for name, value in clean.items()},
        "behind": {
            name: {"value": 0.04 * (3 - number), "low": 0.04 * (3 - number) - 0.05, "high": 0.2}
            for number, name in enumerate(MODELS[:3])
        },
        "members": [name for name in MODELS if MODEL_SPECS[name].label_set == labels],
    }


def noise_study() -> dict[str, Any]:
    runs = []
    for noise in (0, 10, 20, 30, "fer2013"):
        for method in ("plain", "eac"):
            finished = noise != 30 or method == "plain"
            slope = 0.006 if method == "plain" else 0.002
            top = 0.80 - slope * (noise if isinstance(noise, int) else 33)
            curve = [
                {
                    "epoch": epoch,
                    "validation_accuracy": top,
                    "test_accuracy": round(top - 0.2 / epoch, 4),
                    "wrong_labels_held": None
                    if noise == 0
                    else round((0.9 if method == "plain" else 0.2) * epoch / 40, 4),
                }
                for epoch in range(1, 41 if finished else 13)
            ]
            runs.append(
                {
                    "method": method,
                    "noise": noise,
                    "seed": 0,
                    "finished": finished,
                    "last_test_accuracy": curve[-1]["test_accuracy"],
                    "best_test_accuracy": round(top, 4),
                    "curve": curve,
                }
            )
    return {
        "command": "python -m fer_models study noise --data DIR --epochs 40 --size 48 --faces 12271 --seeds 0",
        "tested_on": "FER+ test split, majority labels",
        "best": "the epoch with the highest accuracy on the clean validation split",
        "epochs": 40,
        "runs": runs,
    }


def latency(cards: dict[str, ModelCard]) -> dict[str, Any]:
    return {
        "command": "python -m benchmarks.latency --repeats 100 --batches 20",
        "machine": "2 CPU cores, x86_64",
        "device": "cpu",
        "threads": 2,
        "dtype": "float32",
        "batch": 16,
        "repeats": 100,
        "batches": 20,
        "versions": VERSIONS,
        "memory_without_a_model_mb": 300.0,
        "models": {
            name: {
                "sha256": cards[name].sha256,
                "p50_ms": value,
                "p95_ms": value * 1.3,
                "throughput": 1400 / value,
                "peak_memory_mb": 400 + 5 * value,
            }
            for name, value in zip(MODELS, (30.0, 22.0, 31.0, 9.0), strict=True)
        },
    }
