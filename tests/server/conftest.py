"""Servers that tests share, because they only read: tests that change a setting or count files start their own."""

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dashboard.server.accounts import hash_password
from fer_models.analyzer import WEIGHTS, Analyzer
from tests.helpers.serving import Running, serving

#: What the locked server lets in; the second password has a character that must be escaped.
PASSWORDS = {"anna": "secret", "berta": "se&cret"}


@contextmanager
def set_aside(server: AbstractContextManager[Running]) -> Iterator[Running]:
    """Start a server, and leave the process's temporary folders as they were, for there may be several servers."""
    before = tempfile.tempdir, os.environ.get("GRADIO_TEMP_DIR", "")
    with server as running:
        tempfile.tempdir, os.environ["GRADIO_TEMP_DIR"] = before
        yield running


def in_use(server: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """Let the process put temporary files where a server expects them, as long as a test lasts."""
    monkeypatch.setattr(tempfile, "tempdir", str(server.uploads))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(server.uploads))
    return server


@pytest.fixture(scope="session")
def open_server(analyzer: Analyzer) -> Iterator[Running]:
    with set_aside(serving(analyzer, mcp=True, weights=WEIGHTS)) as running:
        yield running


@pytest.fixture(scope="session")
def locked_server(analyzer: Analyzer) -> Iterator[Running]:
    accounts = {user: hash_password(password) for user, password in PASSWORDS.items()}
    with set_aside(serving(analyzer, mcp=True, accounts=accounts)) as running:
        yield running


@pytest.fixture
def running(open_server: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """The app with everything that is shown, for pages and MCP clients."""
    return in_use(open_server, monkeypatch)


@pytest.fixture
def locked(locked_server: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """The app behind passwords."""
    return in_use(locked_server, monkeypatch)


@pytest.fixture(scope="session")
def photo(picture: NDArray[np.uint8]) -> bytes:
    """`picture` as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()
