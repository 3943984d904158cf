"""The README's table of faults, inputs and load: its tests exist, and its figures are those of the files."""

import ast
import json
from pathlib import Path

import pytest

from benchmarks.reliability import FAULTS, README, in_readme, table
from benchmarks.reliability import RESULTS as KEPT

TESTS = Path(__file__).resolve().parent


@pytest.mark.parametrize("test", [test for _, _, tests in FAULTS for test in tests])
def test_every_test_it_names_exists(test: str) -> None:
    file, _, name = test.partition("::")
    nodes = ast.parse((TESTS / file).read_text(encoding="utf-8")).body
    assert name in {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


def test_the_readme_tells_what_the_files_hold() -> None:
    assert in_readme(README.read_text(encoding="utf-8")) == table(), "python -m benchmarks.reliability"


LOAD = {
    **{
        "clients": 32,
        "cores": 2,
        "models": ["a", "b", "c", "d"],
        "seconds": 300.4,
        "requests": 1234,
        "queue_full": 5,
        "errors": {},
    },
    **{"p50_s": 2.04, "p95_s": 3.96, "growth": 0.041},
    "live": {"frames_per_second": [4.25, 4.35]},
}


def test_figures_become_words(tmp_path: Path) -> None:
    assert table(tmp_path).count("not measured yet") == 6
    fuzz = {"targets": {"picture": {"inputs": 12345, "failure": None}, "zip": {"inputs": 7, "failure": {"words": "x"}}}}
    for name, document in (("fuzz", fuzz), ("load", LOAD)):
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    text = table(tmp_path)
    assert "12,345 pictures, 7 zips tried; a failure in: zip" in text
    assert (
        "32 clients on 2 cores, 4 models, 5 min: 1,234 answers, no errors, 5 told that the queue is full; p50 2.0 s, "
        "p95 4.0 s; memory +4% after the warm-up; live beside it: 4.2, 4.3 frames/s" in text
    )
    (tmp_path / "load.json").write_text(json.dumps(LOAD | {"errors": {"ReadError": 2}, "live": {"error": "x"}}))
    assert "2 errors" in table(tmp_path) and "live beside it: not measured" in table(tmp_path)


def test_speeds_become_words(tmp_path: Path) -> None:
    live = {
        **{"viewers": 2, "minutes": 5.0, "frames_per_second": [4.04, 3.96], "longest_gap_ms": [900, 1200]},
        **{"delay_ms": [{"median": 410, "max": 2000}, None]},
        "server_rss_mb": {"start": 500, "after_warm_up": 1000, "end": 1020},
    }
    clips = [{"minutes": 1.0, "seconds": 60, "peak_mb": 1000}, {"minutes": 10.0, "seconds": 540, "peak_mb": 1030}]
    batch = {"pictures": 300, "times_faster": {"median": 1.5, "rounds": [1.4, 1.5, 1.6]}}
    for name, document in (("live_soak", live), ("video", {"rate": 5.0, "clips": clips}), ("batch", batch)):
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    text = table(tmp_path)
    assert "2 viewers, 5 min: 4.0, 4.0 frames/s, delay 410 ms (median), longest gap 1,200 ms; memory +2% after" in text
    assert "10 min of 720p, 5 frames read a second: 0.90 s of work a second of video; peak memory x1.03 of that" in text
    assert "1.50 times as fast (1.40 to 1.60 in 3 rounds of 300 pictures)" in text


def test_kept_loads_held() -> None:
    """What stands in the README was a success: no errors, and memory within a tenth."""
    for name in ("load", "load_sequential"):
        path = KEPT / f"{name}.json"
        if path.is_file():
            document = json.loads(path.read_text())
            assert document["errors"] == {} and document["growth"] < 0.1 and document["requests"]
    path = KEPT / "fuzz.json"
    if path.is_file():
        assert all(target["failure"] is None for target in json.loads(path.read_text())["targets"].values())
