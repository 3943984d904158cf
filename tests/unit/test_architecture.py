"""The arrows of the design, and what an import may do. Who may import whom is in pyproject.toml."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_the_arrows_point_down() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("package", ["fer_models", "explain", "dashboard", "benchmarks", "docs"])
def test_a_module_can_be_read_in_one_sitting(package: str) -> None:
    lengths = {module_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources(package)}
    assert lengths
    assert {name: length for name, length in lengths.items() if length > 350} == {}


def test_app_stays_a_page_long() -> None:
    assert len((ROOT / "app.py").read_text(encoding="utf-8").splitlines()) <= 160


PROBE = """
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
    paths = [path for package in ("fer_models", "explain", "dashboard") for path in sources(package)]
    modules = [module_name(path) for path in [*paths, ROOT / "app.py"]]
    result = subprocess.run(
        [sys.executable, "-c", PROBE, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{len(modules)}\n"
