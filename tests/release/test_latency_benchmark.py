"""What the benchmark of latency measures in processes of its own."""

from pathlib import Path

from benchmarks import latency


def test_peak_memory_is_that_of_a_process_of_its_own(weights_dir: Path) -> None:
    nothing = latency.peak_memory_mb(latency.NOTHING, weights_dir, "cpu", "auto")
    assert 50 < nothing < latency.peak_memory_mb("eac_mobilenet_v2", weights_dir, "cpu", "auto") < 5000
