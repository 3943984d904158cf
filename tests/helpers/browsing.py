"""The page in headless Chromium: the browser, the app it visits, and a page that is watched."""

import base64
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from weakref import WeakKeyDictionary

import gradio as gr
import pytest
from playwright.sync_api import Browser, BrowserContext, JSHandle, Page, expect, sync_playwright

from dashboard.page import build_page, launch_settings
from dashboard.server.gradio_internals import keep_no_calls
from fer_models.analyzer import WEIGHTS, Analyzer
from tests.helpers.serving import free_port

CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
)
#: How long a page may take for anything, in ms: the machine may be busy.
WAIT = 60_000
expect.set_options(timeout=WAIT)

#: The `pytestmark` of a module that drives the page.
MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH"),
]
#: For tests with a fixture `page` that takes its width from its parameter.
at_both_widths = pytest.mark.parametrize("page", [1440, 390], indirect=True)


class Gate(Analyzer):
    """An analyzer that can be held up, so that a test can act while faces are being read."""

    def __init__(self, analyzer: Analyzer) -> None:
        super().__init__(list(analyzer.classifiers.values()), analyzer.detector)
        self._permits: threading.Semaphore | None = None

    @contextmanager
    def held(self, after: int = 0) -> Iterator[None]:
        """Let so many readings of faces through, then none until the context ends."""
        self._permits = permits = threading.Semaphore(after)
        try:
            yield
        finally:
            self._permits = None
            permits.release(1000)  # whoever waits

    def predict(self, faces: Any, **options: Any) -> Any:
        permits = self._permits
        assert not faces or permits is None or permits.acquire(timeout=120)
        return super().predict(faces, **options)


@contextmanager
def chromium(arguments: str = ARGUMENTS, *more: str) -> Iterator[Browser]:
    """Run a browser until the context ends."""
    flags = [*arguments.split(), *more]
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=CHROMIUM, args=flags) as running:
        yield running


@contextmanager
def launched(analyzer: Analyzer, uploads: Path, weights: Path = WEIGHTS) -> Iterator[tuple[str, gr.Blocks]]:
    """Serve the app on a free port until the context ends.

    Args:
        analyzer: the loaded models.
        uploads: where Gradio keeps what it is sent.
        weights: folder of the cards and results that are shown.

    Yields:
        Its address, with a slash at the end, and its page.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(uploads))
        page, routes = build_page(analyzer, uploads, weights)
        keep_no_calls(page)
        # Gradio's check of its own front page gives up after 3 s, which a machine under load may need.
        _, address, _ = page.launch(
            prevent_thread_lock=True,
            server_port=free_port(),
            _frontend=False,
            app_kwargs={"routes": [*routes]},
            **launch_settings(),
        )
        try:
            yield address, page
        finally:
            page.close()


def open_page(context: BrowserContext, address: str, wait: int = WAIT) -> Page:
    """Open an address in a new page whose actions may take `wait` ms."""
    page = context.new_page()
    page.set_default_timeout(wait)
    page.goto(address)
    return page


@contextmanager
def watched_page(browser: Browser, address: str, width: int = 1440, wait: int = WAIT) -> Iterator[Page]:
    """Open an address in a page, some px wide, that remembers scripts it once compiled and nothing else.

    Afterwards: nothing is wider than the page, nothing was asked of another host, no error was thrown and no content
    security policy broken.
    """
    outside: list[str] = []
    errors: list[str] = []
    own = (address.partition("?")[0], "data:", "blob:")
    watchers: dict[Any, Callable[[Any], None]] = {
        "request": lambda sent: None if sent.url.startswith(own) else outside.append(sent.url),
        "weberror": lambda error: errors.append(str(error.error)),
        "console": lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None,
    }
    kept = _KEPT.setdefault(browser, {})
    # A page that is loaded anew takes a third of the time that a new page takes.
    page = kept.pop(width, None) or browser.new_context(viewport={"width": width, "height": 900}).new_page()
    with ExitStack() as closing:
        closing.enter_context(page.context)
        for event, watcher in watchers.items():
            page.context.on(event, watcher)
        page.set_default_timeout(wait)
        page.goto(address)
        yield page
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{wide} px in a page of {width} px"
        _leave(page)
        for event, watcher in watchers.items():
            page.context.remove_listener(event, watcher)
        assert outside == [] and errors == [], (outside, errors)
        closing.pop_all()
        kept[width] = page


#: Pages whose tests have passed, by their width.
_KEPT: WeakKeyDictionary[Browser, dict[int, Page]] = WeakKeyDictionary()


def _leave(page: Page) -> None:
    """Leave the app, and forget what is kept for it and what a test has set."""
    page.unroute_all()
    page.emulate_media(reduced_motion="null")
    page.mouse.move(0, 0)
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.context.clear_cookies()
    # The browser would compile all scripts again if it left the host, too.
    page.goto(urljoin(page.url, "/nothing") if page.url.startswith("http") else "about:blank")


def drop(page: Page, target: str, *files: tuple[str, bytes]) -> None:
    """Drop files on an element, as from a folder of the visitor's computer."""
    data = transfer(page, files)
    page.dispatch_event(target, "dragover", {"dataTransfer": data})
    page.dispatch_event(target, "drop", {"dataTransfer": data})


def paste(page: Page, target: str, *files: tuple[str, bytes]) -> None:
    """Paste files while an element has the focus."""
    page.locator(target).evaluate(
        "(node, data) => node.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true}))",
        transfer(page, files),
    )


def transfer(page: Page, files: Iterable[tuple[str, bytes]]) -> JSHandle:
    """What a drop or a paste of files carries."""
    make = """files => {
      const data = new DataTransfer();
      for (const [name, content] of files) {
        const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
        data.items.add(new File([bytes], name, {type: name.endsWith('.png') ? 'image/png' : ''}));
      }
      return data;
    }"""
    return page.evaluate_handle(make, [[name, base64.b64encode(content).decode()] for name, content in files])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def gate(analyzer: Analyzer) -> Gate:
    """The module's models, which its tests can hold up."""
    return Gate(analyzer)


@pytest.fixture(scope="module")
def address(gate: Gate, uploads: Path) -> Iterator[str]:
    """Of the module's app, with a slash at the end."""
    with launched(gate, uploads) as (url, _):
        yield url


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the module's app is sent lies here."""
    return tmp_path_factory.mktemp("uploads")
