"""FER2013 and FER+ as they are handed out: counts that the literature reports, duplicates counted independently."""

from pathlib import Path

import numpy as np
import pytest

from fer_models.datasets.duplicates import find_duplicates
from fer_models.registry import load_dataset


@pytest.mark.shared
def test_the_literature_counts(fer2013: Path) -> None:
    splits = ("train", "validation", "test")
    assert [len(load_dataset("fer2013", fer2013, split)) for split in splits] == [28709, 3589, 3589]
    assert [len(load_dataset("ferplus", fer2013, split)) for split in splits] == [24941, 3186, 3137]


@pytest.mark.shared
def test_fer2013_counts(fer2013: Path) -> None:
    """Measured once by an independent count: 310 of PrivateTest, 294 of PublicTest."""
    train, validation, test = (
        load_dataset("fer2013", fer2013, split).faces for split in ("train", "validation", "test")
    )
    assert find_duplicates(np.asarray(test), np.asarray(train)).sum() == 310
    assert find_duplicates(np.asarray(validation), np.asarray(train)).sum() == 294
