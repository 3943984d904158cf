"""The packages and who imports whom, as a picture: `python -m docs.imports` writes docs/images/imports.svg."""

import argparse
from pathlib import Path
from typing import Final

import grimp
import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

ROOTS: Final = ("fer_models", "explain", "dashboard", "cluster", "benchmarks")
#: From the top down, as pyproject.toml's import contracts have it.
ROWS: Final = (
    ("dashboard.page", "cluster", "benchmarks"),
    (
        *("dashboard.compare", "dashboard.attention", "dashboard.live"),
        *("dashboard.video", "dashboard.batch", "dashboard.leaderboard", "dashboard.add_model"),
    ),
    ("dashboard.server", "dashboard.mcp"),
    ("dashboard.components",),
    ("dashboard.theme", "explain"),
    ("fer_models.cli",),
    ("fer_models.training",),
    ("fer_models.evaluation",),
    ("fer_models.batch",),
    ("fer_models.video",),
    ("fer_models.analyzer",),
    ("fer_models.registry",),
    ("fer_models.datasets",),
    ("fer_models.models", "fer_models.faces"),
    ("fer_models.media",),
    ("fer_models.results",),
    ("fer_models.expressions",),
    ("fer_models.errors",),
)
TARGET: Final = Path(__file__).with_name("images") / "imports.svg"


def edges() -> set[tuple[str, str]]:
    """Pairs of packages of `ROWS` of which the first imports the second."""
    graph = grimp.build_graph(*ROOTS)
    packages = [name for row in ROWS for name in row]

    def package(module: str) -> str | None:
        return next((name for name in packages if module == name or module.startswith(f"{name}.")), None)

    pairs = {
        (package(module), package(imported))
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
    }
    return {(one, other) for one, other in pairs if one and other and one != other}


def main() -> None:
    """Read the command line, draw and write."""
    parser = argparse.ArgumentParser("python -m docs.imports", description="Draw which package imports which.")
    parser.add_argument("--out", type=Path, default=TARGET, help="the picture (default: docs/images/imports.svg)")
    args = parser.parse_args()
    places = {
        name: ((column + 0.5) / len(row), -float(number))
        for number, row in enumerate(ROWS)
        for column, name in enumerate(row)
    }
    figure, axes = plt.subplots(figsize=(14.5, 9.5))
    for one, other in sorted(edges()):
        (x1, y1), (x2, y2) = places[one], places[other]
        colour = "#9ca3af" if y2 < y1 else "#dc2626"  # red: an import that does not point down
        line = {"arrowstyle": "-|>", "color": colour, "lw": 0.7, "alpha": 0.6, "shrinkA": 9, "shrinkB": 9}
        axes.annotate("", (x2, y2), (x1, y1), arrowprops=line)
    for name, (x, y) in places.items():
        box = {"boxstyle": "round,pad=0.35", "facecolor": "#eef2ff", "edgecolor": "#4338ca", "linewidth": 0.8}
        axes.text(x, y, name, ha="center", va="center", fontsize=9, bbox=box)
    heights = [y for _, y in places.values()]
    axes.set(xlim=(0, 1), ylim=(min(heights) - 0.6, max(heights) + 0.6))
    axes.axis("off")
    matplotlib.rcParams["svg.hashsalt"] = "imports"
    figure.savefig(args.out, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
