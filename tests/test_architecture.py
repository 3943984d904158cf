"""The arrows of the design: who may import whom, and what an import may do."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
UI = {"gradio", "plotly"}

#: fer_models from the bottom up: a module imports only from lower rows. A new module belongs in one of them.
LAYERS = [
    {"errors", "interrupts", "onnx_graph"},
    {"expressions", "images", "preprocessing", "results"},
    {"networks", "faces", "cards", "ensemble", "metrics", "sources", "table", "tracking", "wording"},
    {"checkpoints", "comparison", "journal", "labelled"},
    {"foreign"},
    {"classifier"},
    {"analyzer", "baselines", "noise", "schema"},
    {"readings", "timing", "video", "batch", "live"},
    {"commands", "training"},
    {"__main__"},
]


def sources(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Everything a file imports, anywhere in it, as full dotted names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.relative_to(ROOT)}:{node.lineno} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def check(paths: list[Path], forbidden: set[str]) -> None:
    for path in paths:
        for name in imports(path):
            hit = [bad for bad in forbidden if name == bad or name.startswith(f"{bad}.")]
            assert not hit, f"{path.relative_to(ROOT)} imports {name}"


def test_fer_models_knows_no_explanations_and_no_ui() -> None:
    check(sources("fer_models"), UI | {"explain", "dashboard", "app", "benchmarks", "tests"})


def test_explain_knows_no_ui() -> None:
    check(sources("explain"), UI | {"dashboard", "app", "benchmarks", "tests"})


#: Besides app.py and the tabs: what mounts the page and what opens Gradio's tunnel. The rest of the server needs none.
GRADIO = {ROOT / "dashboard" / "server" / name for name in ("serve.py", "sessions.py", "share.py")}


def test_only_app_tabs_and_what_serves_them_import_gradio() -> None:
    allowed = GRADIO | set(sources("dashboard/tabs"))
    everything = sources("dashboard", "explain", "fer_models", "benchmarks")
    check([path for path in everything if path not in allowed], {"gradio"})


def test_the_server_knows_no_tabs_and_no_other_part_knows_the_server() -> None:
    server = sources("dashboard/server")
    check(server, {f"dashboard.{name}" for name in ("tabs", "figures", "markup", "reading", "theme")} | {"explain"})
    check([path for path in sources("dashboard") if path not in server], {"dashboard.server"})


def test_app_stays_a_page_long() -> None:
    assert len((ROOT / "app.py").read_text(encoding="utf-8").splitlines()) <= 150


def test_only_app_imports_the_dashboard() -> None:
    check(sources("fer_models", "explain", "benchmarks"), {"dashboard", "app"})
    check(sources("dashboard"), {"app", "benchmarks"})


def test_only_commands_import_training() -> None:
    """Training itself, and the commands of `explain`: those read labelled faces."""
    inside = {*sources("fer_models/training"), *sources("explain/commands")}
    outside = [path for path in sources("fer_models", "explain", "dashboard") if path not in inside]
    check([path for path in [*outside, ROOT / "app.py"] if path.exists()], {"fer_models.training"})


def test_only_the_entry_point_knows_the_commands_of_explain() -> None:
    """`fer_models.__main__` names them in a string and so imports them only when they are asked for."""
    commands = sources("explain/commands")
    check(
        [path for path in sources("fer_models", "explain", "dashboard") if path not in commands], {"explain.commands"}
    )


def test_arrows_inside_fer_models_point_down() -> None:
    rank = {module: number for number, layer in enumerate(LAYERS) for module in layer}
    for path in sources("fer_models"):
        if path == ROOT / "fer_models" / "__init__.py":
            assert not list(imports(path)), "the package itself imports nothing"
            continue
        module = module_name(path).split(".")[1]
        assert module in rank, f"{path.relative_to(ROOT)} is in no row of LAYERS"
        for name in imports(path):
            package, _, rest = name.partition(".")
            target = rest.partition(".")[0]
            if package == "fer_models" and target != "__version__" and target != module:
                assert rank[target] < rank[module], f"{path.relative_to(ROOT)} imports {name}: that arrow points up"


PROBE = """
import sys, threading
from importlib import import_module

opened = []
sys.addaudithook(lambda event, args: event == "open" and opened.append(str(args[0])))
for name in sys.argv[1:]:
    import_module(name)
weights = [path for path in opened if path.endswith((".safetensors", ".onnx", ".pth", ".pt")) or "/weights/" in path]
print(threading.active_count(), weights)
"""


@pytest.mark.parametrize("package", ["fer_models", "explain", "dashboard", "app"])
def test_importing_loads_no_weights_and_starts_no_thread(package: str) -> None:
    paths = [ROOT / "app.py"] if package == "app" else sources(package)
    modules = [module_name(path) for path in paths if path.exists()]
    if not modules:
        pytest.skip(f"there is no {package} yet")
    result = subprocess.run(
        [sys.executable, "-c", PROBE, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "1 []\n"
