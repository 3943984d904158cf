"""Models and label sets are declared once, and any number of models can be told apart."""

import json
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dashboard.components.charts import page_layout
from dashboard.theme import CSS
from fer_models.expressions import COLOURS
from fer_models.models.architectures import ARCHITECTURES
from fer_models.models.ensemble import ENSEMBLE, Ensemble
from fer_models.registry import (
    ENSEMBLE_STYLE,
    FER2013_LABEL_SETS,
    LABEL_SETS,
    MODEL_SPECS,
    MODELS,
    dark_colours,
    ensemble_members,
    ensemble_style_at,
    ensemble_styles,
    ensembles_of,
    model_styles,
    style_at,
)
from fer_models.training.recipes import RECIPES

WEIGHTS = Path(__file__).parents[2] / "weights"
TWELVE = [style_at(position) for position in range(12)]
ENSEMBLES = [ensemble_style_at(position) for position in range(6)]
FERPLUS = LABEL_SETS["ferplus"].training_labels

# Machado, Oliveira and Fernandes, IEEE TVCG 2009, table 1, severity 1.0; they apply to linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def test_every_model_has_what_its_spec_names() -> None:
    assert [*MODEL_SPECS][: len(MODELS)] == [*MODELS]
    assert set(RECIPES) == set(MODEL_SPECS)
    for name, spec in MODEL_SPECS.items():
        assert spec.name == name and spec.architecture in ARCHITECTURES and spec.label_set in LABEL_SETS
        recipe = RECIPES[name][spec.recipe]
        assert (recipe.architecture, recipe.labels) == (spec.architecture, spec.label_set)


@pytest.mark.parametrize("name", MODELS)
def test_the_shipped_cards_say_what_the_registry_says(name: str) -> None:
    card = json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))
    spec = MODEL_SPECS[name]
    labels = LABEL_SETS[spec.label_set]
    assert (card["title"], card["architecture"]) == (spec.title, spec.architecture)
    assert (card["training_labels"], card["training_data"]) == (labels.training_labels, labels.training_data)


def test_models_that_learned_the_same_labels_are_an_ensemble() -> None:
    shipped = {name: LABEL_SETS[MODEL_SPECS[name].label_set].training_labels for name in MODELS}
    fer2013 = Ensemble("ensemble_fer2013", "Ensemble (FER2013)", ("resnet50", "vgg16"), "fer2013")
    ferplus = Ensemble("ensemble_ferplus", "Ensemble (FER+)", ("eac_resnet50", "eac_mobilenet_v2"), "ferplus")
    assert ensembles_of(shipped) == (fer2013, ferplus)
    assert ensembles_of(dict(reversed(shipped.items())))[0].name == "ensemble_fer2013"
    assert ensemble_members(shipped, "ferplus") == ferplus.members
    assert ensemble_members(shipped, "rafdb") == ensemble_members(shipped, "groups") == ()
    del shipped["vgg16"]
    assert ensembles_of(shipped) == (ferplus,) and ensemble_members(shipped, "fer2013") == ()
    # A dropped-in model joins if its card says the same.
    assert ensemble_members({**shipped, "theirs": " fer2013 "}, "fer2013") == ("resnet50", "theirs")


def test_baselines_and_noise_networks_and_models_without_labels_join_no_ensemble() -> None:
    labels = {"eac_resnet50": FERPLUS, "plain_resnet50": FERPLUS, "noise_eac_0_0": FERPLUS, "a": "", "b": " "}
    assert ensembles_of(labels) == ()
    assert ensemble_members({**labels, "own": FERPLUS}, "ferplus") == ("eac_resnet50", "own")


def test_ensembles_of_other_labels_have_names_of_their_own() -> None:
    theirs = "AffectNet (8 expressions)"
    labels = {"a": theirs, "b": theirs, "c": "FER2013", "d": "FER2013", "ensemble_fer2013": "none", "e": "?", "f": "?"}
    first, second, third = ensembles_of(labels)
    assert (first.name, first.members, first.label_set) == ("ensemble_fer2013_2", ("c", "d"), "fer2013")
    assert second == Ensemble("ensemble_affectnet_8_expressions", f"Ensemble ({theirs})", ("a", "b"))
    assert third.members == ("e", "f") and third.name.isidentifier()
    styles = ensemble_styles((first, second, third))
    assert styles[first.name] == ENSEMBLE_STYLE and len(set(styles.values())) == 3
    ferplus = ensembles_of({"a": FERPLUS, "b": FERPLUS})
    assert [*ensemble_styles(ferplus).values()] == [ENSEMBLES[1]]  # whichever others are shown


def test_two_label_sets_share_fer2013s_pictures() -> None:
    assert all(spec.name == name for name, spec in LABEL_SETS.items())
    assert FER2013_LABEL_SETS == ("fer2013", "ferplus")


def test_models_look_the_same_whichever_are_shown() -> None:
    every = model_styles(MODELS)
    assert len({style.colour for style in every.values()}) == len({style.pattern for style in every.values()}) == 4
    for name in MODELS:
        assert model_styles([name]) == {name: every[name]}
    mixed = model_styles(["own", "resnet50", ENSEMBLE, "other"])
    assert [*mixed] == ["own", "resnet50", ENSEMBLE, "other"]
    assert mixed["resnet50"] == every["resnet50"] and mixed[ENSEMBLE] == ENSEMBLE_STYLE
    assert [mixed["other"], mixed["own"]] == TWELVE[4:6], "by name"
    assert model_styles(["own", "other"]) == {"own": TWELVE[5], "other": TWELVE[4]}


def test_eighty_four_models_all_look_different() -> None:
    styles = [*ENSEMBLES, *(style_at(position) for position in range(84))]
    assert len(set(styles)) == 90
    assert len({(style.colour, style.pattern) for style in styles}) == 90


def test_shapes_go_together() -> None:
    shapes = {(style.pattern, style.marker, style.dash) for style in [*TWELVE, ENSEMBLE_STYLE]}
    for channel in zip(*shapes, strict=True):
        assert len(set(channel)) == len(shapes) == 8


def test_two_ensembles_differ_in_colour_and_shape() -> None:
    for first, second in zip(ENSEMBLES, ENSEMBLES[1:], strict=False):
        assert all(one != other for one, other in zip(vars(first).values(), vars(second).values(), strict=True))
    others = [style_at(position) for position in range(7)]
    for channel in ("marker", "dash"):
        assert not {getattr(style, channel) for style in ENSEMBLES} & {getattr(style, channel) for style in others}


surfaces = pytest.mark.parametrize("surface", ["colour", "dark"])


@surfaces
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_ensembles_stay_apart_from_models_with_their_pattern(deficiency: str, surface: str) -> None:
    seen = seen_colours(
        [getattr(style, surface) for style in [*TWELVE, *ENSEMBLES]], np.array(DEFICIENCIES[deficiency])
    )
    for first, style in enumerate(TWELVE):
        for second, ensemble in enumerate(ENSEMBLES, len(TWELVE)):
            assert style.pattern != ensemble.pattern or float(np.linalg.norm(seen[first] - seen[second])) > 30


@surfaces
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_twelve_models_stay_apart_without_colour_vision(deficiency: str, surface: str) -> None:
    lab = seen_colours([getattr(style, surface) for style in TWELVE], np.array(DEFICIENCIES[deficiency]))
    for first, second in combinations(range(12), 2):
        distance = float(np.linalg.norm(lab[first] - lab[second]))
        # 2 to 3 is what an observer just notices. The pattern comes on top, unless it is the same.
        same_shape = TWELVE[first].pattern == TWELVE[second].pattern
        assert distance > (30 if same_shape or second < 5 else 16), (TWELVE[first], TWELVE[second])


@surfaces
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_no_model_has_an_expressions_colour(deficiency: str, surface: str) -> None:
    models = [getattr(style, surface) for style in [*TWELVE, *ENSEMBLES]]
    seen = seen_colours([*models, *COLOURS.values()], np.array(DEFICIENCIES[deficiency]))
    for model, colour in zip(models, seen, strict=False):
        for expression, other in zip(COLOURS, seen[len(models) :], strict=True):
            distance = float(np.linalg.norm(colour - other))
            assert distance > (25 if deficiency == "none" else 15), (model, expression)


def seen_colours(styles: list[str], deficiency: NDArray[np.float64]) -> NDArray[np.float32]:
    """Colours "#rrggbb" as people with a deficiency see them, (N, 3) CIE 1976 Lab."""
    colours = np.array([[int(style[i : i + 2], 16) / 255 for i in (1, 3, 5)] for style in styles])
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ deficiency.T, 0, 1)
    encoded = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    return np.asarray(cv2.cvtColor(encoded[None].astype(np.float32), cv2.COLOR_RGB2Lab)[0])


def luminance(colour: str) -> float:
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize(("kind", "surface"), [("colour", "#ffffff"), ("dark", "#1c1c20")])
def test_the_colours_show_on_light_and_dark_surfaces(kind: str, surface: str) -> None:
    assert f"--fer-surface: {surface};" in CSS
    for style in [*TWELVE, *ENSEMBLES]:
        pair = sorted((luminance(getattr(style, kind)), luminance(surface)))
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 3, style


def test_charts_on_dark_surfaces_have_the_dark_colours() -> None:
    for style in [*TWELVE, *ENSEMBLES]:
        written = ", ".join(str(int(style.colour[i : i + 2], 16)) for i in (1, 3, 5))
        for kind in ("fill", "stroke"):
            chart = f'.dark .js-plotly-plot :is([style*="{kind}: rgb({written})"], [{kind}="rgb({written})"])'
            assert f"{chart} {{ {kind}: {style.dark} !important; }}" in CSS
    # The labels under the pointer are dark on both surfaces: no rule may take them for a model.
    hover = page_layout(100).hoverlabel
    assert not {hover.bgcolor.upper(), hover.bordercolor.upper()} & set(dark_colours())


def test_every_pattern_has_a_swatch() -> None:
    for style in [*TWELVE[1:7], *ENSEMBLES]:
        escaped = style.pattern.replace("\\", "\\\\")
        assert f'.fer-swatch[data-pattern="{escaped}"]' in CSS
