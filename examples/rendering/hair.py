"""Hair, brows, lashes and beards: strands that grow from the skin, in Blender's coordinates: x, -z, y of the head."""

from collections.abc import Callable
from typing import Any

import bpy
import numpy as np
from head import BROW, Person, base, indices
from mathutils import Vector
from mathutils.bvhtree import BVHTree
from numpy.random import Generator
from numpy.typing import NDArray
from skin import hair_material

Array = NDArray[Any]
#: Strands per dm² and copies of each, by style.
_SHORT = {"buzz": (900, 4), "crop": (420, 8), "thin": (160, 5)}
_LENGTH = {"buzz": 0.07, "crop": 0.20, "thin": 0.22, "bob": 1.45, "long": 2.6}


def blender(points: Array) -> Array:
    """Points (..., 3) of the head in Blender's coordinates."""
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], -1)


def unit(vectors: Array) -> Array:
    """Vectors (..., 3) of length 1."""
    return np.asarray(vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9))


class Skin:
    """The triangles of the subdivided skin, as it is and at rest."""

    def __init__(self, mesh: Any) -> None:
        """Read a mesh with the attribute `rest`."""
        count = len(mesh.vertices)
        self.points, self.rest = np.empty((count, 3), np.float32), np.empty((count, 3), np.float32)
        mesh.vertices.foreach_get("co", self.points.ravel())
        mesh.attributes["rest"].data.foreach_get("vector", self.rest.ravel())
        mesh.calc_loop_triangles()
        self.triangles = np.empty((len(mesh.loop_triangles), 3), np.int32)
        mesh.loop_triangles.foreach_get("vertices", self.triangles.ravel())
        a, b, c = (self.points[self.triangles[:, corner]] for corner in range(3))
        self.normals = unit(np.cross(b - a, c - a))
        a, b, c = (self.rest[self.triangles[:, corner]] for corner in range(3))
        # At rest, so that the same roots grow in each frame of a clip.
        self.areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
        self.tree = BVHTree.FromPolygons(self.points.tolist(), self.triangles.tolist())

    def roots(self, where: Callable[[Array], Array], density: float, random: Generator) -> tuple[Array, Array, Array]:
        """Points, normals and rest positions, `density` per dm² where `where` of the rest position is 1."""
        shares = where(self.rest[self.triangles].mean(1)) * self.areas
        count = random.poisson(shares.sum() * density)
        chosen = random.choice(len(shares), count, p=shares / shares.sum())
        weights = random.random((count, 2))
        outside = weights.sum(1) > 1
        weights[outside] = 1 - weights[outside]
        corners = np.stack([1 - weights.sum(1), *weights.T], 1)[..., None]
        points, rest = ((each[self.triangles[chosen]] * corners).sum(1) for each in (self.points, self.rest))
        return points, self.normals[chosen], rest


def scalp(rest: Array, line: float = 0.0) -> Array:
    """1 where hair grows on a head at rest; `line` raises the hairline, in dm."""
    x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    limit = np.where(z > 0.95, 8.02 + line - 0.30 * np.clip((x - 0.25) / 0.4, 0, 1) ** 2, 0)
    temples = np.clip(7.30 + (z - 0.45) * 1.05, 7.2, 8.0)
    limit = np.where((z <= 0.95) & (z > 0.45), temples, limit)
    limit = np.where(z <= 0.45, 6.95 + 0.55 * np.clip((z + 0.1) / 0.55, 0, 1), limit)
    sides = np.maximum(limit, 7.62 + (z - 0.75) * 0.75 + line * 0.6)
    limit = np.where((z > 0.75) & (z <= 1.25), sides, limit)
    ear = (x > 0.69) & (y < 7.52) & (z > 0.1) & (z < 0.9)
    return np.asarray(~ear / (1 + np.exp(-np.clip((y - limit) / 0.025, -30, 30))))


def _brow(rest: Array, width: float) -> Array:
    x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    middle, half = np.interp(x, *BROW.T), np.interp(x, [0.09, 0.2, 0.4, 0.58], [0.032, 0.034, 0.024, 0.008])
    inside = (x > 0.10) & (x < 0.57) & (z > 0.9)
    return np.asarray(inside * np.exp(-(((y - middle) / (half * width)) ** 2)) * np.clip((x - 0.09) / 0.05, 0, 1))


def _beard(rest: Array) -> Array:
    x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    jaw = (y < 6.98 - 0.9 * np.clip(0.62 - x, 0, 0.4)) & (z > 0.45) & (y > 6.02)
    mouth = (x < 0.31) & (y > 6.545) & (y < 6.74)
    lip = (x < 0.36) & (y > 6.735) & (y < 6.845) & (z > 1.2)
    return np.asarray(((jaw & ~mouth) | lip) * np.clip((z - 0.35) / 0.15, 0, 1) * np.where(y < 6.25, 0.5, 1.0))


def _strands(points: Array, radius: float, material: Any) -> None:
    """Add curves (n, k, 3) that taper."""
    count, steps = points.shape[:2]
    curves = bpy.data.hair_curves.new("strands")
    curves.add_curves([steps] * count)
    curves.points.foreach_set("position", points.astype(np.float32).ravel())
    radii = np.broadcast_to(radius * (1 - 0.85 * np.linspace(0, 1, steps) ** 2), (count, steps))
    curves.points.foreach_set("radius", radii.astype(np.float32).ravel())
    curves.materials.append(material)
    bpy.context.collection.objects.link(bpy.data.objects.new("strands", curves))


def _grow(
    skin: Skin,
    roots: Array,
    normals: Array,
    lengths: Array,
    first: Array,
    pull: Callable[[float], Array],
    steps: int,
    lift: float,
    stiffness: float = 0.75,
    keep_off: Callable[[Array], Array] = lambda points: points,
) -> Array:
    """Strands (n, steps + 1, 3): each step turns towards `pull` and stays `lift` above the skin."""
    points, directions = roots - normals * 0.004, unit(first)
    out = [points]
    for step in range(1, steps + 1):
        share = step / steps
        directions = unit(stiffness * directions + (1 - stiffness) * pull(share))
        ends = keep_off(points + directions * (lengths / steps)[:, None])
        least = lift * min(1, 2.5 * share)
        for row, end in enumerate(ends):
            place, normal, _, _ = skin.tree.find_nearest(Vector(end), 0.6)
            if place is not None and (Vector(end) - place).dot(normal) < least:
                ends[row] = np.array(place) + np.array(normal) * least
        directions, points = unit(ends - points), ends
        out.append(points)
    return np.stack(out, 1)


def _waved(strands: Array, size: float, turns: float, random: Generator) -> Array:
    count, steps = strands.shape[:2]
    share = np.linspace(0, 1, steps)[None]
    angle = random.random((count, 1)) * 6.28 + share * turns
    last = unit(strands[:, -1] - strands[:, -2])
    side = unit(np.cross(last, random.normal(size=(count, 3))))
    other = unit(np.cross(last, side))
    wave = np.cos(angle)[..., None] * side[:, None] + np.sin(angle)[..., None] * other[:, None]
    return np.asarray(strands + size * np.minimum(1, 3 * share)[..., None] * wave)


def _copied(strands: Array, copies: int, spread: float, random: Generator) -> Array:
    count, steps, _ = strands.shape
    offsets = random.normal(scale=spread, size=(count, copies, 1, 3))
    offsets = offsets + random.normal(scale=spread * 0.25, size=(count, copies, steps, 3)).cumsum(2) * 0.3
    out = strands[:, None] + offsets * np.linspace(0.6, 1, steps)[None, None, :, None]
    out = out[:, :, :1] + (out - out[:, :, :1]) * random.uniform(0.8, 1.0, (count, copies, 1, 1))
    return np.asarray(out.reshape(count * copies, steps, 3))


def grow_hair(person: Person, skin: Skin, eyes: Array, random: Generator) -> None:
    """The hair of the head: "buzz", "crop", "thin", "afro", "bob" or "long".

    Args:
        person: `hair` has style and colour, and optionally line (of the hair, raised, in dm), part (in x), length.
        skin: to grow from.
        eyes: (3,) the point between them.
        random: for the places of the strands.
    """
    hair = person.hair
    style, line, material = hair["style"], hair.get("line", 0.0), hair_material(hair["colour"])

    def where(rest: Array) -> Array:
        thinned = np.where((style == "thin") & (rest[:, 1] > 7.95), 0.25, 1.0)
        return scalp(rest, line) * thinned

    if style in _SHORT:
        density, copies = _SHORT[style]
        roots, normals, rest = skin.roots(where, density, random)
        height = 1.0 if style == "buzz" else np.clip((rest[:, 1] - 7.3) / 1.0, 0.25, 1.0)
        lengths = _LENGTH[style] * height * random.uniform(0.8, 1.1, len(roots))
        front = np.clip((rest[:, 2] - 0.6) / 0.7, 0, 1)[:, None]
        comb = front * np.array([0.35, -0.15, 0.35]) + (1 - front) * np.array([0, 0.35, -0.75])
        first = normals * 0.9 + comb * 0.8 + random.normal(scale=0.12, size=normals.shape)
        down = np.array([0, 0, -0.25])
        strands = _grow(skin, roots, normals, lengths, first, lambda _: unit(comb + down), 7, 0.03)
        _strands(_copied(strands, copies, 0.022, random), 0.0042, material)
    elif style == "afro":
        roots, normals, _ = skin.roots(where, 420, random)
        lengths = hair.get("length", 0.35) * random.uniform(0.7, 1.1, len(roots))
        first = normals + random.normal(scale=0.25, size=normals.shape)
        strands = _grow(skin, roots, normals, lengths, first, lambda _: normals, 12, 0.02)
        _strands(_copied(_waved(strands, 0.035, 26.0, random), 7, 0.035, random), 0.0042, material)
    else:
        roots, normals, rest = skin.roots(where, 190, random)
        side = np.where(rest[:, :1] > hair.get("part", 0.12), 1.0, -1.0)
        front = np.clip((rest[:, 2:] - 0.5) / 0.8, 0, 1)
        top = np.clip((rest[:, 1:2] - 7.6) / 0.8, 0, 1)
        lengths = _LENGTH[style] * random.uniform(0.88, 1.05, len(roots)) * (0.72 + 0.28 * top[:, 0])
        outward = np.concatenate([side * 0.9, front * 0.15 + 0.25, np.full_like(side, -0.1)], 1)
        comb = top * outward + (1 - top) * np.array([0, 0.15, -1.0])
        fall = np.concatenate([np.sign(rest[:, :1]) * 0.35 * front, 0.35 * front, -np.ones_like(front)], 1)
        first = normals * 0.55 + comb + random.normal(scale=0.05, size=normals.shape)

        def beside_the_face(points: Array) -> Array:
            low = np.clip((eyes[2] + 0.62 - points[:, 2]) / 0.5, 0, 1)
            ahead = np.clip((eyes[1] + 0.42 - points[:, 1]) / 0.3, 0, 1)
            sign = np.where(points[:, 0] == 0, 1, np.sign(points[:, 0]))
            aim = 0.60 * low * ahead
            moved = np.where(np.abs(points[:, 0]) < aim, 0.5 * (points[:, 0] + sign * aim), points[:, 0])
            return np.stack([moved, points[:, 1], points[:, 2]], 1)

        def pull(share: float) -> Array:
            return unit(fall * min(1, 0.35 + share) + comb * max(0, 0.5 - share))

        strands = _grow(skin, roots, normals, lengths, first, pull, 26, 0.07, 0.72, beside_the_face)
        _strands(_copied(_waved(strands, 0.012, 7.0, random), 15, 0.030, random), 0.0046, material)


def grow_small_hair(person: Person, skin: Skin, vertices: Array, random: Generator) -> None:
    """Brows, lashes and, if there is one, the beard."""
    share = np.linspace(0, 1, 5)[None, :, None]
    roots, normals, rest = skin.roots(lambda rest: _brow(rest, person.brow_width), 9000, random)
    count, side = len(roots), np.sign(rest[:, 0])
    along = np.clip((np.abs(rest[:, 0]) - 0.1) / 0.45, 0, 1)
    lie = np.stack([side * (0.35 + 0.75 * along), np.zeros(count), 0.9 - 1.15 * along], 1)
    lie = unit(lie - normals * (lie * normals).sum(1, keepdims=True))
    lie = unit(lie + 0.22 * normals + random.normal(scale=0.08, size=normals.shape))[:, None]
    lengths = (0.085 * random.uniform(0.6, 1.1, count))[:, None, None]
    bend = 0.35 * np.stack([side * 0.3, np.zeros(count), -0.35 * np.ones(count)], 1) - 0.12 * normals
    brows = roots[:, None] + lengths * (lie * share + bend[:, None] * share**2)
    _strands(brows, 0.0042, hair_material(person.brows or person.hair["colour"]))
    lashes = _lashes(blender(vertices), random)
    _strands(lashes, 0.0034 if person.gender == "female" else 0.0024, hair_material((0.012, 0.009, 0.008)))
    if person.beard:
        beard = person.beard
        roots, normals, _ = skin.roots(_beard, beard["density"], random)
        grow = unit(normals * 0.6 + np.array([0, -0.1, -0.9]) + random.normal(scale=0.25, size=normals.shape))
        lengths = (beard["length"] * random.uniform(0.5, 1.1, len(roots)))[:, None, None]
        spread = random.normal(scale=0.012, size=(len(roots), 1, 3))
        strands = roots[:, None] + lengths * (grow[:, None] * share + np.array([0, 0.035, -0.175]) * share**2)
        _strands(strands + spread * share, 0.0042, hair_material(beard.get("colour", person.hair["colour"])))


def _lashes(points: Array, random: Generator) -> Array:
    """Across MakeHuman's strips of lashes, from the edge near the eye to the other."""
    out = []
    for eye in "lr":
        middle = points[indices(f"helper-{eye}-eye")].mean(0)
        for lid, length, bow in ((2, 0.75, -0.008), (1, 0.5, 0.006)):
            for face in base()[2][f"helper-{eye}-eyelashes-{lid}"]:
                corners = points[[vertex for vertex, _ in face]]
                distances = np.linalg.norm(corners - middle, axis=1)
                near, beside, far, last = corners[np.argsort(distances)]
                if np.diff(np.sort(distances))[1] < 0.008:
                    continue
                if np.linalg.norm(far - near) > np.linalg.norm(last - near):
                    far, last = last, far
                for across in random.random(3):
                    root, tip = near + (beside - near) * across, far + (last - far) * across
                    bent = (root + tip) / 2 + np.array([0, 0, bow])
                    tip = root + (tip - root) * length * random.uniform(0.7, 1.1)
                    out.append([root, (root + bent) / 2, bent / 2 + (root + tip) / 4, tip])
    return np.array(out)
