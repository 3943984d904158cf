"""View models of the label noise study. No Gradio, no HTML here."""

from dataclasses import dataclass
from typing import Final

from dashboard.leaderboard.published import NOISE
from dashboard.leaderboard.sentences import share
from dashboard.leaderboard.view import DASH
from fer_models.evaluation.records import NoiseStudyRecord

METHOD_TITLES: Final = {"plain": "Plain", "eac": "EAC"}


@dataclass(frozen=True)
class NoiseRunRow:
    """One training of the study.

    Attributes:
        training: its method and seed.
        noise: share of wrong labels, or the label set that they come from.
        best: test accuracy at the epoch with the best validation accuracy; a dash where there is none yet.
        last: test accuracy after the last epoch; a dash where there is none yet.
        state: whether it is finished.
    """

    training: str
    noise: str
    best: str
    last: str
    state: str


def noise_rows(study: NoiseStudyRecord) -> list[NoiseRunRow]:
    """Every run, unfinished ones marked."""
    rows = []
    for run in sorted(study.runs, key=lambda run: (noise_order(run.noise), run.method, run.seed)):
        epochs = run.curve[-1].epoch if run.curve else 0
        rows.append(
            NoiseRunRow(
                training=f"{method_title(run.method)}, seed {run.seed}",
                noise=noise_label(run.noise),
                best=DASH if run.best_test_accuracy is None else share(run.best_test_accuracy),
                last=DASH if run.last_test_accuracy is None else share(run.last_test_accuracy),
                state="finished" if run.finished else f"not finished: {epochs} of {study.epochs} epochs",
            )
        )
    return rows


def missing_shares(study: NoiseStudyRecord) -> str:
    """The published shares of wrong labels that the study lacks, as "10 and 20"; "" where there are none."""
    shares = [str(noise) for noise in NOISE[0].accuracy if noise not in {run.noise for run in study.runs}]
    return " and ".join(", ".join(shares).rsplit(", ", 1))


def noise_points(study: NoiseStudyRecord, method: str, attribute: str) -> list[tuple[int | str, float, bool]]:
    """Noise, mean over the seeds, and whether every run is finished; in the order of the noise.

    Args:
        study: the runs; those without any epoch do not count.
        method: of training.
        attribute: "best_test_accuracy" or "last_test_accuracy".
    """
    runs = [run for run in study.runs if run.method == method and getattr(run, attribute) is not None]
    points = []
    for noise in sorted({run.noise for run in runs}, key=noise_order):
        same = [run for run in runs if run.noise == noise]
        mean = sum(getattr(run, attribute) for run in same) / len(same)
        points.append((noise, mean, all(run.finished for run in same)))
    return points


def noise_order(noise: int | str) -> tuple[int, int, str]:
    """A key to sort by: percentages first, named label sets after them."""
    return (1, 0, noise) if isinstance(noise, str) else (0, noise, "")


def noise_label(noise: int | str) -> str:
    """What people read."""
    if isinstance(noise, str):
        return "FER2013" if noise == "fer2013" else noise
    return f"{noise}\u00a0%"


def method_title(method: str) -> str:
    """What people read for a method of training."""
    return METHOD_TITLES.get(method, method.capitalize())
