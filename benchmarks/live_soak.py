"""Viewers with a fake camera on the Live tab for some minutes: frames per second, delay, processor time and memory.

    python -m benchmarks.live_soak --viewers 2 --minutes 5 --out runs/live_soak.json
    python -m benchmarks.live_soak --viewers 1 --minutes 1.5 --engine openvino

Starts the app itself, or measures one that runs with --url (then without its memory). Needs chromium and Playwright.
"""

import argparse
import re
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

import cv2
import numpy as np

from benchmarks.running import app, processor_s, processor_s_by_kind, resident_mb
from fer_models.evaluation.records.benchmarks import LiveRecord
from fer_models.evaluation.store import write_record
from fer_models.media.images import read_image

_ROOT: Final = Path(__file__).resolve().parents[1]
#: What Chromium needs to run without a screen and with a film in place of a camera.
CHROMIUM: Final = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
    "--use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)
_READY_S: Final = 120
_EVERY_S: Final = 2.0


def write_mjpeg(path: Path, pictures: list[Path], *, frames: int = 30, size: tuple[int, int] = (640, 480)) -> None:
    """A film for Chromium's fake camera, which repeats it: each picture for some frames, swaying from side to side.

    Args:
        path: to be written, ending in .mjpeg: JPEG files one after the other.
        pictures: shown in their order on grey, as large as they fit.
        frames: of each picture; the camera shows about 30 a second.
        size: width and height in px.
    """
    width, height = size
    with path.open("wb") as film:
        for picture in pictures:
            image = read_image(picture)
            scale = min(width / image.shape[1], height / image.shape[0])
            small = cv2.resize(image, (round(image.shape[1] * scale), round(image.shape[0] * scale)))
            canvas = np.full((height, width, 3), 96, np.uint8)
            top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
            canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
            for index in range(frames):
                moved = np.roll(canvas, round(10 * np.sin(2 * np.pi * index / frames)), 1)
                film.write(cv2.imencode(".jpg", moved[..., ::-1])[1].tobytes())


def main(arguments: list[str] | None = None) -> int:
    """Measure and write.

    Returns:
        The exit code: 0, or 1 if no frame arrived.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_soak", description=__doc__.split("\n")[0])
    parser.add_argument("--viewers", type=int, default=2, help="pages at the same time (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=5.0, help="after a warm-up of 15 s (default: %(default)s)")
    parser.add_argument("--url", help="of an app that runs; without it one is started")
    parser.add_argument("--engine", help="of the app that is started, as app.py --engine (default: that one's)")
    parser.add_argument(
        "--picture", type=Path, default=_ROOT / "examples" / "astronaut.jpg", help="what the camera sees"
    )
    parser.add_argument("--out", type=Path, help="JSON file (default: the terminal)")
    args = parser.parse_args(arguments)
    if args.url and args.engine:
        parser.error("--engine is for an app that is started here, not for --url")
    flags = ["--engine", args.engine] if args.engine else []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        film = folder / "camera.mjpeg"
        write_mjpeg(film, [args.picture])
        url, pid = (args.url, None) if args.url else stack.enter_context(app(folder, *flags))
        result = _measure(url, pid, film, args.viewers, args.minutes)
    record = LiveRecord.model_validate(
        {
            **({"engine": args.engine} if args.engine else {}),
            "viewers": args.viewers,
            "minutes": args.minutes,
            "picture": args.picture.name,
            **result,
        }
    )
    if args.out:
        write_record(record, args.out)
    else:
        print(record.text(), end="")
    return 0 if record.frames_per_second else 1


def _measure(url: str, pid: int | None, film: Path, viewers: int, minutes: float) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    memory = {"start": resident_mb(pid)}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[*CHROMIUM.split(), f"--use-file-for-fake-video-capture={film}"],
        )
        pages = []
        for _ in range(viewers):
            page = browser.new_context().new_page()
            page.set_default_timeout(_READY_S * 1000)
            page.goto(url)
            page.get_by_role("tab", name="Live").click()
            page.get_by_role("button", name="Start camera").click()
            page.wait_for_selector("#live-view .fer-picture")
            # Each frame that is shown is noted in the page itself: nothing is missed between two looks at it.
            page.evaluate("window.shown = []; addEventListener('fer-live-shown', () => shown.push(performance.now()))")
            pages.append(page)
        pages[0].wait_for_timeout(15_000)
        memory["after_warm_up"] = resident_mb(pid)
        for page in pages:
            page.evaluate("shown.length = 0")
        used = _processor_s(pid, film)
        began = time.monotonic()
        delays: list[list[float]] = [[] for _ in pages]
        stages: list[dict[str, float]] = []
        while time.monotonic() - began < 60 * minutes:
            pages[0].wait_for_timeout(1000 * _EVERY_S)
            for page, seen in zip(pages, delays, strict=True):
                figures = page.evaluate(
                    "Object.fromEntries([...document.querySelectorAll('#live-view [data-stage]')]"
                    ".map(b => [b.dataset.stage, b.textContent]))"
                )
                numbers = {
                    name: float(found[0]) for name, text in figures.items() if (found := re.findall(r"[\d.]+", text))
                }
                seen += [numbers["delay"]] if "delay" in numbers else []
                stages.append(numbers)
        elapsed = time.monotonic() - began
        used = {name: value - used.get(name, 0.0) for name, value in _processor_s(pid, film).items()}
        frames = [len(page.evaluate("shown")) for page in pages]
        gaps = [page.evaluate("Math.max(...shown.slice(1).map((t, i) => t - shown[i]), 0)") for page in pages]
        memory["end"] = resident_mb(pid)
        browser.close()
    names = list(dict.fromkeys(name for figures in stages for name in figures if name not in ("fps", "delay")))
    return {
        "frames_per_second": [round(count / elapsed, 2) for count in frames],
        "delay_ms": [{"median": round(median(d)), "max": round(max(d))} if d else None for d in delays],
        "longest_gap_ms": [round(gap) for gap in gaps],
        "stages_ms": {name: round(mean(f[name] for f in stages if name in f), 1) for name in names},
        "processor_ms": {name: round(1000 * value / max(sum(frames), 1), 1) for name, value in used.items()},
        "server_rss_mb": memory,
    }


def _processor_s(pid: int | None, film: Path) -> dict[str, float]:
    """Processor time so far of the server, if it is known, and of the browser that shows the film."""
    server = processor_s(pid) if pid is not None else None
    return {**({} if server is None else {"server": server}), **processor_s_by_kind(str(film))}


if __name__ == "__main__":
    sys.exit(main())
