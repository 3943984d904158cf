"""METHODS: the methods that make evidence maps, as data; and which of them can explain a model.

The grad-cam library is not loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # the command's help should not wait for NumPy
    from fer_models.models.classifier import Classifier

#: The layer whose maps the head pools: what is explained unless another one is named.
LAST: Final = "stage4"
#: The library's smoothing: "aug" averages the maps of six altered copies of the face (mirrored or not, contrast times
#: 0.9, 1 or 1.1); "eigen" keeps the first principal component of the channels' contributions.
SMOOTHING: Final = ("aug", "eigen", "aug+eigen")
_AUG: Final = ("aug",)

#: Kinds of maps. Class activation maps are made from a network's features; a perturbation map from the answers for
#: altered pictures, so that it needs nothing but answers. Their numbers and their resolution cannot be compared.
ACTIVATION: Final = "class activation map"
PERTURBATION: Final = "perturbation map"

#: What the numbers of `explain.maps.contrast` mean.
CONTRAST_SCALE: Final = "evidence for the expression's logit minus that for the other's"

_LOGIT: Final = "evidence for the expression's logit"
_OWN: Final = "a scale of its own"
_RELATIVE: Final = "relative only: compare places, not strengths"


@dataclass(frozen=True)
class Method:
    """Facts about one method.

    Attributes:
        title: what people read.
        idea: how it works, in one plain sentence.
        library_name: its class in the grad-cam library; None for the native map and for perturbations.
        speed: "at once", "fast" (under a second), "slow" (seconds) or "very slow" (up to a minute), for one face and
            one model on a CPU.
        scale: what the raw values mean.
        smoothing: which of `SMOOTHING` it takes.
        uses_target: whether the map depends on the expression.
        layers: whether it takes a layer.
        kind: `ACTIVATION` or `PERTURBATION`.
    """

    title: str
    idea: str
    library_name: str | None
    speed: str
    scale: str = _OWN
    smoothing: tuple[str, ...] = SMOOTHING
    uses_target: bool = True
    layers: bool = True
    kind: str = ACTIVATION


#: Every method by name, in the order a reader should meet them.
METHODS: Final = MappingProxyType(
    {
        "native": Method(
            "Native (class attention map)",
            "The head's weights times the last feature maps: exactly what was added up to the model's answer.",
            None,
            "at once",
            _LOGIT,
            (),
            layers=False,
        ),
        "gradcam": Method("Grad-CAM", "Weighs each feature map by its average gradient.", "GradCAM", "fast", _LOGIT),
        "gradcam++": Method(
            "Grad-CAM++",
            "Like Grad-CAM, but small strong spots count as much as large ones.",
            "GradCAMPlusPlus",
            "fast",
        ),
        "hirescam": Method(
            "HiResCAM", "Multiplies features by their gradients cell by cell.", "HiResCAM", "fast", _LOGIT, _AUG
        ),
        "xgradcam": Method("XGrad-CAM", "Grad-CAM with gradients weighed by the features.", "XGradCAM", "fast"),
        "layercam": Method(
            "Layer-CAM", "Counts only cells whose gradient is positive; good at earlier layers.", "LayerCAM", "fast"
        ),
        "eigengradcam": Method(
            "Eigen-Grad-CAM",
            "The main pattern in features times gradients; its sign is arbitrary.",
            "EigenGradCAM",
            "fast",
            smoothing=_AUG,
        ),
        "eigencam": Method(
            "Eigen-CAM",
            "The main pattern in the features, whatever the expression; its sign is arbitrary.",
            "EigenCAM",
            "fast",
            smoothing=_AUG,
            uses_target=False,
        ),
        "refinecam": Method(
            "RefineCAM",
            "The product of Grad-CAM++ maps of this layer and all earlier ones.",
            "RefineCAM",
            "fast",
            _RELATIVE,
            ("eigen",),
        ),
        "fullgrad": Method(
            "FullGrad",
            "Adds up gradients of every layer's bias; shows edges of the face.",
            "FullGrad",
            "slow",
            _RELATIVE,
            layers=False,
        ),
        "ablationcam": Method(
            "Ablation-CAM", "Switches each feature map off and sees how the answer drops.", "AblationCAM", "slow"
        ),
        "scorecam": Method(
            "Score-CAM", "Shows the model the face through each feature map as a mask.", "ScoreCAM", "very slow"
        ),
        "occlusion": Method(
            "Occlusion",
            "Covers one square after the other and sees how far the probability falls.",
            None,
            "slow",
            "drop of the expression's probability",
            (),
            layers=False,
            kind=PERTURBATION,
        ),
        "rise": Method(
            "RISE",
            "Shows the model the face through 1,000 random masks and sees where its being visible helps.",
            None,
            "very slow",
            "rise of the expression's probability over its mean",
            (),
            layers=False,
            kind=PERTURBATION,
        ),
    }
)


#: Classes of the library that look at several layers, which are known of this project's networks alone.
_OWN_NETWORKS: Final = ("FullGrad", "RefineCAM")


def supported(classifier: "Classifier") -> Mapping[str, str]:
    """By method, "" if it can explain a model, or why it cannot, in one sentence.

    Perturbation maps need nothing but answers. The native map needs the features that a linear head pools. All others
    need gradients or layers, so a PyTorch network; of another system's, its last layer with places.

    Args:
        classifier: the model.
    """
    return MappingProxyType({name: _obstacle(classifier, facts) for name, facts in METHODS.items()})


def _obstacle(classifier: "Classifier", facts: Method) -> str:
    if facts.kind == PERTURBATION:
        return ""
    if facts.library_name is None:
        from explain.maps import NO_MAP

        return NO_MAP if classifier.class_weights is None else ""
    if classifier.network is not None:
        return ""
    engine = classifier.module_engine
    if classifier.remote:
        return f"No map: {facts.title} needs gradients or layers; the models run on the backend, which sends neither."
    if engine is None:
        return f"No map: {facts.title} needs a PyTorch network; this file is a graph without gradients."
    if engine.explained is None:
        return f"No map: {facts.title} needs a layer that shows places; none was found in this network."
    if facts.library_name in _OWN_NETWORKS or (facts.library_name == "AblationCAM" and engine.explained.axes != "NCHW"):
        return f"No map: {facts.title} does not explain networks of this kind."
    return ""
