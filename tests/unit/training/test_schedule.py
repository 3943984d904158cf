"""The learning rate and EAC's weight over the steps of a run."""

from dataclasses import replace

import pytest

from fer_models.training.recipes import Recipe, Stage
from fer_models.training.schedule import (
    average_decay,
    consistency_share,
    learning_rate,
    scheduled_steps,
    stage_of_each_epoch,
    steps_per_epoch,
)

RECIPE = Recipe("mobilenet_v2", "fer2013", (Stage(16, 1), Stage(24, 2, share=0.5, peak=0.5)), batch=8, lr=1.0)
FIRST, SECOND = RECIPE.stages


def test_steps_are_whole_batches_of_a_stages_share() -> None:
    assert stage_of_each_epoch(RECIPE) == [FIRST, SECOND, SECOND]
    assert [steps_per_epoch(RECIPE, stage, 100) for stage in RECIPE.stages] == [12, 6]  # of 100 and of 50 faces
    assert steps_per_epoch(RECIPE, replace(SECOND, batch=25), 100) == 2
    assert steps_per_epoch(RECIPE, FIRST, 3) == 1
    assert scheduled_steps(replace(RECIPE, restarts=True), SECOND, 100) == 2 * 6
    assert scheduled_steps(replace(RECIPE, restarts=False), SECOND, 100) == 12 + 2 * 6


def test_the_learning_rate_warms_up_and_falls_in_a_stage() -> None:
    recipe = replace(RECIPE, warmup=0.5)
    rates = [learning_rate(recipe, SECOND, step, 8) for step in range(8)]  # to 0.5, the stage's peak
    assert rates[:4] == pytest.approx([0.125, 0.25, 0.375, 0.5])
    assert rates[4] == pytest.approx(0.5)
    assert rates[6] == pytest.approx(0.25)
    assert rates == sorted(rates[:4]) + sorted(rates[4:], reverse=True)


@pytest.mark.parametrize(("restarts", "expected"), [(False, [0.5, 0.0]), (True, [0.0, 0.0])])
def test_one_cosine_over_the_run_or_one_per_stage(restarts: bool, expected: list[float]) -> None:
    recipe = replace(RECIPE, stages=(Stage(16, 1), Stage(16, 1)), warmup=1e-6, batch=1, restarts=restarts)
    ends = []
    for number, stage in enumerate(recipe.stages):
        step = 100 if restarts else (number + 1) * 100
        ends.append(learning_rate(recipe, stage, step, scheduled_steps(recipe, stage, 100)))
    assert ends == pytest.approx(expected, abs=1e-4)


def test_consistency_ramps_up_in_the_first_stage_that_has_any() -> None:
    stages = (Stage(16, 1, consistency=0.0), Stage(16, 1, consistency=0.5), Stage(16, 1))
    recipe = replace(RECIPE, stages=stages, ramp=0.5)
    shares = [[consistency_share(recipe, stage, step, 8) for step in (0, 2, 4, 8)] for stage in stages]
    assert shares == [[0.0] * 4, [0.0, 0.25, 0.5, 0.5], [1.0] * 4]
    assert consistency_share(replace(recipe, ramp=0.0), stages[1], 0, 8) == 0.5


def test_the_averages_memory_grows_to_the_recipes() -> None:
    recipe = replace(RECIPE, average=0.9)
    assert [average_decay(recipe, step) for step in (0, 8, 1000)] == pytest.approx([0.1, 0.5, 0.9])
