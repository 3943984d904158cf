"""README and documentation: their tables match the records, their commands parse, their links and pictures exist."""

import argparse
import re
import shlex
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from docs.software import FAULTS
from docs.tables import PAGES, outdated
from fer_models.analyzer import WEIGHTS

ROOT = WEIGHTS.parent
TEXTS = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", WEIGHTS / "README.md", ROOT / "examples" / "README.md"]
#: Where a command of this project's starts in a line.
COMMAND = re.compile(r"-m (fer_models|benchmarks|docs)\b|\bapp\.py( |$)|^fer-compare ")
#: What a shell would not pass on to the command.
SHELL = re.compile(r"\s(>>|&&|\|)\s.*")


def commands() -> list[str]:
    """Every command line of this project's in a code block or between backticks, without what a shell does to it."""
    found = []
    for path in TEXTS:
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        blocks = re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        lines = [line for block in blocks for line in block.splitlines()]
        inline = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
        lines += [line.replace("\n", " ") for line in re.findall(r"`([^`]+)`", inline)]
        found += [SHELL.sub("", line[start.start() :]) for line in lines if (start := COMMAND.search(line))]
    return [command for command in dict.fromkeys(found) if "COMMAND" not in command]


class Parsed(Exception):
    """The arguments were accepted."""


@pytest.mark.parametrize("command", commands())
def test_documented_commands_parse(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *arguments = shlex.split(command, comments=True)
    module = {"app.py": "app", "fer-compare": "fer_models"}.get(first) or arguments.pop(0)
    parse, depth = argparse.ArgumentParser.parse_known_args, 0

    def parse_only(parser: argparse.ArgumentParser, *args: Any) -> tuple[Any, list[str]]:
        nonlocal depth  # the parser of a subcommand is called by its command's
        depth += 1
        namespace, unknown = parse(parser, *args)
        depth -= 1
        if depth:
            return namespace, unknown
        raise Parsed(unknown)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", parse_only)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    with pytest.raises((Parsed, SystemExit)) as stopped:
        import_module("fer_models.cli.main" if module == "fer_models" else module).main()
    unknown_or_code = stopped.value.args[0]
    assert unknown_or_code in ([], 0), command  # --help and --version end the process with 0


def test_the_tables_match_the_records() -> None:
    assert list(outdated()) == [], "python -m docs.tables"


@pytest.mark.parametrize("test", [test for _, _, tests in FAULTS for test in tests])
def test_the_tests_behind_the_table_of_faults_exist(test: str) -> None:
    path, _, name = test.partition("::")
    assert f"def {name}(" in (ROOT / "tests" / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", text):
        target, _, anchor = "".join(link).partition("#")
        if target.startswith("http"):
            continue
        linked = (page.parent / target).resolve() if target else page
        assert linked.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_pictures_are_small() -> None:
    pictures = [path for path in (ROOT / "docs" / "images").iterdir()]
    assert pictures and all(path.stat().st_size < 300_000 for path in pictures)


def test_the_readme_is_short_and_names_the_test_command() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    (command,) = (line for line in lines if line.endswith("pytest"))
    assert command.startswith("python3 -m venv .venv && ")


def test_the_website_is_complete_and_asks_no_other_host(tmp_path: Path) -> None:
    """Strict: a broken link or a page that no menu leads to is an error."""
    config = pytest.importorskip("mkdocs.config", reason="needs docs/requirements.txt")
    build = import_module("mkdocs.commands.build").build
    build(config.load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True))
    sources = re.compile(
        r"src=[\"'](?:https?:)?//|<link[^>]+href=[\"'](?:https?:)?//|url\([\"']?(?:https?:)?//|@import"
    )
    for path in tmp_path.rglob("*"):
        if path.suffix in (".html", ".css"):
            assert not sources.search(path.read_text(encoding="utf-8")), path.name
    assert (tmp_path / "index.html").is_file() and not list(tmp_path.rglob("*.py"))
