"""The tables of docs/robustness.md: which faults the software survives, and what it does under load."""

from pathlib import Path
from typing import Final

from docs.markdown import table
from fer_models.evaluation.records.benchmarks import (
    BatchRecord,
    FuzzRecord,
    JourneysRecord,
    LiveRecord,
    LoadRecord,
    StartRecord,
    VideoRecord,
)

#: A fault, what the software does then, and the tests that show it.
FAULTS: Final = (
    (
        "`kill -9` during an upload",
        "The next start deletes what was left behind.",
        ("server/test_serve.py::test_kill_9_in_the_middle_of_an_upload_leaves_nothing_that_harms",),
    ),
    (
        "`kill -9` during a batch",
        "The same command continues. No row is lost or written twice.",
        ("unit/cli/test_batch_command.py::test_kill_9_in_the_middle_loses_and_repeats_no_row",),
    ),
    (
        "`kill -9` of the command or of a worker during a batch on Ray",
        "Another worker takes the part over; the same command continues. No row is lost or written twice.",
        ("release/test_ray_batch.py::test_killed_driver_and_worker_lose_and_repeat_no_row",),
    ),
    (
        "full disk",
        "An error message; the server keeps running.",
        ("server/test_faults.py::test_a_full_disk_is_reported_and_the_app_runs_on",),
    ),
    (
        "weights deleted while the server runs",
        "No effect: they are in memory.",
        ("server/test_faults.py::test_weights_deleted_while_it_runs_are_not_missed",),
    ),
    (
        "truncated weight file",
        "The server does not start, and one line says what to do.",
        ("server/test_faults.py::test_a_truncated_weight_file_stops_the_start_with_words",),
    ),
    (
        "system clock moved by a day",
        "Requests are answered, uploads are still deleted.",
        ("server/test_serve.py::test_a_clock_that_jumps_keeps_no_upload",),
    ),
    (
        "client disconnects during an upload or an answer",
        "Nothing is left behind.",
        (
            "server/test_privacy.py::test_half_an_upload_is_swept_too_and_harms_nobody",
            "server/test_serve.py::test_clients_that_go_in_the_middle_of_an_answer_leave_nothing_behind",
        ),
    ),
    (
        "SIGTERM",
        "Running requests are finished; the exit code is 0.",
        ("server/test_serve.py::test_sigterm_finishes_what_runs_and_ends_with_0",),
    ),
    (
        "file paths of the server and URLs in requests",
        "Refused.",
        (
            "server/test_security.py::test_no_callback_reads_a_file_of_the_server",
            "server/test_security.py::test_addresses_are_never_fetched",
        ),
    ),
    (
        "decompression bombs, disguised files, pickles, path traversal in zips",
        "Refused, and never executed.",
        (
            "server/test_security.py::test_disguised_files_and_bombs_are_refused",
            "server/test_security.py::test_weights_are_never_unpickled",
            "unit/media/test_sources.py::test_names_that_lead_out_of_the_zip_are_not_read",
        ),
    ),
    (
        "HTML in file names and labels",
        "Shown as text.",
        ("browser/test_security.py::test_markup_in_names_and_labels_is_shown_and_never_run",),
    ),
)


def faults() -> str:
    """What breaks, and what happens then."""
    rows = []
    for fault, result, tests in FAULTS:
        files = dict.fromkeys(f"`tests/{test.partition('::')[0]}`" for test in tests)
        rows.append([fault, result, ", ".join(files)])
    return table(["fault or attack", "result", "tested in"], rows, names=3)


def fuzz(results: Path) -> str:
    """How many damaged files were tried.

    Args:
        results: folder of the records.
    """
    record = FuzzRecord.model_validate_json((results / "fuzz.json").read_bytes())
    rows = [
        [name, f"{target.inputs:,}", "none" if target.failure is None else target.failure]
        for name, target in record.targets.items()
    ]
    return f"{record.seconds} s per decoder, Atheris {record.atheris}.\n\n" + table(
        ["decoder", "inputs", "failures"], rows
    )


def _growth(start: float | None, end: float | None) -> str:
    return "-" if start is None or end is None else f"{end / start - 1:+.0%}".replace("%", " %")


def load(results: Path) -> str:
    """Requests and viewers at the same time.

    Args:
        results: folder of the records.
    """
    head = ["setup", "minutes", "requests", "errors", "queue full", "median", "95th percentile", "memory growth"]
    rows = []
    for name in ("load", "load_sequential"):
        record = LoadRecord.model_validate_json((results / f"{name}.json").read_bytes())
        clients, models = (
            f"{count} {word if count == 1 else f'{word}s'}"
            for count, word in ((record.clients, "client"), (len(record.models), "model"))
        )
        viewers = f", {record.live.viewers} Live viewers" if isinstance(record.live, LiveRecord) else ""
        rows.append(
            [
                f"{clients}, {models}{viewers}, {record.cores} cores",
                f"{record.seconds / 60:.0f}",
                f"{record.requests:,}",
                f"{sum(record.errors.values())}",
                f"{record.queue_full}",
                f"{record.p50_s:.1f} s",
                f"{record.p95_s:.1f} s",
                _growth(record.rss_mb.warm, record.rss_mb.end),
            ]
        )
    live = LiveRecord.model_validate_json((results / "live_soak.json").read_bytes())
    memory = live.server_rss_mb
    rates, delays, gap = live.frames_per_second, [delay.median for delay in live.delay_ms], max(live.longest_gap_ms)
    cells = [
        f"{live.viewers}",
        f"{live.minutes:g}",
        ", ".join(f"{rate:.1f}" for rate in rates),
        ", ".join(f"{delay:.0f} ms" for delay in delays),
        f"{gap:.0f} ms",
        _growth(memory.after_warm_up, memory.end),
    ]
    columns = ["Live viewers", "minutes", "frames per second each", "median delay", "longest gap", "memory growth"]
    return table(head, rows) + "\n" + table(columns, [cells])


def speed(results: Path) -> str:
    """Long videos, and batches against single pictures.

    Args:
        results: folder of the records.
    """
    video = VideoRecord.model_validate_json((results / "video.json").read_bytes())
    clips = table(
        ["length of a 720p video", "processing time per second of video", "peak memory"],
        [
            [f"{clip.minutes:g} min", f"{clip.seconds / (60 * clip.minutes):.2f} s", f"{clip.peak_mb:,.0f} MB"]
            for clip in video.clips
        ],
    )
    batch = BatchRecord.model_validate_json((results / "batch.json").read_bytes())
    rounds, speedup = batch.times_faster.rounds, batch.times_faster.median
    sentence = (
        f"A batch of {batch.pictures} pictures is {speedup:.2f} times as fast as one picture at a time "
        f"({min(rounds):.2f} to {max(rounds):.2f} in {len(rounds)} rounds).\n"
    )
    return clips + "\n" + sentence


def start(results: Path) -> str:
    """How long the app takes to start, and the page to show its first answer.

    Args:
        results: folder of the records.
    """
    record = StartRecord.model_validate_json((results / "start.json").read_bytes())
    times = {f"`{name}`": figures.seconds for name, figures in record.commands.items()}
    times |= {"`app.py`, until it serves": record.app.ready_s, "first answer of /compare": record.app.answer_s}
    if (visit := record.visit) is not None:
        times |= {
            "page, first paint": visit.paint_s,
            "first click on an example, until the verdict": visit.verdict_s,
            "first click on an example, until the chart": visit.chart_s,
        }
    rows = [[what, f"{seconds:.2f} s"] for what, seconds in times.items()]
    return f"{record.cores} CPU cores, median of {record.rounds}.\n\n" + table(["", "time"], rows)


def journeys(results: Path) -> str:
    """What a visit to the page takes of its visitors.

    Args:
        results: folder of the records.
    """
    record = JourneysRecord.model_validate_json((results / "journeys.json").read_bytes())
    rows = [
        [name, each.what, f"{each.width_px} px", str(each.files), str(each.clicks), f"{each.seconds:.1f} s"]
        for name, each in record.journeys.items()
    ]
    heads = ["visitor", "what is done", "page", "files", "clicks", "time"]
    return f"{record.cores} CPU cores, median of {record.rounds} visits.\n\n" + table(heads, rows)
