"""What `pip install .` installs, as pyproject.toml declares it."""

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import fer_models

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]


def test_the_entry_point_exists() -> None:
    module, function = PROJECT["project"]["scripts"]["fer-compare"].split(":")
    assert callable(getattr(import_module(module), function))


def test_what_the_page_reads_is_installed() -> None:
    packages = SETUPTOOLS["packages"]["find"]["include"]
    assert packages == ["fer_models*", "explain*", "dashboard*", "cluster*"] and SETUPTOOLS["py-modules"] == ["app"]
    patterns = SETUPTOOLS["package-data"]
    for path in (path for name in ("fer_models", "explain", "dashboard") for path in (ROOT / name).rglob("*.*")):
        if path.is_dir() or path.suffix in (".py", ".pyc"):
            continue
        if path.parent == ROOT / "dashboard" / "static":
            assert "static/*" in patterns["dashboard"]
        else:
            assert f"*{path.suffix}" in patterns["*"] and (path.parent / "__init__.py").is_file(), path


def test_version_and_requirements_are_declared_once() -> None:
    assert not {"version", "dependencies", "optional-dependencies"} & set(PROJECT["project"])
    assert SETUPTOOLS["dynamic"]["version"] == {"attr": "fer_models.__version__"}
    for files in (SETUPTOOLS["dynamic"]["dependencies"], SETUPTOOLS["dynamic"]["optional-dependencies"]["mcp"]):
        lines = (ROOT / files["file"][0]).read_text(encoding="utf-8").splitlines()
        assert not any(line.startswith("-") for line in lines), "setuptools reads no flags of pip"


@pytest.mark.parametrize("arguments", [["--version"], ["app", "--help"]])
def test_the_command_line_says_what_it_was_called(arguments: list[str]) -> None:
    program = "import sys; sys.argv[0] = '/usr/bin/fer-compare'; from fer_models.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", program, *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout.startswith(fer_models.__version__ if "--version" in arguments else "usage: fer-compare app ")
