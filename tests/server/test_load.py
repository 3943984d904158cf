"""The load benchmark against a running app, for a second."""

import json
import os
from pathlib import Path

import pytest

from benchmarks.load import main, measure
from tests.helpers.serving import Running


def test_load_counts_answers_and_errors(running: Running, photo: bytes) -> None:
    good = measure(running.url, clients=2, minutes=1 / 60, requests=None, picture=photo, pid=os.getpid(), warm_up=1)
    bad = measure(running.url, clients=1, minutes=0.001, requests=None, picture=b"no picture", warm_up=0)
    assert good["requests"] >= 2 and good["errors"] == {} and 0 < good["p50_s"] <= good["p95_s"]
    assert bad["requests"] == 0 and set(bad["errors"]) == {"an error event"} and bad["p50_s"] is None
    memory = good["rss_mb"]
    assert memory["warm"] > 10 and good["growth"] == memory["end"] / memory["warm"] - 1
    assert bad["growth"] is None


def test_so_many_requests_and_no_more(running: Running, photo: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(photo)
    arguments = [running.url, "--clients", "2", "--requests", "12", "--warm-up", "0", "--picture", f"{tmp_path}/a.png"]
    assert main([*arguments, "--pid", str(os.getpid()), "--json", str(tmp_path / "out.json")]) == 0
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["requests"] == 12 and result["live"] is None and result["cores"] == os.cpu_count()
    assert len(result["rss_mb"]["on_the_way"]) <= 9


def test_load_reports_a_server_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["http://127.0.0.1:9", "--clients", "1", "--minutes", "0.001", "--warm-up", "0"]) == 1
    assert '"ConnectError"' in capsys.readouterr().out
