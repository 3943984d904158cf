"""The label noise study: noise_study.json."""

from fer_models.evaluation.records.base import Count, Provenance, Record, Share


class NoisePoint(Record):
    """One epoch of a training on partly wrong labels.

    Attributes:
        epoch: counted from 1.
        validation_accuracy: on clean labels.
        test_accuracy: on clean labels.
        wrong_labels_held: share of the wrong training labels that the network predicts (memorised labels); None where
            none are wrong.
    """

    epoch: Count
    validation_accuracy: Share
    test_accuracy: Share
    wrong_labels_held: Share | None


class NoiseRun(Record):
    """One training on partly wrong labels.

    Attributes:
        method: "plain" or "eac".
        noise: percentage of flipped labels, or the name of a label set whose own labels were used.
        seed: of the run.
        finished: whether it trained for as long as it should.
        last_test_accuracy: after its last epoch; None before the first.
        best_test_accuracy: at the epoch with the best validation accuracy.
        curve: by epoch.
    """

    method: str
    noise: Count | str
    seed: int
    finished: bool
    last_test_accuracy: Share | None
    best_test_accuracy: Share | None
    curve: tuple[NoisePoint, ...]


class NoiseStudyRecord(Provenance):
    """The label noise study.

    Attributes:
        tested_on: in words.
        best: which epoch is the best, in words.
        epochs: of a finished run.
        runs: all of them, also unfinished ones.
    """

    tested_on: str
    best: str = ""
    epochs: Count
    runs: tuple[NoiseRun, ...]
