"""The steps of a recipe, and what changes over them: the learning rate, EAC's weight, the average's memory."""

import math

from fer_models.training.recipes import Recipe, Stage


def stage_of_each_epoch(recipe: Recipe) -> list[Stage]:
    """The stage of every epoch of a run."""
    return [stage for stage in recipe.stages for _ in range(stage.epochs)]


def batch_size(recipe: Recipe, stage: Stage) -> int:
    """Faces per step, over all processes."""
    return stage.batch or recipe.batch


def steps_per_epoch(recipe: Recipe, stage: Stage, faces: int) -> int:
    """Whole batches in a stage's share of the training faces; at least one."""
    return max(1, round(faces * stage.share) // batch_size(recipe, stage))


def scheduled_steps(recipe: Recipe, stage: Stage, faces: int) -> int:
    """Steps over which the learning rate climbs and falls: a stage's, or the whole run's without restarts."""
    stages = (stage,) if recipe.restarts else recipe.stages
    return sum(part.epochs * steps_per_epoch(recipe, part, faces) for part in stages)


def learning_rate(recipe: Recipe, stage: Stage, step: int, total: int) -> float:
    """A linear warm-up, then a cosine to zero (Loshchilov and Hutter, ICLR 2017).

    Args:
        recipe: whose peak and share of warm-up steps count.
        stage: the running one, whose peak scales the recipe's.
        step: from 0, counted from the last restart.
        total: `scheduled_steps`.
    """
    warm, done = recipe.warmup, step / total
    climb = min(1.0, (step + 1) / (warm * total)) if done < warm else None
    cosine = 0.5 * (1 + math.cos(math.pi * (done - warm) / (1 - warm)))
    return recipe.lr * stage.peak * (cosine if climb is None else climb)


def consistency_share(recipe: Recipe, stage: Stage, step: int, total: int) -> float:
    """Of EAC's lambda at a step: the stage's, ramped up linearly in the first stage that has any.

    Args:
        recipe: whose `ramp` is the share of the steps that this takes.
        stage: the running one.
        step: from 0, counted from the last restart.
        total: `scheduled_steps`.
    """
    first = stage is next((each for each in stage_of_each_epoch(recipe) if each.consistency), None)
    ramp = min(1.0, step / (recipe.ramp * total)) if first and recipe.ramp else 1.0
    return stage.consistency * ramp


def average_decay(recipe: Recipe, step: int) -> float:
    """Of the weights' moving average: its memory grows with the stage, so that its first steps do not linger."""
    return min(recipe.average, (1 + step) / (10 + step))
