"""Measure how long the app takes to start, and the page to show its first answer.

    python -m benchmarks.start [--rounds N] [--json FILE]

Every figure is the median of fresh processes, after one that is not counted. The page is opened in Chromium with an
empty profile; without chromium on the PATH, its figures are left out.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import httpx

from benchmarks.load import ask
from benchmarks.running import app
from fer_models.cli.common import whole_number
from fer_models.evaluation.records import package_versions
from fer_models.evaluation.records.benchmarks import StartRecord
from fer_models.evaluation.store import write_record

_ROOT: Final = Path(__file__).resolve().parents[1]
_PICTURE: Final = _ROOT / "examples" / "astronaut.jpg"
_READY_S: Final = 120
#: Seconds that a visitor takes to choose an example.
_LOOK_S: Final = 3
#: Processes that end by themselves, by what they are called.
_COMMANDS: Final = {
    "import fer_models": ("-c", "import fer_models"),
    "app.py --help": ("app.py", "--help"),
    "python -m fer_models --help": ("-m", "fer_models", "--help"),
}
_CHROMIUM: Final = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
)

Figures = dict[str, float]


@contextmanager
def _processor_time(figures: Figures) -> Iterator[None]:
    """Note the processor time of the processes that end in the context, as cpu_s."""
    before = os.times()
    yield
    after = os.times()
    figures["cpu_s"] = sum(after[2:4]) - sum(before[2:4])


def run(words: Sequence[str]) -> Figures:
    """Run Python with these words until it ends: seconds and cpu_s."""
    figures: Figures = {}
    with _processor_time(figures):
        began = time.perf_counter()
        subprocess.run([sys.executable, *words], cwd=_ROOT, check=True, stdout=subprocess.DEVNULL)
        figures["seconds"] = time.perf_counter() - began
    return figures


def start() -> Figures:
    """Start the app, ask for one answer, and stop it: ready_s, answer_s and cpu_s as of `AppStart`.

    Raises:
        SystemExit: it did not start or answer.
    """
    figures: Figures = {}
    with _processor_time(figures), tempfile.TemporaryDirectory() as folder, httpx.Client(timeout=300) as client:
        began = time.perf_counter()
        with app(Path(folder)) as (url, _):
            while not _alive(client, url):
                if time.perf_counter() - began > _READY_S:
                    sys.exit("The app does not answer.")
                time.sleep(0.01)
            ready = time.perf_counter()
            if (outcome := ask(client, url.rstrip("/"), _PICTURE.read_bytes())) != "ok":
                sys.exit(f"The app did not answer: {outcome}.")
            figures |= {"ready_s": ready - began, "answer_s": time.perf_counter() - ready}
    return figures


def _alive(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(f"{url}healthz").status_code == 200
    except httpx.TransportError:  # it does not listen yet
        return False


def visit(url: str) -> Figures:
    """Open the page with an empty profile, wait some seconds, click an example: seconds as of `FirstVisit`."""
    from playwright.sync_api import sync_playwright

    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_CHROMIUM.split()) as browser,
    ):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(1000 * _READY_S)
        page.goto(url)
        example = page.locator("#compare-examples [data-example]").first
        example.wait_for()
        page.wait_for_timeout(1000 * _LOOK_S)
        began = time.perf_counter()
        example.click()
        page.wait_for_selector("#compare-verdict .fer-verdict")
        verdict = time.perf_counter()
        page.wait_for_selector("#compare-probabilities .js-plotly-plot .main-svg")
        chart = time.perf_counter()
        paint_ms = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    return {"paint_s": paint_ms / 1000, "verdict_s": verdict - began, "chart_s": chart - began}


def medians(measure: Callable[[], Figures], rounds: int) -> Figures:
    """The median of each figure, after a round that is not counted: its files may not be in the system's cache."""
    measure()
    results = [measure() for _ in range(rounds)]
    return {name: median(result[name] for result in results) for name in results[0]}


def measure(rounds: int) -> StartRecord:
    """All figures."""
    visited = None
    if shutil.which("chromium"):
        with tempfile.TemporaryDirectory() as folder, app(Path(folder)) as (url, _):
            visited = medians(partial(visit, url), rounds)
    figures: Mapping[str, object] = {
        "command": f"python -m benchmarks.start --rounds {rounds}",
        "versions": package_versions("torchvision", "gradio", "onnxruntime"),
        "cores": os.cpu_count() or 1,
        "rounds": rounds,
        "commands": {name: medians(partial(run, words), rounds) for name, words in _COMMANDS.items()},
        "app": medians(start, rounds),
        "visit": visited,
    }
    return StartRecord.model_validate(figures)


def main() -> None:
    """Measure, print, and write the file."""
    parser = argparse.ArgumentParser("python -m benchmarks.start", description="How long the app takes to start.")
    parser.add_argument(
        "--rounds", type=whole_number(1), default=5, help="of which medians are taken (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    args = parser.parse_args()
    record = measure(args.rounds)
    print(record.text(), end="")
    if args.json:
        write_record(record, args.json)


if __name__ == "__main__":
    main()
