"""What of EAC's paper the records confirm and what they do not. No Gradio, no HTML here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dashboard.leaderboard.board import Board
from dashboard.leaderboard.published import NOISE
from dashboard.leaderboard.sentences import LEVEL, adjusted, share, signed
from fer_models.evaluation.records import NoiseRun, NoiseStudyRecord

#: The same network with and without EAC.
_PAIR: Final = ("eac_resnet50", "plain_resnet50")


@dataclass(frozen=True)
class Finding:
    """One claim and what was measured here.

    Attributes:
        reproduced: whether the measurement agrees with it.
        claim: the paper's.
        text: the measurement.
    """

    reproduced: bool
    claim: str
    text: str


def eac_findings(board: Board) -> list[Finding]:
    """Every claim for which there are records."""
    found = [_maps(board), *_noisy(board.noise.record), _clean(board)]
    return [finding for finding in found if finding is not None]


def _maps(board: Board) -> Finding | None:
    record = board.attention
    if record is None or not set(_PAIR) <= record.models.keys():
        return None
    means = [record.models[name].consistency.correlation.mean for name in _PAIR]
    eac, plain = (0.0 if mean is None else mean for mean in means)
    return Finding(
        eac > plain,
        "The maps follow the face when it is mirrored",
        f"Correlation of the maps of a face and of its mirror image: {eac:.2f} with EAC, {plain:.2f} without it "
        f"(ResNet-50, {record.faces:,} test faces).",
    )


def _noisy(study: NoiseStudyRecord | None) -> Sequence[Finding]:
    """Under the most label noise that both trainings met, with one run of each."""
    runs = {(run.method, run.noise): run for run in reversed(study.runs if study else ())}
    levels = [noise for method, noise in runs if method == "eac" and noise and ("plain", noise) in runs]
    flipped = [noise for noise in levels if isinstance(noise, int)]
    if not flipped:
        return ()
    noise = max(flipped)
    return _memorised(runs["eac", noise], runs["plain", noise]) + _accurate(runs["eac", noise], runs["plain", noise])


def _memorised(eac: NoiseRun, plain: NoiseRun) -> tuple[Finding, ...]:
    held = [run.curve[-1].wrong_labels_held if run.curve else None for run in (eac, plain)]
    if held[0] is None or held[1] is None:
        return ()
    text = (
        f"With {eac.noise}\u00a0% wrong labels, EAC predicts {share(held[0])} of them, plain training {share(held[1])}."
    )
    return (Finding(held[0] < held[1], "Fewer wrong labels are memorised", text),)


def _accurate(eac: NoiseRun, plain: NoiseRun) -> tuple[Finding, ...]:
    last = [run.last_test_accuracy for run in (eac, plain)]
    best = [run.best_test_accuracy for run in (eac, plain)]
    if last[0] is None or last[1] is None or best[0] is None or best[1] is None:
        return ()
    quoted = {curve.method: curve.accuracy.get(int(eac.noise)) for curve in NOISE if "MobileNet" in curve.title}
    paper = quoted.get("eac"), quoted.get("plain")
    beside = f" The paper has {signed((paper[0] - paper[1]) / 100)} on RAF-DB." if paper[0] and paper[1] else ""
    text = (
        f"With {eac.noise}\u00a0% wrong labels: {share(last[0])} against {share(last[1])} after the last epoch "
        f"({signed(last[0] - last[1])} points), {share(best[0])} against {share(best[1])} at the best epoch "
        f"({signed(best[0] - best[1])} points).{beside}"
    )
    return (Finding(last[0] > last[1], "Accuracy falls less with wrong labels, after the last epoch", text),)


def _clean(board: Board) -> Finding | None:
    record = board.sets["ferplus_test"].record
    if record is None or not set(_PAIR) <= record.models.keys():
        return None
    eac, plain = (record.models[name].accuracy.value for name in _PAIR)
    significant = adjusted(record.pairs).get(frozenset(_PAIR), 1.0) < LEVEL
    words = "significantly different" if significant else "not significantly different"
    return Finding(
        significant and eac > plain,
        "Accuracy rises with clean labels, too",
        f"FER+ test set, ResNet-50: {share(eac)} with EAC, {share(plain)} without it; {words}.",
    )
