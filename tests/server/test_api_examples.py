"""The examples of the API, run as they stand against a running app."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dashboard.server.accounts import hash_password
from fer_models.analyzer import MODELS, Analyzer
from tests.helpers.serving import Running, serving

API = Path(__file__).resolve().parents[2] / "examples" / "api"


@pytest.fixture(scope="module")
def running(analyzer: Analyzer) -> Iterator[Running]:
    with serving(analyzer, accounts={"anna": hash_password("se&cret")}) as running:
        yield running


@pytest.fixture(scope="module")
def photo(picture: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "two faces.png"
    Image.fromarray(picture).save(path)
    return path


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | environment)


def test_the_python_client(running: Running, photo: Path) -> None:
    result = run(sys.executable, str(API / "client.py"), running.url, str(photo), "anna", "se&cret")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "face 1 at [0, 0, 100, 100]" and len(lines) == 10
    assert [line.split(":")[0].strip() for line in lines[1:5]] == list(MODELS)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on the PATH")
def test_curl(running: Running, photo: Path) -> None:
    result = run(str(API / "curl.sh"), running.url, str(photo), FER_USER="anna", FER_PASSWORD="se&cret")
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert len(answer["faces"]) == 2 and list(answer["faces"][0]["models"]) == list(MODELS)
    refused = run(str(API / "curl.sh"), running.url, str(photo))
    assert refused.returncode != 0 and "401" in refused.stderr
