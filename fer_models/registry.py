"""The models, label sets and ensembles of this project, each declared once; cards, commands and tabs read them here."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from fer_models.errors import DatasetError, UnknownNameError
from fer_models.models.ensemble import ENSEMBLE, ENSEMBLE_TITLE, Ensemble
from fer_models.models.noise_pairs import is_noise_network

if TYPE_CHECKING:  # naming the label sets should not wait for OpenCV
    from fer_models.datasets.dataset import FaceData


@dataclass(frozen=True)
class ModelStyle:
    """How a model looks in every chart, legend and column. Colour and shape differ, so that either is enough.

    Attributes:
        colour: "#rrggbb", on light surfaces and in pictures.
        pattern: of bars and swatches, a Plotly pattern shape; "" is solid.
        marker: of points, a Plotly marker symbol.
        dash: of lines, a Plotly dash style.
        dark: "#rrggbb" on dark surfaces; "" if it is the same.
    """

    colour: str
    pattern: str = ""
    marker: str = "circle"
    dash: str = "solid"
    dark: str = ""

    @property
    def on_dark(self) -> str:
        """The colour on dark surfaces."""
        return self.dark or self.colour


#: On light and on dark surfaces. On each, the first five are at least 30 apart (CIE 1976 Lab) with full colour vision,
#: protanopia, deuteranopia and tritanopia; the others are at least 16 apart, and colours that share a shape at least
#: 30. None is nearer than 25 to an expression's colour, or 15 without full colour vision. Every colour has a contrast
#: of at least 3 on its surface (WCAG 2.2, 1.4.11). All of this is tested.
_COLOURS: Final = (
    ("#3C3C87", "#9696FF"),
    ("#E1005A", "#FF1E4B"),
    ("#4B2D00", "#F0E12D"),
    ("#961EFF", "#960FFF"),
    ("#8787F0", "#4BFFF0"),
    ("#C3693C", "#D20FB4"),
    ("#3C0087", "#4B783C"),
    ("#963C0F", "#FFB4C3"),
    ("#5A004B", "#784BE1"),
    ("#692DC3", "#96B478"),
    ("#0F5A3C", "#D2E196"),
    ("#784B78", "#B4F069"),
)
#: Pattern, marker and dash. Their number shares no factor with that of the colours, so all pairs occur before one does
#: twice.
_SHAPES: Final = (
    ("", "circle", "solid"),
    ("/", "square", "dash"),
    (".", "diamond", "dot"),
    ("x", "x", "dashdot"),
    ("-", "triangle-up", "longdash"),
    ("\\", "triangle-down", "12px,4px,4px,4px"),
    ("|", "pentagon", "2px,7px"),
)
#: Ensembles are black, on dark surfaces white: grey is neutral's. The second shape has a model's pattern, but not its
#: colour, and a marker and dash of its own.
_GREYS: Final = (("#17171A", "#F4F4F5"), ("#404047", "#DCDCE0"), ("#2C2C31", "#E9E9EC"))
_ENSEMBLE_SHAPES: Final = (("+", "cross", "longdashdot"), ("\\", "star", "4px,2px,1px,2px"))


def style_at(position: int) -> ModelStyle:
    """The style of the model at a position, counted from 0. The first 84 all differ."""
    light, dark = _COLOURS[position % len(_COLOURS)]
    return ModelStyle(light, *_SHAPES[position % len(_SHAPES)], dark)


def ensemble_style_at(position: int) -> ModelStyle:
    """The style of the ensemble at a position, counted from 0. The first six all differ."""
    light, dark = _GREYS[position % len(_GREYS)]
    return ModelStyle(light, *_ENSEMBLE_SHAPES[position % len(_ENSEMBLE_SHAPES)], dark)


def dark_colours() -> dict[str, str]:
    """The colour on dark surfaces of every colour that a model or ensemble has on light ones."""
    return dict((*_COLOURS, *_GREYS))


#: Of the only ensemble of a chart.
ENSEMBLE_STYLE: Final = ensemble_style_at(0)


@dataclass(frozen=True)
class ModelSpec:
    """A model that this project trains.

    Attributes:
        name: what commands, files and the API call it, such as "eac_resnet50".
        title: what people read, such as "EAC (ResNet-50)".
        architecture: a key of `fer_models.models.architectures.ARCHITECTURES`.
        label_set: the label set it is trained on, a key of `LABEL_SETS`.
        recipe: its default recipe, a key of `fer_models.training.recipes.RECIPES[name]`.
        style: how it looks in charts; None for a baseline, which takes the next free style where it is shown.
    """

    name: str
    title: str
    architecture: str
    label_set: str
    recipe: str = "final"
    style: ModelStyle | None = None


#: By name, in the order in which every table and chart shows them. Baselines come last: they are trained for comparison
#: alone and their weights are not shipped.
MODEL_SPECS: Final[Mapping[str, ModelSpec]] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            ModelSpec("resnet50", "ResNet50", "resnet50", "fer2013", style=style_at(0)),
            ModelSpec("vgg16", "VGG16", "vgg16", "fer2013", style=style_at(1)),
            ModelSpec("eac_resnet50", "EAC (ResNet-50)", "resnet50", "ferplus", style=style_at(2)),
            ModelSpec("eac_mobilenet_v2", "EAC (MobileNetV2)", "mobilenet_v2", "ferplus", style=style_at(3)),
            ModelSpec("plain_resnet50", "ResNet-50 on FER+, without EAC", "resnet50", "ferplus"),
            ModelSpec("plain_mobilenet_v2", "MobileNetV2 on FER+, without EAC", "mobilenet_v2", "ferplus"),
        )
    }
)
#: Names of the models whose weights are shipped, in their order.
MODELS: Final = tuple(spec.name for spec in MODEL_SPECS.values() if spec.style)


def model_styles(names: Iterable[str]) -> dict[str, ModelStyle]:
    """The style of each model by name, and of the ensemble.

    The shipped models always look the same. Every other model takes the next style that is none of theirs, by name and
    baselines last: so most look the same in every tab, whoever stands beside them.
    """
    fixed = {ENSEMBLE: ENSEMBLE_STYLE} | {spec.name: spec.style for spec in MODEL_SPECS.values() if spec.style}
    names = list(dict.fromkeys(names))
    others = sorted((name for name in names if name not in fixed), key=lambda name: (name in MODEL_SPECS, name))
    styles = fixed | {name: style_at(len(MODELS) + position) for position, name in enumerate(others)}
    return {name: styles[name] for name in names}


@dataclass(frozen=True)
class LabelSetSpec:
    """Labelled faces that models are trained or measured on.

    Attributes:
        name: what commands and files call it, such as "ferplus".
        title: what people read, such as "FER+".
        training_labels: what the card of a model trained on it says about the labels.
        training_data: what that card says about the pictures, their origin and licence.
        loader: MODULE.FUNCTION in `fer_models.datasets`, imported when a split is read. Takes the folder and the split,
            and the keywords of `load_dataset`.
        pictures: name of the label set that these pictures come from, if another: FER+ relabels FER2013's pictures.
    """

    name: str
    title: str
    training_labels: str
    training_data: str
    loader: str
    pictures: str | None = None


#: By name.
LABEL_SETS: Final[Mapping[str, LabelSetSpec]] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            LabelSetSpec(
                "fer2013",
                "FER2013",
                "FER2013",
                "FER2013 (Goodfellow et al., 2013), training split: 28,709 grey faces of 48x48 px from web search",
                "fer2013.load_fer2013",
            ),
            LabelSetSpec(
                "ferplus",
                "FER+",
                "FER+ (7 expressions, majority)",
                "FER2013's training faces with FER+ votes (Barsoum et al., ICMI 2016; labels MIT): 24,941 faces",
                "fer2013.load_ferplus",
                pictures="fer2013",
            ),
            LabelSetSpec(
                "rafdb",
                "RAF-DB",
                "RAF-DB",
                "RAF-DB (Li et al., CVPR 2017), non-commercial research licence",
                "rafdb.load_rafdb",
            ),
            LabelSetSpec(
                "folder",
                "Class folders",
                "class folders",
                "a folder of labelled pictures",
                "folders.load_folder",
            ),
        )
    }
)
#: Label sets of FER2013's pictures: cut-out faces of one size with their landmarks on the alignment template. Their
#: splits share near duplicates. The leaderboard shows their test splits.
FER2013_LABEL_SETS: Final = tuple(name for name, spec in LABEL_SETS.items() if "fer2013" in (name, spec.pictures))


def ensembles_of(training_labels: Mapping[str, str]) -> tuple[Ensemble, ...]:
    """The ensembles that some models offer: one per label set that at least two of them learned.

    A mean of models that learned different labels is not offered: on either label set it is less accurate than the
    better models. Baselines, networks of the label noise study and models whose cards name no labels join none.

    Args:
        training_labels: what each model's card says about them, by model name. Models are joined by this text; case and
            spaces do not count.

    Returns:
        In the order of `LABEL_SETS`, then in the order of the models. No ensemble has the name of a model.
    """
    known = _by_training_labels()
    members: dict[str, list[str]] = {}
    for name, labels in training_labels.items():
        baseline = name in MODEL_SPECS and name not in MODELS
        if _same(labels) and not baseline and not is_noise_network(name):
            members.setdefault(_same(labels), []).append(name)
    ensembles: list[Ensemble] = []
    for key in sorted(members, key=[*known, *members].index):
        if len(members[key]) > 1:
            spec = known.get(key)
            title = f"{ENSEMBLE_TITLE} ({label_set_title(training_labels[members[key][0]])})"
            taken = {*training_labels, *(each.name for each in ensembles)}
            name = _free_name(f"{ENSEMBLE}_{spec.name if spec else _slug(key)}", taken)
            ensembles.append(Ensemble(name, title, tuple(members[key]), spec.name if spec else None))
    return tuple(ensembles)


def label_set_title(training_labels: str) -> str:
    """What people read of the labels that a model was trained on: the label set's title, or else the card's words.

    Args:
        training_labels: as on its card; case and spaces do not count. "" where the card names none.
    """
    spec = _by_training_labels().get(_same(training_labels))
    return spec.title if spec else " ".join(training_labels.split())


def ensemble_members(training_labels: Mapping[str, str], label_set: str) -> tuple[str, ...]:
    """The models that are averaged on a label set: those that learned it; none if they are fewer than two.

    Args:
        training_labels: as for `ensembles_of`.
        label_set: what they are measured on, such as "fer2013".
    """
    return next((each.members for each in ensembles_of(training_labels) if each.label_set == label_set), ())


def ensemble_styles(ensembles: Iterable[Ensemble]) -> dict[str, ModelStyle]:
    """The style of each ensemble by name; that of a label set of this project always looks the same."""
    ensembles = list(ensembles)
    fixed, others = [*LABEL_SETS], [each.name for each in ensembles if each.label_set is None]
    return {
        each.name: ensemble_style_at(
            fixed.index(each.label_set) if each.label_set else len(fixed) + others.index(each.name)
        )
        for each in ensembles
    }


def _by_training_labels() -> dict[str, LabelSetSpec]:
    return {_same(spec.training_labels): spec for spec in LABEL_SETS.values()}


def _same(labels: str) -> str:
    return " ".join(labels.split()).casefold()


def _slug(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_") or "other_labels"


def _free_name(name: str, taken: Iterable[str]) -> str:
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def load_dataset(
    name: str,
    root: Path,
    split: str,
    *,
    labels_file: str | None = None,
    seed: int = 0,
    class_names: Mapping[str, str] | None = None,
) -> "FaceData":
    """The labelled faces of one split, every label mapped to the one vocabulary by name.

    | name    | files below the folder                                                        |
    |---------|-------------------------------------------------------------------------------|
    | fer2013 | fer2013.csv or icml_face_data.csv (Kaggle: emotion,pixels,Usage)              |
    | ferplus | one of these and fer2013new.csv (the FER+ votes, row for row)                 |
    | rafdb   | EmoLabel/list_patition_label.txt or a noise file, Image/aligned/*_aligned.jpg |
    | folder  | SPLIT/CLASS/picture or CLASS/picture                                          |

    Args:
        name: a key of `LABEL_SETS`.
        root: the folder that holds the dataset's files.
        split: "train", "validation" or "test", or as the dataset calls it (such as "PrivateTest").
        labels_file: for RAF-DB, another label list in EmoLabel/, such as "noise01.txt".
        seed: of the held-out validation split where the dataset has none of its own.
        class_names: for class folders, the expressions that names such as "1" stand for.

    Raises:
        DatasetError: a file is missing or malformed; the message names file, row and the expected shape.
        UnknownNameError: no such label set or split.
    """
    if name not in LABEL_SETS:
        raise UnknownNameError("label set", name, LABEL_SETS)
    if not root.is_dir():
        raise DatasetError(f"There is no folder {root}. Give the folder that holds the dataset's files.")
    if class_names and name != "folder":
        raise DatasetError(f"--class-names is for --labels folder; {LABEL_SETS[name].title} has names for its classes.")
    module, _, function = LABEL_SETS[name].loader.partition(".")
    load: Callable[..., FaceData] = getattr(import_module(f"fer_models.datasets.{module}"), function)
    return load(root, split, labels_file=labels_file, seed=seed, class_names=class_names)
