"""The examples of the API, run as they stand against a running app."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fer_models.registry import MODELS
from tests.helpers.serving import Running

API = Path(__file__).resolve().parents[2] / "examples" / "api"


@pytest.fixture
def picture_file(photo: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "two faces.png"
    path.write_bytes(photo)
    return path


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | environment)


def test_the_python_client(locked: Running, picture_file: Path) -> None:
    result = run(sys.executable, str(API / "client.py"), locked.url, str(picture_file), "berta", "se&cret")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "face 1 at [0, 0, 100, 100]" and len(lines) == 10
    assert [line.split(":")[0].strip() for line in lines[1:5]] == list(MODELS)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on the PATH")
def test_curl(locked: Running, picture_file: Path) -> None:
    result = run(str(API / "curl.sh"), locked.url, str(picture_file), FER_USER="berta", FER_PASSWORD="se&cret")
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert len(answer["faces"]) == 2 and list(answer["faces"][0]["models"]) == list(MODELS)
    refused = run(str(API / "curl.sh"), locked.url, str(picture_file))
    assert refused.returncode != 0 and "401" in refused.stderr
