"""The README's table of faults, inputs, load and speed, from the tests and the files in weights/results/.

python -m benchmarks.reliability          # writes it into the README, between its two marks
python -m benchmarks.reliability --check  # says whether it stands there as it should
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from fer_models.analyzer import WEIGHTS

#: Where the measured figures are; those that are missing stand in the table as not measured.
RESULTS: Final = WEIGHTS / "results"
README: Final = WEIGHTS.parent / "README.md"
_BEGIN, _END = "<!-- reliability: python -m benchmarks.reliability -->\n", "<!-- end -->\n"

#: What breaks, what the app does then, and the tests that show it.
FAULTS: Final = (
    (
        "`kill -9` during an upload or a batch",
        "the next start tidies up; no row is lost or repeated",
        (
            "test_serve.py::test_kill_9_in_the_middle_of_an_upload_leaves_nothing_that_harms",
            "test_batch_command.py::test_kill_9_in_the_middle_loses_and_repeats_no_row",
        ),
    ),
    ("full disk", "told; it runs on", ("test_faults.py::test_a_full_disk_is_told_and_the_app_runs_on",)),
    (
        "weights deleted while it runs",
        "not missed",
        ("test_faults.py::test_weights_deleted_while_it_runs_are_not_missed",),
    ),
    (
        "weight file truncated",
        "no start; one line says what to do",
        ("test_faults.py::test_a_truncated_weight_file_stops_the_start_with_words",),
    ),
    (
        "clock set forward or back by a day",
        "reads on, keeps no upload",
        ("test_serve.py::test_a_clock_that_jumps_keeps_no_upload",),
    ),
    (
        "client gone in the middle of an upload or answer",
        "nothing left behind",
        (
            "test_privacy.py::test_half_an_upload_is_swept_too_and_harms_nobody",
            "test_serve.py::test_clients_that_go_in_the_middle_of_an_answer_leave_nothing_behind",
        ),
    ),
    (
        "SIGTERM",
        "finishes what runs, ends with 0",
        ("test_serve.py::test_sigterm_finishes_what_runs_and_ends_with_0",),
    ),
    (
        "paths of the server, addresses, links, pickles, bombs, markup in names",
        "refused or shown as text",
        (
            "test_security.py::test_no_callback_reads_a_file_of_the_server",
            "test_security.py::test_addresses_are_never_fetched",
            "test_security.py::test_disguised_files_and_bombs_are_refused",
            "test_security.py::test_weights_are_never_unpickled",
            "test_sources.py::test_names_that_lead_out_of_the_zip_are_not_read",
            "test_browser_security.py::test_markup_in_names_and_labels_is_shown_and_never_run",
        ),
    ),
)
_FUZZ: Final = "python -m benchmarks.fuzz --seconds 60 --json weights/results/fuzz.json"
_LOAD: Final = "python -m benchmarks.load --clients 32 --minutes 5 --live 2 --json weights/results/load.json"
_SEQUENTIAL: Final = (
    "python -m benchmarks.load --clients 1 --requests 10000 --models eac_mobilenet_v2 "
    "--json weights/results/load_sequential.json"
)
_LIVE: Final = "python -m benchmarks.live_soak --viewers 2 --minutes 5 --out weights/results/live_soak.json"
_VIDEO: Final = "python -m benchmarks.video --minutes 1 10 --rate 2 --json weights/results/video.json"
_BATCH: Final = "python -m benchmarks.batch --json weights/results/batch.json"


def table(results: Path = RESULTS) -> str:
    """The table as Markdown.

    Args:
        results: folder of the files that the commands in the table write; each may be missing.
    """
    rows = [("what", "result", "shown by")]
    for fault, result, tests in FAULTS:
        files = sorted({f"`tests/{test.partition('::')[0]}`" for test in tests})
        rows.append((fault, result, ", ".join(files)))
    rows += [
        ("damaged pictures, videos and zips (Atheris)", _fuzzed(_read(results / "fuzz.json")), f"`{_FUZZ}`"),
        ("many clients at once", _loaded(_read(results / "load.json")), f"`{_LOAD}`"),
        ("one after the other", _loaded(_read(results / "load_sequential.json")), f"`{_SEQUENTIAL}`"),
        ("viewers of the Live tab", _watched(_read(results / "live_soak.json")), f"`{_LIVE}`"),
        ("a long video", _filmed(_read(results / "video.json")), f"`{_VIDEO}`"),
        ("a batch against one picture at a time", _batched(_read(results / "batch.json")), f"`{_BATCH}`"),
    ]
    rows.insert(1, ("---", "---", "---"))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _read(path: Path) -> dict[str, Any] | None:
    document: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return document


def _fuzzed(document: dict[str, Any] | None) -> str:
    if document is None:
        return "not measured yet"
    targets = document["targets"]
    tried = ", ".join(f"{target['inputs']:,} {name}s" for name, target in targets.items())
    failed = [name for name, target in targets.items() if target["failure"]]
    return f"{tried} tried; " + (f"a failure in: {', '.join(failed)}" if failed else "none failed")


def _loaded(document: dict[str, Any] | None) -> str:
    if document is None:
        return "not measured yet"
    errors = sum(document["errors"].values())
    models = len(document["models"])
    parts = [
        f"{document['clients']} {'client' if document['clients'] == 1 else 'clients'} on {document['cores']} cores, "
        f"{models} {'model' if models == 1 else 'models'}, "
        f"{document['seconds'] / 60:.0f} min: {document['requests']:,} answers, {errors or 'no'} errors, "
        f"{document['queue_full']:,} told that the queue is full",
        f"p50 {document['p50_s']:.1f} s, p95 {document['p95_s']:.1f} s",
    ]
    if document["growth"] is not None:
        parts.append(f"memory {document['growth']:+.0%} after the warm-up")
    live = document["live"]
    if live is not None:
        rates = "not measured" if "error" in live else ", ".join(f"{rate:.1f}" for rate in live["frames_per_second"])
        parts.append(f"live beside it: {rates} frames/s")
    return "; ".join(parts)


def _watched(document: dict[str, Any] | None) -> str:
    if document is None:
        return "not measured yet"
    memory = document["server_rss_mb"]
    delays = [f"{delay['median']:,}" for delay in document["delay_ms"] if delay]
    return (
        f"{document['viewers']} viewers, {document['minutes']:g} min: "
        f"{', '.join(f'{rate:.1f}' for rate in document['frames_per_second'])} frames/s, delay "
        f"{', '.join(delays) or 'not told'} ms (median), longest gap {max(document['longest_gap_ms']):,} ms; "
        f"memory {memory['end'] / memory['after_warm_up'] - 1:+.0%} after the warm-up"
    )


def _filmed(document: dict[str, Any] | None) -> str:
    if document is None:
        return "not measured yet"
    first, last = document["clips"][0], document["clips"][-1]
    return (
        f"{last['minutes']:g} min of 720p, {document['rate']:g} frames read a second: "
        f"{last['seconds'] / (60 * last['minutes']):.2f} s of work a second of video; peak memory "
        f"x{last['peak_mb'] / first['peak_mb']:.2f} of that for {first['minutes']:g} min"
    )


def _batched(document: dict[str, Any] | None) -> str:
    if document is None:
        return "not measured yet"
    times = document["times_faster"]
    return (
        f"{times['median']:.2f} times as fast ({min(times['rounds']):.2f} to {max(times['rounds']):.2f} in "
        f"{len(times['rounds'])} rounds of {document['pictures']} pictures)"
    )


def in_readme(text: str) -> str:
    """What stands between the marks of a README.

    Raises:
        ValueError: the marks are missing.
    """
    return text[text.index(_BEGIN) + len(_BEGIN) : text.index(_END)]


def main(arguments: list[str] | None = None) -> int:
    """Write the table into the README, or check it.

    Returns:
        The exit code: 0, or 1 if --check finds another table.
    """
    parser = argparse.ArgumentParser("python -m benchmarks.reliability", description="The README's reliability table.")
    parser.add_argument("--check", action="store_true", help="write nothing, say whether it is up to date")
    args = parser.parse_args(arguments)
    text = README.read_text(encoding="utf-8")
    told, now = in_readme(text), table()
    if args.check:
        print("up to date" if told == now else "out of date: python -m benchmarks.reliability writes it anew")
        return int(told != now)
    README.write_text(text.replace(_BEGIN + told, _BEGIN + now), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
