"""Explains one face with several models, as the `explain` command and `/explain` do, and gives their JSON."""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from explain.gradcam import all_expressions, check, explain
from explain.maps import Explanation, contrast_of, likeliest_other, why_no_contrast
from explain.methods import CONTRAST_SCALE, METHODS, supported
from fer_models import __version__
from fer_models.analyzer import Analyzer
from fer_models.errors import ExplanationError, ImageError, UnknownNameError
from fer_models.expressions import EXPRESSIONS, expression, in_display_order
from fer_models.models.classifier import Classifier
from fer_models.results import FaceAnalysis, Prediction

#: The target that means every expression a model knows.
ALL: Final = "all"
#: The target that means each model's predicted class.
OWN: Final = "own"
#: The other expression of a contrast that means each model's most probable one besides the target.
SECOND: Final = "second"

_PACKAGES: Final = ("grad-cam", "torch", "numpy")


@dataclass(frozen=True, eq=False)
class ExplainedFace:
    """One face and its evidence maps.

    Attributes:
        analysis: the face and the models' predictions.
        number: of the face in its picture, from 1.
        maps: by model name and expression; none for a model in `without_map`.
        without_map: why a model has no map by this method, by its name.
    """

    analysis: FaceAnalysis
    number: int
    maps: Mapping[str, Mapping[str, Explanation]]
    without_map: Mapping[str, str] = field(default_factory=dict)


def explain_picture(
    analyzer: Analyzer,
    image: NDArray[np.uint8],
    *,
    models: Sequence[str] | None = None,
    method: str = "native",
    target: str = OWN,
    rather_than: str | None = None,
    layer: str | None = None,
    smooth: str | None = None,
    face: int = 1,
    whole: bool = False,
    progress: Callable[[float], None] | None = None,
) -> ExplainedFace:
    """Find a face and explain it with several models. Names are checked before anything is computed.

    Args:
        analyzer: the models and the detector.
        image: (H, W, 3) uint8 RGB.
        models: only these; None means all that are loaded.
        method: a key of `explain.methods.METHODS`.
        target: an expression, `OWN` or `ALL`.
        rather_than: another expression or `SECOND`: then maps show why the target rather than this one
            (`explain.maps.contrast`), for the native method. A model that does not know one of both has no map.
        layer: as in `explain.gradcam.explain`.
        smooth: as in `explain.gradcam.explain`.
        face: number of the face, from 1, the largest.
        whole: read the picture as one face instead of looking for faces.
        progress: called with the share done, in [0, 1].

    Raises:
        UnknownNameError: no such model, method, expression, layer or smoothing.
        ExplanationError: the method is not installed, does not take an option, or gives no map for any of the models.
        ImageError: the picture cannot be used, or has no such face.
    """
    names = list(analyzer.classifiers) if models is None else list(dict.fromkeys(models))
    if rather_than is not None and method != "native":
        raise ExplanationError(f"Two expressions are contrasted with native maps, not by {method}.")
    without_map: dict[str, str] = {}
    for name in names:
        if name not in analyzer.classifiers:
            raise UnknownNameError("model", name, analyzer.classifiers)
        classifier = analyzer.classifiers[name]
        if method in METHODS and (reason := supported(classifier)[method]):
            without_map[name] = reason
            continue
        known = classifier.card.labels
        asked: Sequence[str] = known if target in (ALL, OWN) else (_expression(target, classifier),)
        if rather_than is not None:
            other = rather_than if rather_than == SECOND else _expression(rather_than, classifier)
            if asked == (other,):
                raise ExplanationError(f"{target} cannot be contrasted with itself. Name two expressions.")
            asked = [one for one in asked if one in known]  # one that a model does not know is its reason, not an error
        for one in asked:
            check(classifier, one, method, layer=layer, smooth=smooth)
    if names and len(without_map) == len(names):
        raise ExplanationError(next(iter(without_map.values())))
    analyses = analyzer.analyze([image], whole=whole, models=names)
    if not analyses:
        raise ImageError("No face was found in this picture. If it is itself a single face, read it as a whole.")
    if not 1 <= face <= len(analyses):
        count = "one face" if len(analyses) == 1 else f"{len(analyses)} faces"
        raise ImageError(f"There is no face {face}: the picture has {count}, numbered from 1.")
    analysis = analyses[face - 1]
    targets_of = {
        name: _targets(target, analysis.predictions[name], analyzer.classifiers[name])
        for name in analyzer.classifiers
        if name in names and name not in without_map
    }
    steps, done = sum(map(len, targets_of.values())), 0
    maps: dict[str, dict[str, Explanation]] = {}
    for name, targets in targets_of.items():
        classifier = analyzer.classifiers[name]
        if method == "native":  # one pass gives them all
            every = all_expressions(classifier, analysis.crop_of(name))
            if rather_than is None:
                maps[name] = {one: every[one] for one in targets}
            else:
                maps[name], reason = _contrasts(every, analysis.predictions[name], targets, rather_than)
                if not maps[name]:
                    without_map[name] = reason
            done += len(targets)
            continue
        maps[name] = {}
        for one in targets:
            report = None if progress is None else _Part(progress, done, steps)
            maps[name][one] = explain(
                classifier, analysis.crop_of(name), one, method, layer=layer, smooth=smooth, progress=report
            )
            done += 1
    if names and len(without_map) == len(names):
        raise ExplanationError(next(iter(without_map.values())))
    shown = {name: maps.get(name, {}) for name in analyzer.classifiers if name in names}
    return ExplainedFace(analysis, face, shown, without_map)


def to_json(
    explained: ExplainedFace, image: NDArray[np.uint8], analyzer: Analyzer, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """An explained face as plain dicts, lists, strings and floats, ready for `json.dumps`.

        {"versions": {PACKAGE: version}, "image": {"width", "height"}, "face": {"number", "box": [x1, y1, x2, y2],
          "landmarks": [[x, y], ...] or null, "score"},
         "models": {NAME: {"title", "architecture", "weights_sha256", "label", "probabilities": {EXPRESSION: p},
           "maps": {EXPRESSION: {"method", "layer", "smooth", "scale", "shape": [h, w], "peak", "cost_ms",
             "heat": [[...], ...]}}}},
         "notes": [sentences, only if there are any]}

    Boxes and landmarks are in source pixels. Heat is raw and signed, to six digits; "scale" says what it means. A model
    without a map has no maps, and says why under "no_map".

    Args:
        explained: the face.
        image: (H, W, 3) uint8 RGB, its picture.
        analyzer: which explained it.
        notes: what the picture's file was not as it should be in (`fer_models.media.images.Picture`).
    """
    face = explained.analysis.face
    height, width = image.shape[:2]
    return {
        "versions": versions(),
        "image": {"width": int(width), "height": int(height)},
        "face": {
            "number": explained.number,
            "box": [round(float(side), 2) for side in face.box],
            "landmarks": None if face.landmarks is None else np.round(face.landmarks.astype(float), 2).tolist(),
            "score": float(face.score),
        },
        "models": {
            name: model_record(analyzer.classifiers[name], explained.analysis.predictions[name], maps)
            | ({"no_map": explained.without_map[name]} if name in explained.without_map else {})
            for name, maps in explained.maps.items()
        },
    } | ({"notes": list(notes)} if notes else {})


def versions() -> dict[str, str]:
    """By package, the versions that a map depends on."""
    return {"fer-compare": __version__} | {name: importlib.metadata.version(name) for name in _PACKAGES}


def model_record(classifier: Classifier, prediction: Prediction, maps: Mapping[str, Explanation]) -> dict[str, Any]:
    """What `to_json` holds of one model.

    Args:
        classifier: the model.
        prediction: for the face.
        maps: by expression.
    """
    return {
        "title": classifier.card.title,
        "architecture": classifier.card.architecture,
        "weights_sha256": classifier.card.sha256,
        "label": prediction.label,
        "probabilities": {one: prediction.probability(one) for one in in_display_order(prediction.labels)},
        "maps": {name: map_record(one) for name, one in maps.items()},
    }


def map_record(explanation: Explanation) -> dict[str, Any]:
    """What `to_json` holds of one map."""
    return {
        "method": explanation.method,
        **({} if explanation.rather_than is None else {"rather_than": explanation.rather_than}),
        "layer": explanation.layer,
        "smooth": explanation.smooth,
        "scale": CONTRAST_SCALE if explanation.rather_than else METHODS[explanation.method].scale,
        "shape": list(explanation.heat.shape),
        "peak": explanation.peak,
        "cost_ms": None if explanation.cost_ms is None else round(explanation.cost_ms, 2),
        "heat": [[float(f"{value:.6g}") for value in row] for row in explanation.heat],
    }


@dataclass(frozen=True)
class _Part:
    """Progress of one step as a share of all steps."""

    report: Callable[[float], None]
    done: int
    steps: int

    def __call__(self, share: float) -> None:
        self.report((self.done + share) / self.steps)


def _expression(target: str, classifier: Classifier) -> str:
    return _known(target, classifier.card.labels)


def _known(target: str, labels: Sequence[str]) -> str:
    """A target by any spelling the vocabulary knows; a model may also have labels of its own."""
    if target in labels:
        return target
    try:
        return expression(target)
    except UnknownNameError:
        raise UnknownNameError("expression", target, (*EXPRESSIONS, OWN, ALL)) from None


def _contrasts(
    every: Mapping[str, Explanation], prediction: Prediction, targets: Sequence[str], rather_than: str
) -> tuple[dict[str, Explanation], str]:
    """Each target rather than another expression, where it can be contrasted; and why one cannot."""
    found, reason = {}, ""
    for one in targets:
        other = likeliest_other(prediction, one) if rather_than == SECOND else _known(rather_than, prediction.labels)
        if why := why_no_contrast(prediction.labels, one, other):
            reason = why
        else:
            found[one] = replace(contrast_of(every, prediction.model, one, other), cost_ms=every[one].cost_ms)
    return found, reason


def _targets(target: str, prediction: Prediction, classifier: Classifier) -> list[str]:
    if target == OWN:
        return [prediction.label]
    return in_display_order(prediction.labels) if target == ALL else [_expression(target, classifier)]
