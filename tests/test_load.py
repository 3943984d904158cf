"""The load benchmark against a running app, for a second."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from serving import serving

from benchmarks.load import main, run
from fer_models.analyzer import Analyzer


def test_load_counts_answers_and_errors(analyzer: Analyzer, picture: NDArray[np.uint8], tmp_path: Path) -> None:
    Image.fromarray(picture).save(tmp_path / "a.png")
    photo = (tmp_path / "a.png").read_bytes()
    with serving(analyzer) as running:
        good = run(running.url, clients=2, minutes=1 / 60, picture=photo)
        bad = run(running.url, clients=1, minutes=0.001, picture=b"no picture")
    assert good["requests"] >= 2 and good["errors"] == {} and 0 < good["p50_s"] <= good["p95_s"]
    assert bad["requests"] == 0 and set(bad["errors"]) == {"an error event"} and bad["p50_s"] is None


def test_load_tells_a_server_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["http://127.0.0.1:9", "--clients", "1", "--minutes", "0.001"]) == 1
    assert '"ConnectError"' in capsys.readouterr().out
