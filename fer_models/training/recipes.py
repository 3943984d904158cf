"""Every setting of a training run as data: one recipe per model and purpose, kept in the model's card."""

from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from fer_models.errors import UnknownNameError
from fer_models.models.preprocessing import InputSpec, imagenet_input
from fer_models.registry import MODEL_SPECS
from fer_models.training.augment import Augmentation
from fer_models.training.precision import Precision


@dataclass(frozen=True)
class Stage:
    """Some epochs at one input size.

    Attributes:
        size: input side in pixels.
        epochs: how many.
        share: of the training faces seen in one epoch, drawn anew each time; below 1 where pixels are costly.
        peak: of the recipe's learning rate that this stage climbs to.
        strength: what the recipe's augmentation is multiplied by; a deep network without pretraining learns nothing
            from faces varied at full strength at first.
        batch: faces per step, if not the recipe's.
        consistency: of EAC's lambda; at 0 the second view is not computed, at half the time.
    """

    size: int
    epochs: int
    share: float = 1.0
    peak: float = 1.0
    strength: float = 1.0
    batch: int | None = None
    consistency: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """How one model is trained.

    Attributes:
        architecture: a key of `fer_models.models.architectures.ARCHITECTURES`.
        labels: the label set, a key of `fer_models.registry.LABEL_SETS`.
        stages: sizes and lengths; the last stage's size is the model's input size.
        objective: "cross_entropy" or "eac".
        soft: learn from label distributions where the label set has them.
        batch: faces per step, over all processes.
        optimizer: "sgd" (Nesterov momentum) or "adamw".
        lr: peak learning rate.
        weight_decay: of weights; biases and norms decay too.
        momentum: of SGD.
        warmup: share of the steps of a stage, or of the run without restarts, in which the learning rate climbs from
            0; it then falls along a cosine to 0.
        smoothing: label smoothing.
        average: decay of the moving average of the weights.
        precision: "bf16" autocast or "fp32"; a machine that only emulates bf16 computes in fp32 (`precision.py`).
        consistency: EAC's lambda.
        ramp: share of the steps of the first stage with consistency over which lambda climbs from 0.
        view: EAC's second view, "mirrored" or "independent".
        augmentation: of the training faces.
        mode: colour mode of the input, "grey" or "rgb".
        start: weights to begin with: None, "imagenet" (MobileNetV2 and VGG16), or the name of a trained model.
        seed: of initial weights, order and augmentation.
        restarts: the learning rate climbs and falls anew in each stage; otherwise once over the whole run.
        teachers: names of trained models that part of each target comes from (`teachers.py`).
        teacher_share: that part, in [0, 1].
        teacher_view: what the teachers see: the "face" and its mirror image, once before the run, or the "augmented"
            input of each step, as the network sees it (Beyer et al., CVPR 2022), which costs more and tells more in a
            long run.
    """

    architecture: str
    labels: str
    stages: tuple[Stage, ...]
    objective: Literal["cross_entropy", "eac"] = "cross_entropy"
    soft: bool = False
    batch: int = 128
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.05
    weight_decay: float = 5e-4
    momentum: float = 0.9
    warmup: float = 0.15
    smoothing: float = 0.0
    average: float = 0.998
    precision: Precision = "bf16"
    consistency: float = 5.0
    ramp: float = 0.0
    view: Literal["mirrored", "independent"] = "mirrored"
    augmentation: Augmentation = field(default_factory=Augmentation)
    mode: Literal["grey", "rgb"] = "grey"
    start: str | None = None
    seed: int = 0
    restarts: bool = True
    teachers: tuple[str, ...] = ()
    teacher_share: float = 0.5
    teacher_view: Literal["face", "augmented"] = "face"

    def input(self, size: int) -> InputSpec:
        """What the network is fed at a size: colour pictures as ImageNet networks are fed, and as sharp as they are."""
        if self.mode == "grey":
            return InputSpec(size)
        return imagenet_input(size)


_EAC_AUGMENTATION: Final = Augmentation(rotation=10, shift=0.06, scale=0.1, brightness=0.15, contrast=0.15, erase=1.0)


def _network_and_labels(model: str) -> tuple[str, str]:
    return MODEL_SPECS[model].architecture, MODEL_SPECS[model].label_set


_EAC_RESNET50: Final = Recipe(
    *_network_and_labels("eac_resnet50"),
    (
        *(Stage(64, 6, strength=0.5, consistency=0), Stage(64, 1, peak=0.7, strength=0.5)),
        *(Stage(112, 1, 0.4, peak=0.5, strength=0.5, batch=32), Stage(112, 2, 0.5, peak=0.5, strength=0.5, batch=32)),
    ),
    "eac",
    soft=True,
    batch=64,
    optimizer="adamw",
    lr=5e-4,
    weight_decay=0.05,
    consistency=2.0,
    ramp=0.5,
    augmentation=_EAC_AUGMENTATION,
    start="resnet50",
)

_EAC_MOBILENET: Final = Recipe(
    *_network_and_labels("eac_mobilenet_v2"),
    (
        *(Stage(64, 8, strength=0.5, consistency=0), Stage(64, 3, peak=0.7, strength=0.5)),
        *(Stage(112, 2, 0.4, peak=0.5, strength=0.5), Stage(112, 3, 0.5, peak=0.4, strength=0.5)),
    ),
    "eac",
    soft=True,
    batch=64,
    optimizer="adamw",
    lr=1e-3,
    weight_decay=1e-2,
    consistency=2.0,
    ramp=0.5,
    precision="fp32",
    augmentation=_EAC_AUGMENTATION,
    start="imagenet",
)

#: After the paper and its public code, for those who have RAF-DB's pictures: 224 px in colour, mirrored and half of
#: them erased, lambda 5, Adam at 1e-4, 60 epochs. Different here: a tenth of the faces is held out to choose the epoch,
#: the first view is mirrored at random, too, what is erased becomes noise, weight decay is decoupled, the learning rate
#: falls along a cosine, and a moving average of the weights is kept. The authors begin from a network trained on
#: MS-Celeb-1M: give yours with --init.
_RAFDB: Final = Recipe(
    *("resnet50_caffe", "rafdb", (Stage(224, 60),), "eac"),
    mode="rgb",
    batch=32,
    optimizer="adamw",
    lr=1e-4,
    weight_decay=1e-4,
    average=0.99,
    augmentation=Augmentation(rotation=0, shift=0, scale=0, brightness=0, contrast=0, erase=0.5),
)


def _cycle(recipe: Recipe, model: str, stages: tuple[Stage, ...], **settings: Any) -> Recipe:
    """One more run from a model's own weights: a short warm-up, then one cosine to zero over all stages."""
    return replace(recipe, stages=stages, start=model, restarts=False, warmup=0.05, **settings)


_RESNET50_CYCLE: Final = Recipe(
    *_network_and_labels("resnet50"),
    (Stage(80, 6),),
    lr=0.02,
    warmup=0.05,
    augmentation=Augmentation(erase=0.25),
    start="resnet50",
    restarts=False,
    teachers=("vgg16", "resnet50"),
)


def _long(recipe: Recipe, stages: tuple[Stage, ...], **settings: Any) -> Recipe:
    """A cycle of as many epochs as a GPU runs in minutes, in larger steps."""
    return replace(recipe, stages=stages, batch=256, **settings)


_RESNET50_LONG: Final = _long(
    _RESNET50_CYCLE,
    (Stage(112, 40),),
    lr=0.06,
    augmentation=Augmentation(erase=0.25, mix=0.5),
    teachers=("vgg16",),
    teacher_view="augmented",
)

#: From features that learned FER+'s votes on the same training faces, twice as long.
_RESNET50_TRANSFER: Final = replace(_RESNET50_LONG, stages=(Stage(112, 76),), start="eac_resnet50")

_EAC_RESNET50_LONG: Final = _long(
    _cycle(_EAC_RESNET50, "resnet50", ()),
    (Stage(112, 3, strength=0.5, consistency=0), Stage(112, 12, strength=0.5)),
    lr=7e-4,
    ramp=0.2,
)

#: By model, then by purpose. "final" began the shipped weights, on two cores; "cycle" continues from them; "long" does
#: so on a GPU, and "finish" follows it on faces that are no longer mixed.
RECIPES: Final[dict[str, dict[str, Recipe]]] = {
    "resnet50": {
        "final": Recipe(
            *_network_and_labels("resnet50"),
            (
                *(Stage(48, 3, strength=0.3), Stage(48, 6, peak=0.7)),
                *(Stage(112, 5, 0.3, 0.6, 0.4), Stage(112, 4, 0.27, 0.4, 0.4, batch=32)),
                *(Stage(64, 9, 1.0, 0.8, 0.5, batch=64), Stage(112, 2, 0.5, 0.4, 0.5, batch=32)),
            ),
            optimizer="adamw",
            lr=1e-3,
            weight_decay=0.05,
            smoothing=0.05,
        ),
        "cycle": _RESNET50_CYCLE,
        "long": _RESNET50_LONG,
        "transfer": _RESNET50_TRANSFER,
        "finish": replace(_RESNET50_LONG, stages=(Stage(112, 9),), lr=0.02, augmentation=Augmentation(erase=0.25)),
    },
    "vgg16": {
        "final": Recipe(
            *_network_and_labels("vgg16"),
            (Stage(48, 5), Stage(64, 2, peak=0.5)),
            batch=64,
            lr=0.02,
            smoothing=0.05,
            start="imagenet",
        ),
        "cycle": replace(
            _RESNET50_CYCLE, architecture="vgg16", stages=(Stage(64, 6),), start="vgg16", teachers=("vgg16", "resnet50")
        ),
        "long": replace(
            _RESNET50_LONG, architecture="vgg16", stages=(Stage(64, 28),), start="vgg16", teachers=("vgg16", "resnet50")
        ),
    },
    "eac_resnet50": {
        "final": _EAC_RESNET50,
        "cycle": _cycle(_EAC_RESNET50, "eac_resnet50", (Stage(80, 4, strength=0.5),), ramp=0.0, lr=3e-4),
        "long": _EAC_RESNET50_LONG,
        "rafdb": _RAFDB,
    },
    "eac_mobilenet_v2": {
        "final": _EAC_MOBILENET,
        "cycle": _cycle(_EAC_MOBILENET, "eac_mobilenet_v2", (Stage(112, 6, strength=0.5),), ramp=0.0, lr=5e-4),
        "long": _long(
            _cycle(_EAC_MOBILENET, "eac_mobilenet_v2", ()), (Stage(112, 24, strength=0.5),), ramp=0.0, lr=1e-3
        ),
        "rafdb": replace(_RAFDB, architecture="mobilenet_v2_stride32", precision="fp32", start="imagenet"),
    },
    # EAC's networks without EAC: the same pictures, steps and draws, but no consistency loss.
    "plain_resnet50": {
        "final": replace(_EAC_RESNET50, consistency=0.0),
        "long": replace(_EAC_RESNET50_LONG, consistency=0.0),
    },
    "plain_mobilenet_v2": {"final": replace(_EAC_MOBILENET, consistency=0.0)},
}


def find_recipe(model: str, purpose: str) -> Recipe:
    """The recipe of a model for a purpose.

    Raises:
        UnknownNameError: no such model, or no such recipe for it.
    """
    if model not in RECIPES:
        raise UnknownNameError("model", model, RECIPES)
    if purpose not in RECIPES[model]:
        raise UnknownNameError(f"recipe for {model}", purpose, RECIPES[model])
    return RECIPES[model][purpose]
