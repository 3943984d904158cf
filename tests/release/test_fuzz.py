"""Damaged pictures, videos and zips: they are read or refused with this project's own errors, nothing else."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz import TARGETS, attempt, seeds
from fer_models.errors import FerError
from tests.server.test_security import CHANGES, mutate

SEEDS = {name: seeds(name) for name in TARGETS}


@pytest.mark.parametrize("name", TARGETS)
def test_the_files_that_are_altered_are_good_ones(name: str, tmp_path: Path) -> None:
    for content in SEEDS[name]:
        TARGETS[name](content, tmp_path)
        with pytest.raises(FerError):
            TARGETS[name](content[:20], tmp_path)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_altered_nothing_else_is_raised(name: str, tmp_path: Path, data: st.DataObject) -> None:
    content = data.draw(st.sampled_from(SEEDS[name]))
    attempt(name, mutate(content, data.draw(CHANGES)), tmp_path)
