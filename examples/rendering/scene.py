"""A scene with one head, its clothes, light and camera, rendered by Blender's Cycles on a transparent background."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import bpy
import numpy as np
from hair import Array, Skin, blender, grow_hair, grow_small_hair, scalp
from head import Corner, Person, base, indices, morph
from mathutils import Vector
from skin import eye_material, plain, skin_material, teeth_material


@dataclass(frozen=True)
class Shot:
    """How a head is shown; angles in degrees.

    Attributes:
        view: of the camera, to the right and up.
        turn: of the head: to its left, down, and tilted.
        gaze: of the eyes beside the head's turn: to the left and up.
        light: a name in `LIGHTS`.
        mirrored: the light comes from the other side.
        zoom: 1 shows a head with its collar.
    """

    view: tuple[float, float] = (0, 0)
    turn: tuple[float, float, float] = (0, 0, 0)
    gaze: tuple[float, float] = (0, 0)
    light: str = "studio"
    mirrored: bool = False
    zoom: float = 1.0


@dataclass(frozen=True)
class _Lamp:
    place: tuple[float, float, float]
    watts: float
    size: float
    colour: tuple[float, float, float]


#: Light from all around, and three lamps: the main one, one that softens its shadows, one from behind.
LIGHTS: Final[dict[str, tuple[float, tuple[_Lamp, _Lamp, _Lamp]]]] = {
    "studio": (
        0.35,
        (
            _Lamp((-3.0, -6.0, 2.6), 412, 3.0, (1, 0.96, 0.91)),
            _Lamp((4.5, -4.5, 0.5), 112, 4.0, (0.92, 0.96, 1)),
            _Lamp((2.5, 5, 3), 325, 2.0, (1, 1, 1)),
        ),
    ),
    "window": (
        0.22,
        (
            _Lamp((-5.0, -3.6, 1.6), 525, 3.2, (0.93, 0.97, 1)),
            _Lamp((5, -5, 0), 69, 4.0, (1, 0.94, 0.88)),
            _Lamp((3, 4.5, 3), 188, 2.0, (1, 0.95, 0.9)),
        ),
    ),
    "warm": (
        0.25,
        (
            _Lamp((3.4, -5.6, 2.0), 412, 2.6, (1, 0.90, 0.80)),
            _Lamp((-5, -4, 0.5), 112, 4.0, (0.85, 0.92, 1)),
            _Lamp((-2.5, 5, 3), 300, 2.0, (1, 0.93, 0.85)),
        ),
    ),
    "day": (
        0.75,
        (
            _Lamp((-1.5, -6.5, 4.5), 375, 5.0, (1, 0.98, 0.95)),
            _Lamp((4.5, -5, 0), 88, 4.0, (0.92, 0.96, 1)),
            _Lamp((0, 5.5, 4), 250, 3.0, (1, 1, 1)),
        ),
    ),
    "dim": (
        0.06,
        (
            _Lamp((4.6, -3.2, 1.2), 138, 1.2, (1, 0.72, 0.45)),
            _Lamp((-5, -4, 0), 11, 4.0, (0.55, 0.7, 1)),
            _Lamp((-3, 4.5, 2), 50, 1.0, (0.6, 0.75, 1)),
        ),
    ),
}


def render(
    person: Person,
    expression: Mapping[str, float],
    shot: Shot,
    path: Path,
    size: tuple[int, int] = (390, 450),
    samples: int = 16,
) -> None:
    """Write a PNG with a transparent background.

    Args:
        person: who.
        expression: weights of face units.
        shot: how they are shown.
        path: to be written.
        size: width and height in px.
        samples: rays per pixel, before Open Image Denoise.
    """
    bpy.ops.wm.read_factory_settings(use_empty=True)
    vertices = _turned(morph(person, expression), shot.turn)
    eyes = {side: blender(vertices[indices(f"helper-{side}-eye")]) for side in "lr"}
    _dress(person, expression, vertices)
    _add_eyes(person, shot, eyes)
    skin_object = bpy.data.objects["skin"]
    skin, random = Skin(skin_object.data), np.random.default_rng(person.seed)
    attribute = skin_object.data.attributes.new("scalp", "FLOAT", "POINT")
    attribute.data.foreach_set("value", scalp(skin.rest, person.hair.get("line", 0.0)).astype(np.float32))
    between = (eyes["l"].mean(0) + eyes["r"].mean(0)) / 2
    grow_hair(person, skin, between, random)
    grow_small_hair(person, skin, vertices, random)
    if person.glasses:
        _add_glasses(eyes["l"].mean(0), eyes["r"].mean(0), *person.glasses)
    mouth = blender(vertices[indices("joint-mouth")]).mean(0)
    size_of_head = float(np.ptp(vertices[base()[0][:, 1] > 6.2, 1])) / 2.3
    middle = Vector((0, (mouth[1] + between[1]) / 2, (mouth[2] + between[2]) / 2))
    _light(shot, middle, size_of_head)
    _aim(shot, middle + Vector((0, 0, 0.02 * size_of_head)), size_of_head)
    _render(path, size, samples)


def _turned(vertices: Array, degrees: tuple[float, float, float]) -> Array:
    """The head turned on its neck, which bends along."""
    yaw, pitch, roll = (math.radians(angle) for angle in degrees)
    about_y = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
    about_z = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
    pivot = vertices[indices("joint-neck")].mean(0) + [0, 0.15, 0]
    share = np.clip((base()[0][:, 1:2] - 5.85) / 0.7, 0, 1)
    share = share * share * (3 - 2 * share)
    turned = (vertices - pivot) @ (about_y @ about_x @ about_z).T + pivot
    return np.asarray(vertices * (1 - share) + turned * share)


def _add_mesh(name: str, vertices: Array, faces: list[list[Corner]], material: Any) -> Any:
    """A smooth object of some faces, subdivided twice, that knows its texture and rest coordinates."""
    rest, texture, _ = base()
    used = np.unique([vertex for face in faces for vertex, _ in face])
    place = {int(vertex): row for row, vertex in enumerate(used)}
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(blender(vertices[used]).tolist(), [], [[place[vertex] for vertex, _ in face] for face in faces])
    corners = np.array([texture[corner] for face in faces for _, corner in face], np.float32)
    mesh.uv_layers.new(name="uv").data.foreach_set("uv", corners.ravel())
    attribute = mesh.attributes.new("rest", "FLOAT_VECTOR", "POINT")
    attribute.data.foreach_set("vector", rest[used].astype(np.float32).ravel())
    mesh.materials.append(material)
    item = bpy.data.objects.new(name, mesh)
    bpy.context.collection.objects.link(item)
    modifier = item.modifiers.new("subdivision", "SUBSURF")
    modifier.levels = 2
    item.data = bpy.data.meshes.new_from_object(item.evaluated_get(bpy.context.evaluated_depsgraph_get()))
    item.modifiers.clear()
    item.data.polygons.foreach_set("use_smooth", [True] * len(item.data.polygons))
    return item


def _dress(person: Person, expression: Mapping[str, float], vertices: Array) -> None:
    """Skin down to the chest, a shirt over it, teeth and tongue."""
    rest, _, groups = base()

    def near(face: list[Corner], low: float, high: float) -> bool:
        points = rest[[vertex for vertex, _ in face]]
        return bool(points[:, 1].min() > low and points[:, 1].max() < high and np.abs(points[:, 0]).max() < 2.6)

    body = [face for face in groups["body"] if near(face, 3.6, 9)]
    _add_mesh("skin", vertices, body, skin_material(person, expression))
    cloth = [face for face in groups["helper-tights"] if near(face, 3.4, 6.0)]
    shirt = _add_mesh("shirt", vertices, cloth, plain(person.shirt, 0.85)).modifiers.new("thickness", "SOLIDIFY")
    shirt.thickness, shirt.offset = 0.05, 1
    for group in ("helper-upper-teeth", "helper-lower-teeth"):
        _add_mesh(group, vertices, groups[group], teeth_material())
    _add_mesh("tongue", vertices, groups["helper-tongue"], plain((0.42, 0.13, 0.12), 0.35, 0.5))


def _add_eyes(person: Person, shot: Shot, eyes: Mapping[str, Array]) -> None:
    """Spheres with a cornea that turn with the head and the gaze."""
    yaw, pitch, roll = (math.radians(angle) for angle in shot.turn)
    across, up = (math.radians(angle) for angle in shot.gaze)
    material = eye_material(person)
    for points in eyes.values():
        radius = float(np.ptp(points, axis=0).mean()) / 2
        bpy.ops.mesh.primitive_uv_sphere_add(segments=64, ring_count=32, radius=1.0, location=points.mean(0))
        ball = bpy.context.object
        ball.scale = (radius, radius, radius)
        ball.rotation_euler = (pitch - up, -roll, yaw + across)
        bpy.ops.object.shade_smooth()
        ball.data.materials.append(material)
        for vertex in ball.data.vertices:
            axis = math.hypot(vertex.co.x, vertex.co.z) / 0.46
            if vertex.co.y < 0 and axis < 1:
                vertex.co.y -= 0.10 * (1 - axis**2)


def _add_glasses(left: Array, right: Array, style: str, colour: tuple[float, float, float]) -> None:
    """Frames without lenses, in front of the eyes."""
    half_width, half_height, power = {"square": (0.245, 0.175, 4.0), "round": (0.215, 0.205, 2.2)}[style]
    material = plain(colour, 0.25)
    front = min(left[1], right[1]) - 0.36

    def tube(points: Any, radius: float, closed: bool = False) -> None:
        curve = bpy.data.curves.new("frame", "CURVE")
        curve.dimensions, curve.bevel_depth, curve.bevel_resolution = "3D", radius, 3
        spline = curve.splines.new("POLY")
        spline.points.add(len(points) - 1)
        for knot, point in zip(spline.points, points, strict=True):
            knot.co = (*point, 1)
        spline.use_cyclic_u = closed
        curve.materials.append(material)
        bpy.context.collection.objects.link(bpy.data.objects.new("frame", curve))

    angle = np.linspace(0, 2 * math.pi, 64, endpoint=False)
    for eye, sign in ((left, 1), (right, -1)):
        shape = [np.sign(wave) * np.abs(wave) ** (2 / power) for wave in (np.cos(angle), np.sin(angle))]
        x = eye[0] + sign * 0.02 + half_width * shape[0]
        z = eye[2] - 0.02 + half_height * shape[1]
        tube(np.stack([x, front + 0.35 * (np.abs(x) - 0.3).clip(0) ** 1.5, z], 1), 0.016, closed=True)
        hinge = (eye[0] + sign * (half_width + 0.02), front + 0.05, eye[2] + 0.05)
        tube([hinge, (sign * 0.74, front + 0.18, eye[2] + 0.06), (sign * 0.77, front + 1.0, eye[2] + 0.03)], 0.013)
    inner = half_width - 0.02
    bridge = [(right[0] + inner, front, left[2] + 0.03), (0, front - 0.02, left[2] + 0.055)]
    tube([*bridge, (left[0] - inner, front, left[2] + 0.03)], 0.014)


def _light(shot: Shot, middle: Vector, size: float) -> None:
    ambient, lamps = LIGHTS[shot.light]
    for lamp in lamps:
        light = bpy.data.lights.new("lamp", "AREA")
        light.energy, light.size, light.color = lamp.watts * size * size, lamp.size * size, lamp.colour
        x, y, z = lamp.place
        item = bpy.data.objects.new("lamp", light)
        item.location = middle + Vector((-x if shot.mirrored else x, y, z)) * size
        item.rotation_euler = (middle - item.location).to_track_quat("-Z", "Y").to_euler()
        bpy.context.collection.objects.link(item)
    world = bpy.context.scene.world = bpy.data.worlds.new("world")
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs[0].default_value, background.inputs[1].default_value = (0.85, 0.92, 1, 1), ambient


def _aim(shot: Shot, at: Vector, size: float) -> None:
    yaw, pitch = (math.radians(angle) for angle in shot.view)
    camera = bpy.data.cameras.new("camera")
    camera.lens, camera.sensor_width = 150 * shot.zoom, 36
    item = bpy.data.objects.new("camera", camera)
    towards = Vector((math.sin(yaw) * math.cos(pitch), -math.cos(yaw) * math.cos(pitch), math.sin(pitch)))
    item.location = at + towards * 11.0 * size
    item.rotation_euler = (at - item.location).to_track_quat("-Z", "Y").to_euler()
    bpy.context.collection.objects.link(item)
    bpy.context.scene.camera = item


def _render(path: Path, size: tuple[int, int], samples: int) -> None:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    cycles = scene.cycles
    cycles.samples, cycles.adaptive_threshold, cycles.use_denoising = samples, 0.03, True
    cycles.denoiser = "OPENIMAGEDENOISE"
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 6, 2, 2
    scene.view_settings.view_transform, scene.view_settings.look = "AgX", "AgX - Medium High Contrast"
    scene.view_settings.exposure = 0.1
    scene.render.film_transparent = True
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.render.image_settings.file_format, scene.render.image_settings.color_mode = "PNG", "RGBA"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
