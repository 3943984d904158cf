"""Imports, in processes of their own: help imports nothing heavy, no module loads weights or starts a thread."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from fer_models.cli.main import COMMANDS
from tests.unit.test_architecture import module_name, sources

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "torchvision", "gradio", "plotly", "cv2", "onnxruntime", "pandas", "scipy", "sklearn", "av")
HELP_PROBE = f"""
import sys
from runpy import run_path, run_module
sys.argv[1:], target = sys.argv[2:], sys.argv[1]
try:
    run_path(target, run_name="__main__") if target.endswith(".py") else run_module(target, run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
print("imported:", *sorted(set({HEAVY!r}) & set(sys.modules)))
"""


def imported(*words: str) -> tuple[str, list[str]]:
    """What a program prints, and which of `HEAVY` it has imported at its end."""
    result = subprocess.run(
        [sys.executable, "-c", HELP_PROBE, *words], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    output, _, names = result.stdout.rpartition("imported:")
    return output, names.split()


@pytest.mark.parametrize(
    "words",
    [("app.py", "--help"), ("fer_models", "--help"), ("fer_models", "app", "--help")]
    + [("fer_models", command, "--help") for command in COMMANDS],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    output, names = imported(*words)
    assert "usage:" in output and names == []


def test_the_page_is_built_without_the_libraries_of_what_is_only_clicked() -> None:
    program = "import sys, dashboard.page; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"scipy", "sklearn", "pytorch_grad_cam", "matplotlib"}.isdisjoint(result.stdout.split())


IMPORT_PROBE = """
import sys, threading
from importlib import import_module

SUFFIXES = (".safetensors", ".onnx", ".pth", ".pt")
opened = []
sys.addaudithook(lambda event, args: event == "open" and opened.append(str(args[0])))
for name in sys.argv[1:]:
    import_module(name)
    weights = [path for path in opened if path.endswith(SUFFIXES) or "/weights/" in path]
    if threading.active_count() > 1 or weights:
        sys.exit(f"{name}: {threading.active_count()} threads, opened {weights}")
print(len(sys.argv) - 1)
"""


def test_importing_loads_no_weights_and_starts_no_thread() -> None:
    """Of any module: from the lowest package up, the first that does is named."""
    paths = [path for package in ("fer_models", "explain", "dashboard", "cluster") for path in sources(package)]
    modules = [module_name(path) for path in [*paths, ROOT / "app.py"]]
    if find_spec("ray") is None:
        modules.remove("cluster.serve")  # the one that is nothing without it
    result = subprocess.run(
        [sys.executable, "-c", IMPORT_PROBE, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{len(modules)}\n"
