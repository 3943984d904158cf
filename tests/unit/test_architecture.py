"""The arrows of the design, and what an import may do. Who may import whom is in pyproject.toml."""

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


@pytest.mark.parametrize("package", ["fer_models", "explain", "dashboard", "cluster", "benchmarks", "docs"])
def test_a_module_can_be_read_in_one_sitting(package: str) -> None:
    lengths = {module_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources(package)}
    assert lengths
    assert {name: length for name, length in lengths.items() if length > 350} == {}


def test_app_stays_a_page_long() -> None:
    assert len((ROOT / "app.py").read_text(encoding="utf-8").splitlines()) <= 160
