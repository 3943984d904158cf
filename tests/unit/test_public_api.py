"""What `import fer_models` gives, and that it costs nothing."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import fer_models


def test_every_public_name_is_the_one_of_its_module() -> None:
    assert set(fer_models.__all__) == {*fer_models._MODULES, "__version__"}
    assert set(fer_models.__all__) <= set(dir(fer_models))
    for name, module in fer_models._MODULES.items():
        assert getattr(fer_models, name) is getattr(import_module(f"fer_models.{module}"), name)


def test_other_names_are_none_of_the_package() -> None:
    with pytest.raises(AttributeError, match="no attribute 'paint'"):
        fer_models.paint  # noqa: B018


def test_importing_waits_for_no_library() -> None:
    program = (
        "import sys, fer_models\n"
        "heavy = ('torch', 'numpy', 'cv2', 'pandas', 'sklearn')\n"
        "print([name for name in heavy if name in sys.modules])\n"
        "fer_models.FerError, fer_models.EXPRESSIONS\n"
        "print([name for name in heavy if name in sys.modules])\n"
        "fer_models.load_dataset\n"
        "print('torch' in sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.split() == ["[]", "[]", "False"]


def test_onnxruntime_reports_nothing(tmp_path: Path) -> None:
    """Its telemetry keeps a file among the temporary ones as soon as it is on."""
    words = [sys.executable, "-c", "import fer_models, onnxruntime"]
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run(words, check=True, timeout=60, env=environment | {"TMPDIR": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []
