"""Take the pictures of the page that the README and the documentation show: python -m docs.screenshots [TAB ...].

Starts the app with the models in weights/ and drives it in Chromium. Every picture shows files of examples/. Needs
chromium on the PATH and the packages of tests/requirements.txt. Run it again when the page or the weights change.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from PIL import Image
from playwright.sync_api import FloatRect, Page, expect, sync_playwright

from benchmarks.live_soak import CHROMIUM, write_mjpeg
from benchmarks.running import app
from fer_models.analyzer import WEIGHTS
from fer_models.media.images import read_image

ROOT: Final = WEIGHTS.parent
IMAGES: Final = ROOT / "docs" / "images"
EXAMPLES: Final = ROOT / "examples"
_PORTRAIT: Final = EXAMPLES / "astronaut.jpg"
_COLLAGE: Final = EXAMPLES / "several_faces.jpg"
#: The browser's window in px; how much of a tab is shown; the width that pictures are reduced to.
_WINDOW: Final = (1440, 1000)
_HEIGHT: Final = 980
_WIDTH: Final = 1200
#: How long anything on the page may take, in ms.
_WAIT: Final = 180_000
#: Time for charts to be drawn, in ms.
_SETTLE: Final = 3_000


def compare(page: Page, folder: Path) -> None:
    """A portrait with the answers and the evidence maps of all models."""
    page.set_input_files("#compare-image input[type=file]", _PORTRAIT)
    page.wait_for_selector(".fer-card[data-model=ensemble_ferplus]")


def attention(page: Page, folder: Path) -> None:
    """The maps of all expressions for all models."""
    page.set_input_files("#attention-image input[type=file]", _PORTRAIT)
    page.wait_for_selector(".fer-lab-grid img")


def live(page: Page, folder: Path) -> None:
    """The camera, which sees an example."""
    page.get_by_role("button", name="Start camera").click()
    page.wait_for_function("Number(document.querySelector('[data-frame]')?.dataset.frame) >= 30")


def video(page: Page, folder: Path) -> None:
    """A short clip in which the examples move."""
    clip = folder / "examples.mp4"
    write_clip(clip)
    page.set_input_files("#video-file input[type=file]", clip)
    page.get_by_role("button", name="Analyse the video").click()
    page.wait_for_selector("#video-timeline .js-plotly-plot")


def batch(page: Page, folder: Path) -> None:
    """The table of the labelled example, with the faces on which the models differ below it."""
    page.locator("#batch-example").click()
    page.wait_for_selector("#batch-gallery .fer-face")


def leaderboard(page: Page, folder: Path) -> None:
    """The accuracies on the FER+ test set."""
    page.get_by_role("tab", name="Accuracy", exact=True).click()
    chart = page.locator(".js-plotly-plot:visible").first
    before = chart.inner_text()
    page.locator("#board-labels").get_by_text("FER+").click()
    expect(chart).not_to_have_text(before, timeout=_WAIT)


TABS: Final[dict[str, Callable[[Page, Path], None]]] = {
    tab.__name__: tab for tab in (compare, attention, live, video, batch, leaderboard)
}


def write_clip(path: Path, seconds: int = 6, rate: int = 10) -> None:
    """A video of the collage that sways from side to side.

    Args:
        path: to be written, ending in .mp4.
        seconds: its length.
        rate: frames per second.
    """
    image = read_image(_COLLAGE)
    image = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=rate)
        stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "yuv420p"
        for index in range(seconds * rate):
            moved = np.roll(image, round(12 * np.sin(2 * np.pi * index / (2 * rate))), 1)
            frame = av.VideoFrame.from_ndarray(moved, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def area(page: Page, name: str) -> FloatRect:
    """The part that is shown: all of the Compare tab's columns, Batch's faces, and the upper part of other tabs."""
    top, height = 0, _HEIGHT
    if name == "compare":
        bottom = page.evaluate("document.querySelector('.fer-card').getBoundingClientRect().bottom")
        height = round(bottom) + 12
    if name == "batch":
        top = round(page.evaluate("document.querySelector('#batch-faces').getBoundingClientRect().top + scrollY")) - 24
    return {"x": 0, "y": top, "width": _WINDOW[0], "height": height}


def save(screenshot: bytes, path: Path) -> None:
    """Reduce a screenshot and write it as WebP.

    Args:
        screenshot: a PNG file.
        path: to be written.
    """
    with Image.open(BytesIO(screenshot)) as image:
        height = round(image.height * _WIDTH / image.width)
        image.convert("RGB").resize((_WIDTH, height), Image.Resampling.LANCZOS).save(path, quality=82, method=6)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def main(arguments: list[str] | None = None) -> None:
    """Take the pictures of some tabs, or of all."""
    parser = argparse.ArgumentParser("python -m docs.screenshots", description="Take pictures of the page.")
    parser.add_argument("tabs", nargs="*", metavar="TAB", help=f"of {', '.join(TABS)} (default: all)")
    args = parser.parse_args(arguments)
    IMAGES.mkdir(exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        film = folder / "camera.mjpeg"
        write_mjpeg(film, [_PORTRAIT], frames=120)
        url, _ = stack.enter_context(app(folder))
        playwright = stack.enter_context(sync_playwright())
        flags = [*CHROMIUM.split(), f"--use-file-for-fake-video-capture={film}"]
        browser = stack.enter_context(playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags))
        for name in args.tabs or TABS:
            page = browser.new_page(viewport={"width": _WINDOW[0], "height": _WINDOW[1]})
            page.set_default_timeout(_WAIT)
            page.goto(url)
            page.get_by_role("tab", name=name.capitalize(), exact=True).click()
            TABS[name](page, folder)
            page.wait_for_timeout(_SETTLE)
            save(page.screenshot(full_page=True, clip=area(page, name)), IMAGES / f"{name}.webp")
            page.close()


if __name__ == "__main__":
    main()
