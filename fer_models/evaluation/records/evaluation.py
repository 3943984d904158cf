"""What `evaluate` measured on one label set: SET_test.json."""

from collections.abc import Mapping

from fer_models.evaluation.records.base import Amount, Count, Provenance, Record, Share, ShareInterval
from fer_models.registry import ensemble_members


class Headline(Record):
    """The main figures on some of the faces.

    Attributes:
        count: faces.
        accuracy: share of them that is classified correctly.
        macro_f1: mean F1 of the expressions.
        accuracy_interval: the accuracy with its 95 % bootstrap interval; None in older files.
    """

    count: Count
    accuracy: Share
    macro_f1: Share
    accuracy_interval: ShareInterval | None = None


class ConfidenceErrors(Record):
    """How far confidences can be believed; the likelihood is in nats."""

    expected_calibration_error: Share
    negative_log_likelihood: Amount


class EvaluationFigures(Headline, ConfidenceErrors):
    """What is measured of a model, or of the ensemble, on labelled faces.

    Attributes:
        recall: by expression; None where no face carries it.
        labels: order of the confusion matrix.
        confusion: (C, C) counts; rows are the truth.
        without_overlap: the headline on the faces without a duplicate in the training split, where there are some.
        accuracy_flip_averaged: accuracy of the mean over each face and its mirror image, with its 95 % interval; None
            where that was not measured. All other figures are of the face alone.
    """

    recall: dict[str, Share | None]
    labels: tuple[str, ...]
    confusion: tuple[tuple[Count, ...], ...]
    without_overlap: Headline | None = None
    accuracy_flip_averaged: ShareInterval | None = None


class Baseline(Record):
    """Marks a network that is measured beside the models and not shipped.

    Attributes:
        title: what people read.
        peer: whose weights they are and what they learned from, for other people's; None for a network that this
            project trained.
    """

    title: str
    peer: str | None = None


class MergedFigures(Headline):
    """What a model achieves on a merged label set.

    Attributes:
        classes: by class, the labels that count as it.
        recall: by class; None where no face carries it.
        confusion: (C, C) counts in the order of the classes; rows are the truth.
        unknown: classes of which the model knows no label.
    """

    classes: dict[str, tuple[str, ...]]
    recall: dict[str, Share | None]
    confusion: tuple[tuple[Count, ...], ...]
    unknown: tuple[str, ...]


class ModelEvaluation(EvaluationFigures):
    """One model; figures after its temperature.

    Attributes:
        temperature: divides the logits.
        before_temperature: the same errors at temperature 1.
        training_labels: as on its card.
        sha256: of its weights.
        baseline: for a network that is not shipped.
        merged: by the name of a merged label set; None where that was not asked for.
    """

    temperature: Amount
    before_temperature: ConfidenceErrors
    training_labels: str
    sha256: str
    baseline: Baseline | None = None
    merged: dict[str, MergedFigures] | None = None


class EnsembleEvaluation(EvaluationFigures):
    """The mean of some models' probabilities."""

    members: tuple[str, ...]


class TrainTestDuplicates(Record):
    """Test faces that also stand in the training split.

    Attributes:
        correlation_above: what counts as the same face.
        rows: of such faces in the dataset.
    """

    correlation_above: Share
    rows: tuple[Count, ...]


class EvaluationRecord(Provenance):
    """What `evaluate` measured on one label set.

    Attributes:
        labels: the label set.
        split: of the dataset.
        views: of each face, for all figures but those that are flip-averaged.
        faces_not_found: pictures without a detected face, read whole.
        overlap: train/test duplicates.
        models: by name.
        ensemble: of the shipped models that learned this label set, where at least two were measured.
    """

    labels: str
    split: str
    views: Count
    faces_not_found: Count
    overlap: TrainTestDuplicates
    models: dict[str, ModelEvaluation]
    ensemble: EnsembleEvaluation | None = None

    @property
    def ensemble_members(self) -> tuple[str, ...]:
        """The shipped models that are averaged on this label set, see `fer_models.registry.ensemble_members`."""
        shipped = {name: model.training_labels for name, model in self.models.items() if model.baseline is None}
        return ensemble_members(shipped, self.labels)

    @property
    def measured_weights(self) -> Mapping[str, str]:
        """As `Provenance.measured_weights`."""
        return {name: model.sha256 for name, model in self.models.items() if model.baseline is None}
