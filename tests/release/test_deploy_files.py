"""Dockerfile, compose.yaml and .dockerignore, as far as they can be checked without an engine."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboard.server.options import parse

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def instructions() -> list[tuple[str, str]]:
    """(instruction, rest) with continued lines joined and comments left out."""
    text = "\n".join(line for line in DOCKERFILE.splitlines() if not line.startswith("#"))
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines) if word]


def of(word: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == word]


def copied() -> list[str]:
    """What is copied from the build context."""
    return [path for rest in of("COPY") if not rest.startswith("--from") for path in rest.split()[:-1]]


def allowed(path: str) -> bool:
    """Whether .dockerignore, which leaves out all but what it names, lets a top-level path into the context."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    return f"!{path.rstrip('/')}" in lines


def test_the_rules_of_hadolint() -> None:
    stages = of("FROM")
    assert all(re.match(r"\S+:[^\s:]+-slim\S*( AS \w+)?$", stage) and ":latest" not in stage for stage in stages)
    assert {word for word, _ in instructions()} <= {
        *("FROM", "ARG", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK"),
        *("ENTRYPOINT", "CMD"),
    }, "COPY instead of ADD, no MAINTAINER, no SHELL"
    for run in of("RUN"):
        assert "sudo" not in run and "cd " not in run and "curl" not in run
        if "apt-get" in run:
            assert (
                run.index("update") < run.index("install -y --no-install-recommends") < run.index("rm -rf /var/lib/apt")
            )
        if "pip install" in run:
            assert "--no-cache-dir" in run
    assert all(Path(path).is_absolute() for path in of("WORKDIR"))
    for word in ("ENTRYPOINT", "CMD"):
        assert isinstance(json.loads(of(word)[-1]), list), f"{word} in exec form, or signals never arrive"
    order = [word for word, _ in instructions()]
    assert order.index("USER") > max(number for number, word in enumerate(order) if word in ("RUN", "COPY"))


def test_it_does_not_run_as_root_and_tells_its_health() -> None:
    assert of("USER") == ["1000"]
    assert "/readyz" in of("HEALTHCHECK")[0] and "libgl1" in of("RUN")[1]
    assert not re.search(r"(?i)(password|secret|token|api_?key)\s*=", DOCKERFILE)


@pytest.mark.parametrize("path", copied())
def test_what_is_copied_exists_and_is_in_the_context(path: str) -> None:
    assert (ROOT / path).exists()
    assert allowed(path)


def test_the_context_has_all_that_the_app_imports() -> None:
    own = {path.stem for path in ROOT.glob("*.py")} | {path.name for path in ROOT.iterdir() if path.is_dir()}
    packages = [path.rstrip("/") for path in copied() if path.endswith("/")]
    sources = [ROOT / "app.py", *(file for package in packages for file in (ROOT / package).rglob("*.py"))]
    imported = set()
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).partition(".")[0])
    assert imported & own <= {*packages, "app"}
    assert "weights" in packages and "examples" in packages


def test_no_secret_and_no_data_get_into_the_image() -> None:
    for path in (".git", ".env", "runs", "tests", "shared", "accounts.txt"):
        assert not allowed(path)


COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


def test_the_readme_begins_with_the_settings_of_a_space() -> None:
    """What Hugging Face reads of it; the rest is what people read."""
    empty, front, text = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    settings = yaml.safe_load(front)
    assert empty == "" and text.startswith("\n# " + settings["title"])
    assert settings["sdk"] == "docker" and settings["app_port"] == int(of("EXPOSE")[0])
    assert {settings["colorFrom"], settings["colorTo"]} <= COLOURS
    assert settings["license"] == "mit" and (ROOT / "LICENSE").read_text().startswith("MIT License")
    assert len(settings["short_description"]) <= 60 and len(settings["emoji"]) <= 2


def test_a_space_believes_the_proxy_before_it_and_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert parse([]).trusted_proxies == 0
    monkeypatch.setenv("SPACE_ID", "somebody/faces")
    assert parse([]).trusted_proxies == 1 and parse(["--trusted-proxies", "2"]).trusted_proxies == 2


def compose() -> dict[str, Any]:
    service: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["app"]
    return service


def test_compose_gives_no_more_than_is_needed() -> None:
    service = compose()
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["init"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert not {"privileged", "environment", "network_mode"} & set(service)


def test_the_arguments_are_ones_the_app_knows() -> None:
    entry = json.loads(of("ENTRYPOINT")[-1])
    assert entry[:2] == ["python", "app.py"]
    for extra in (json.loads(of("CMD")[-1]), compose()["command"]):
        options = parse([*entry[2:], *extra])
        assert (options.host, options.port) == ("0.0.0.0", int(of("EXPOSE")[0]))
