"""Walk through the page as seven kinds of visitors do, and count what it costs them.

    python -m benchmarks.journeys [--rounds N] [--json FILE]

Each journey begins on an open page and ends when its last result is shown. Seconds are medians over visits by a browser
with an empty profile, which clicks as soon as it can: the time a visitor waits, without the time to look and think.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks.live_soak import CHROMIUM, write_mjpeg
from benchmarks.running import app
from fer_models.cli.common import whole_number
from fer_models.evaluation.records import package_versions
from fer_models.evaluation.records.benchmarks import Journey, JourneysRecord
from fer_models.evaluation.store import write_record

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

_EXAMPLES: Final = Path(__file__).resolve().parents[1] / "examples"
_WAIT_MS: Final = 120_000
_WIDE, _PHONE = 1440, 390


class Visit:
    """One visitor's page, and what was done on it."""

    def __init__(self, page: "Page") -> None:
        """Nothing was done yet."""
        self.page = page
        self.clicks = self.files = 0

    def click(self, target: "str | Locator") -> None:
        """Click or tap once."""
        self.clicks += 1
        (self.page.locator(target).first if isinstance(target, str) else target).click()

    def button(self, name: str) -> None:
        """Click a button by its words."""
        self.click(self.page.get_by_role("button", name=name).first)

    def tab(self, name: str) -> None:
        """Click a tab by its words."""
        self.click(self.page.get_by_role("tab", name=name, exact=True))

    def choose(self, target: str, file: str) -> None:
        """Choose a file of the examples' folder."""
        self.files += 1
        self.page.set_input_files(f"{target} input[type=file]", _EXAMPLES / file)

    def see(self, *targets: str) -> None:
        """Wait until all of these are shown."""
        for target in targets:
            self.page.locator(target).first.wait_for()


def teacher(visit: Visit) -> None:
    """Upload a photo, open it in the attention lab, hide the mouth, and see all models answer anew."""
    visit.choose("#compare-image", "astronaut.jpg")
    visit.see("#compare-verdict .fer-verdict")
    visit.click("#compare-lab")
    visit.see(".fer-lab-grid img")
    visit.click(visit.page.locator("#attention-sections").get_by_role("tab", name="Occlusion"))
    visit.click(visit.page.get_by_role("checkbox", name="Mouth"))
    visit.see("#attention-erase-results .fer-card:nth-of-type(4)")


def student(visit: Visit) -> None:
    """Choose an example, see all answers and maps, then what EAC does to this face and its mirror image."""
    visit.click("#compare-examples [data-example]")
    visit.see("#compare-verdict .fer-verdict", "#compare-columns .fer-map img")
    visit.click("#compare-flips")
    visit.click("#attention-mirror-start")
    visit.see("#attention-mirror-results img")


def engineer(visit: Visit) -> None:
    """Open the ranked table of all models, then the smallest model's card and what each model costs."""
    visit.tab("Leaderboard")
    visit.see(".fer-ranking tbody tr")
    visit.click(".fer-ranking a[href$=eac_mobilenet_v2]")
    visit.see("[data-card=eac_mobilenet_v2] dl", "#board-cost .main-svg")


def researcher(visit: Visit) -> None:
    """Upload a labelled zip and get accuracy, confusion matrices and the table as CSV."""
    visit.tab("Batch")
    visit.choose("#batch-files", "batch.zip")
    visit.see("#batch-files :text('batch')")
    visit.button("Analyse the pictures")
    visit.see("#batch-figures .fer-matrix")
    with visit.page.expect_download():
        visit.click("#batch-results a[download$='.csv'], #batch-results button:has-text('CSV')")


def phone(visit: Visit) -> None:
    """Choose a photo on a phone, see all answers, then all maps in the attention lab."""
    visit.choose("#compare-image", "surprise.jpg")
    visit.see("#compare-verdict .fer-verdict")
    visit.click("#compare-lab")
    visit.see(".fer-lab-grid img")


def video(visit: Visit) -> None:
    """Upload a clip and see the player, the chart and who disagrees when."""
    visit.tab("Video")
    visit.choose("#video-file", "clip.mp4")
    visit.see("#video-ready :text('long')")
    visit.button("Analyse")
    visit.see("#video-player video", "#video-timeline .main-svg", "#video-summary .fer-sentence")


def live(visit: Visit) -> None:
    """Start the camera, see all models' answers, and open the frame in Compare."""
    visit.tab("Live")
    visit.button("Start camera")
    visit.see("#live-view canvas", ".fer-live-row .fer-confidence")
    visit.button("Compare this frame")
    visit.see("#compare-verdict .fer-verdict")


JOURNEYS: Final[Mapping[str, tuple[Callable[[Visit], None], int]]] = {
    "teacher": (teacher, _WIDE),
    "student": (student, _WIDE),
    "engineer": (engineer, _WIDE),
    "researcher": (researcher, _WIDE),
    "phone": (phone, _PHONE),
    "video": (video, _WIDE),
    "live": (live, _WIDE),
}


def walk(browser: "Browser", url: str, journey: Callable[[Visit], None], width: int) -> tuple[Visit, float]:
    """One visit, and the seconds from its first action to its last result."""
    touch = width == _PHONE
    with browser.new_context(viewport={"width": width, "height": 900}, has_touch=touch, is_mobile=touch) as context:
        page = context.new_page()
        page.set_default_timeout(_WAIT_MS)
        page.goto(url)
        page.locator("#compare-examples [data-example]").first.wait_for()
        page.wait_for_timeout(3000)  # a visitor looks first
        visit = Visit(page)
        began = time.perf_counter()
        journey(visit)
        return visit, time.perf_counter() - began


def measure(rounds: int) -> JourneysRecord:
    """All journeys, after a visit each that is not counted."""
    from playwright.sync_api import sync_playwright

    found: dict[str, Journey] = {}
    with tempfile.TemporaryDirectory() as folder, app(Path(folder)) as (url, _), sync_playwright() as playwright:
        film = Path(folder) / "camera.mjpeg"
        write_mjpeg(film, [_EXAMPLES / "astronaut.jpg"], frames=30)
        flags = [*CHROMIUM.split(), f"--use-file-for-fake-video-capture={film}"]
        with playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags) as browser:
            for name, (journey, width) in JOURNEYS.items():
                visits = [walk(browser, url, journey, width) for _ in range(rounds + 1)][1:]
                last = visits[-1][0]
                found[name] = Journey(
                    what=(journey.__doc__ or "").strip(),
                    width_px=width,
                    files=last.files,
                    clicks=last.clicks,
                    seconds=median(seconds for _, seconds in visits),
                )
    return JourneysRecord(
        command=f"python -m benchmarks.journeys --rounds {rounds}",
        versions=package_versions("torchvision", "gradio", "onnxruntime"),
        cores=os.cpu_count() or 1,
        rounds=rounds,
        journeys=found,
    )


def main() -> None:
    """Measure, print, and write the file."""
    parser = argparse.ArgumentParser("python -m benchmarks.journeys", description="What a visit to the page costs.")
    parser.add_argument(
        "--rounds", type=whole_number(1), default=3, help="of which medians are taken (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    args = parser.parse_args()
    if shutil.which("chromium") is None:
        sys.exit("There is no chromium on the PATH.")
    record = measure(args.rounds)
    for name, each in record.journeys.items():
        print(f"{name:12} {each.files} files, {each.clicks} clicks, {each.seconds:5.1f} s  {each.what}")
    if args.json:
        write_record(record, args.json)


if __name__ == "__main__":
    main()
