"""Skin, lips, eyes and teeth: what is painted on the front view of the base mesh, and the materials.

The front view is a picture of the base mesh at rest, so one set of strokes fits every head and moves with its targets.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import bpy
import numpy as np
from head import BROW, Person, data
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.ndimage import gaussian_filter

#: The frame of the front view in dm, and its size in px.
X0, X1, Y0, Y1 = -1.0, 1.0, 6.0, 8.6
W, H = 800, 1040
XS, YS = np.linspace(X0, X1, W), np.linspace(Y0, Y1, H)
Line = list[tuple[float, float]]
#: Height above the skin in dm, (H, W).
Relief = NDArray[np.float64]
FOREHEAD: Final = (7.72, 7.81, 7.90, 7.98)


def stroke(points: Line, width: float) -> Relief:
    """A soft line that tapers at both ends: 1 in its middle."""
    knots = np.array(points, float)
    curve = make_interp_spline(np.arange(len(knots)), knots, k=min(3, len(knots) - 1))
    places = curve(np.linspace(0, len(knots) - 1, 60))
    strengths = np.sin(np.linspace(0.12, math.pi - 0.12, len(places))) ** 0.6
    out = np.zeros((H, W))
    for (x, y), strength in zip(places, strengths, strict=True):
        columns = slice(*np.searchsorted(XS, (x - 3 * width, x + 3 * width)))
        rows = slice(*np.searchsorted(YS, (y - 3 * width, y + 3 * width)))
        gx, gy = np.meshgrid(XS[columns], YS[rows])
        spot = strength * np.exp(-((gx - x) ** 2 + (gy - y) ** 2) / width**2)
        out[rows, columns] = np.maximum(out[rows, columns], spot)
    return out


def mirrored(points: Line) -> list[Line]:
    """The line on both sides of the face."""
    return [points, [(-x, y) for x, y in points]]


def furrows(person: Person, units: Mapping[str, float]) -> Relief:
    """Lines of age, and those that the expression draws."""
    relief = np.zeros((H, W))
    old = person.lines
    random = np.random.default_rng(person.seed)

    def unit(name: str) -> float:
        return units.get(name, 0.0)

    def furrow(points: Line, width: float, depth: float, both: bool = True) -> None:
        nonlocal relief
        if depth < 1e-4:
            return
        for line in mirrored(points) if both else [points]:
            ridge = stroke([(x, y + 1.9 * width) for x, y in line], 1.2 * width)
            relief = relief - depth * (stroke(line, width) - 0.45 * ridge)

    raised = 0.9 * unit("browInnerUp") + 0.5 * unit("browOuterUp")
    for y in FOREHEAD:
        waves = random.uniform(-0.012, 0.012, 5)
        line = [
            (x, y + 0.012 * math.cos(3 * x) + wave) for x, wave in zip((-0.42, -0.2, 0, 0.2, 0.42), waves, strict=True)
        ]
        furrow(line, 0.013, 0.020 * min(1.2, raised) + 0.006 * old, both=False)
    lowered, sneer, smile = unit("browDown"), unit("noseSneer"), unit("mouthSmile")
    furrow([(0.045, 7.40), (0.055, 7.47), (0.05, 7.56)], 0.014, 0.026 * lowered + 0.005 * old)
    furrow([(-0.11, 7.33), (0, 7.315), (0.11, 7.33)], 0.013, 0.008 * lowered + 0.020 * sneer + 0.002 * old, both=False)
    furrow([(0.07, 7.22), (0.10, 7.27), (0.12, 7.33)], 0.012, 0.020 * sneer)
    furrow([(0.03, 7.24), (0.05, 7.29), (0.06, 7.35)], 0.010, 0.016 * sneer)
    mouth = 0.009 * smile + 0.018 * sneer + 0.010 * unit("mouthFrown") + 0.006 * unit("mouthUpperUp")
    furrow([(0.20, 6.93), (0.27, 6.84), (0.325, 6.74), (0.35, 6.64)], 0.022, mouth + 0.013 * old)
    narrowed = max(unit("cheekSquint"), unit("eyeSquint"))
    for up, out in ((0.05, 0.02), (0.0, 0.03), (-0.05, 0.02)):
        corner = [(0.555, 7.29 + up * 0.5), (0.60 + out, 7.29 + up), (0.65 + out, 7.29 + up * 1.9)]
        furrow(corner, 0.011, 0.006 * narrowed * (0.4 + smile) + 0.006 * old)
    furrow([(0.20, 7.17), (0.29, 7.12), (0.40, 7.13), (0.48, 7.17)], 0.015, 0.004 * narrowed + 0.009 * old)
    furrow([(0.30, 6.60), (0.34, 6.52), (0.35, 6.44)], 0.018, 0.006 * old + 0.012 * unit("mouthFrown"))
    return relief


def paint(person: Person, relief: Relief) -> NDArray[np.float64]:
    """(H, W, 3): what the skin's colour is multiplied with."""
    gx, gy = np.meshgrid(XS, YS)
    side = np.abs(gx)
    random = np.random.default_rng(person.seed)
    out = np.ones((H, W, 3))

    def tint(mask: Relief, colour: Any) -> None:
        nonlocal out
        out = out * (1 - mask[..., None] + mask[..., None] * np.array(colour))

    def patch(x: float, y: float, width: float, height: float) -> Relief:
        return np.asarray(np.exp(-(((side - x) / width) ** 2) - ((gy - y) / height) ** 2))

    red = 0.5 if person.dark else 1.0
    tint(0.55 * red * patch(0.40, 6.95, 0.20, 0.16), (1.0, 0.80, 0.78))
    tint(0.6 * red * patch(0, 6.96, 0.13, 0.11), (1.0, 0.80, 0.78))
    tint(0.3 * red * patch(0, 6.40, 0.18, 0.10), (1.0, 0.86, 0.84))
    tint(0.45 * (1 + person.lines) * patch(0.31, 7.13, 0.17, 0.06), (0.80, 0.72, 0.74))
    tint(0.35 * patch(0.31, 7.37, 0.19, 0.06), (0.86, 0.76, 0.74))
    if person.stubble:
        jaw = (1 / (1 + np.exp(-(side * 1.1 + (6.86 - gy) * 1.6 - 0.52) / 0.05))) * (gy < 7.05)
        lip, chin = (side < 0.34) & (gy > 6.74) & (gy < 6.86), (side < 0.30) & (gy < 6.50)
        tint(person.stubble * gaussian_filter(np.clip(jaw + lip + chin, 0, 1), 18), (0.62, 0.62, 0.66))
    for _ in range(person.freckles):
        x, y, radius = random.normal(0, 0.33), random.normal(7.0, 0.14), random.uniform(0.004, 0.009)
        tint(0.35 * np.exp(-((gx - x) ** 2 + (gy - y) ** 2) / radius**2), (0.72, 0.52, 0.42))
    for _ in range(person.spots):
        x, y, radius = random.uniform(-0.6, 0.6), random.uniform(6.4, 8.0), random.uniform(0.008, 0.022)
        tint(0.35 * np.exp(-((gx - x) ** 2 + (gy - y) ** 2) / radius**2), (0.75, 0.62, 0.55))
    brows = np.array(person.brows or person.hair["colour"])
    for line in mirrored([(float(x), float(y)) for x, y in BROW]):
        under = np.clip(brows / np.array(person.skin) * 0.8 + 0.12, 0, 1)
        tint(0.3 * stroke(line, 0.045 * person.brow_width), under)
    tint(np.clip(-relief / 0.02, 0, 1) * 0.45, (0.55, 0.42, 0.38))
    return np.clip(out, 0, 1.3)


class Nodes:
    """A material's shader nodes, wired as they are made."""

    def __init__(self, name: str) -> None:
        """Begin a material with an output and nothing else."""
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.tree.nodes.clear()
        self.output = self.tree.nodes.new("ShaderNodeOutputMaterial")

    def add(self, kind: str, inputs: Mapping[str | int, Any] | None = None, **attributes: Any) -> Any:
        """A node; an input is a value or another node's output."""
        node = self.tree.nodes.new("ShaderNode" + kind)
        for name, value in attributes.items():
            setattr(node, name, value)
        for key, value in (inputs or {}).items():
            if hasattr(value, "is_output"):
                self.tree.links.new(value, node.inputs[key])
            else:
                node.inputs[key].default_value = value
        return node

    def math(self, operation: str, a: Any, b: Any = 0.0) -> Any:
        """The result of an operation on two numbers."""
        return self.add("Math", {0: a, 1: b}, operation=operation).outputs[0]

    def scale(self, value: Any, low: float, high: float, to_low: float = 0.0, to_high: float = 1.0) -> Any:
        """A number of one range in another, clamped."""
        return self.add("MapRange", {"Value": value, 1: low, 2: high, 3: to_low, 4: to_high}, clamp=True).outputs[0]

    def mix(self, factor: Any, a: Any, b: Any, blend: str = "MIX") -> Any:
        """Two colours mixed."""
        return self.add("Mix", {0: factor, 6: a, 7: b}, data_type="RGBA", blend_type=blend).outputs[2]

    def rest(self) -> Any:
        """Where a point is on the base mesh."""
        return self.add("Attribute", attribute_name="rest").outputs["Vector"]

    def principled(self, inputs: Mapping[str | int, Any]) -> Any:
        """The finished material, of one principled shader."""
        shader = self.add("BsdfPrincipled", inputs)
        self.tree.links.new(shader.outputs[0], self.output.inputs["Surface"])
        return self.material


def plain(colour: tuple[float, float, float], roughness: float, subsurface: float = 0.0) -> Any:
    """A material of one colour."""
    inputs: dict[str | int, Any] = {"Base Color": (*colour, 1), "Roughness": roughness, "Subsurface Weight": subsurface}
    return Nodes("plain").principled(inputs | {"Subsurface Scale": 0.05, "Specular IOR Level": 0.3})


def hair_material(colour: Any) -> Any:
    """Of strands."""
    nodes = Nodes("hair")
    inputs = {"Color": (*colour, 1), "Roughness": 0.37, "Radial Roughness": 0.4, "Random Roughness": 0.3}
    shader = nodes.add("BsdfHairPrincipled", inputs, parametrization="COLOR")
    nodes.tree.links.new(shader.outputs[0], nodes.output.inputs["Surface"])
    return nodes.material


def _image(name: str, pixels: NDArray[np.float64]) -> Any:
    rgba = np.ones((H, W, 4), np.float32)
    rgba[..., :3] = pixels if pixels.ndim == 3 else pixels[..., None]
    image = bpy.data.images.new(name, W, H, float_buffer=True, is_data=True)
    image.pixels.foreach_set(rgba.ravel())
    return image


def skin_material(person: Person, units: Mapping[str, float]) -> Any:
    """Skin with light below its surface, painted colours, furrows and pores; lips; a shadow of hair on the scalp."""
    nodes, relief = Nodes("skin"), furrows(person, units)
    rest = nodes.rest()
    x, y, z = nodes.add("SeparateXYZ", {"Vector": rest}).outputs
    place = nodes.add("CombineXYZ", {"X": nodes.scale(x, X0, X1), "Y": nodes.scale(y, Y0, Y1)}).outputs[0]
    painted, carved = (
        nodes.add("TexImage", {"Vector": place}, image=_image(name, pixels), extension="EXTEND").outputs["Color"]
        for name, pixels in (("paint", paint(person, relief)), ("furrows", relief))
    )
    coarse = nodes.add("TexNoise", {"Vector": rest, "Scale": 7.0, "Detail": 6.0, "Roughness": 0.6}).outputs["Fac"]
    fine = nodes.add("TexNoise", {"Vector": rest, "Scale": 60.0, "Detail": 3.0}).outputs["Fac"]
    colour = nodes.mix(nodes.math("GREATER_THAN", z, 0.55), (*person.skin, 1), painted, "MULTIPLY")
    for noise, low, high in ((coarse, 0.90, 1.08), (fine, 0.95, 1.04)):
        level = nodes.scale(noise, 0.3, 0.7, low, high)
        grey = nodes.add("CombineColor", {"Red": level, "Green": level, "Blue": level}).outputs[0]
        colour = nodes.mix(1.0, colour, grey, "MULTIPLY")
    mask = bpy.data.images.load(str(data() / "mpfb2/textures/mpfb_lips.jpg"))
    mask.colorspace_settings.name = "Non-Color"
    texture = nodes.add("UVMap", uv_map="uv").outputs[0]
    lips = nodes.add("TexImage", {"Vector": texture}, image=mask).outputs["Color"]
    colour = nodes.mix(nodes.math("MULTIPLY", nodes.scale(lips, 0.15, 0.9), 0.8), colour, (*person.lips, 1))
    scalp = nodes.add("Attribute", attribute_name="scalp").outputs["Fac"]
    shadow = np.array(person.hair["colour"]) * 0.6 + np.array(person.skin) * 0.08
    colour = nodes.mix(nodes.math("MULTIPLY", scalp, person.hair.get("root", 0.8)), colour, (*shadow, 1))
    pores = nodes.add("TexVoronoi", {"Vector": rest, "Scale": 55.0}).outputs["Distance"]
    rough = nodes.math("ADD", nodes.math("MULTIPLY", pores, 0.003), nodes.math("MULTIPLY", fine, 0.004))
    bump = {"Strength": 0.8, "Distance": 1.0, "Height": nodes.math("ADD", carved, rough)}
    shine = nodes.math("SUBTRACT", nodes.scale(coarse, 0.3, 0.7, 0.42, 0.58), nodes.math("MULTIPLY", lips, 0.16))
    return nodes.principled(
        {
            "Base Color": colour,
            "Roughness": shine,
            "Normal": nodes.add("Bump", bump).outputs[0],
            "Subsurface Weight": 0.9,
            "Subsurface Radius": (1.0, 0.35, 0.18),
            "Subsurface Scale": 0.09 if person.dark else 0.11,
            "Specular IOR Level": 0.42,
        }
    )


def eye_material(person: Person) -> Any:
    """Pupil, iris and white by the distance from the axis of sight, in a sphere of radius 1 that looks along -y."""
    nodes = Nodes("eye")
    x, _, z = nodes.add("SeparateXYZ", {"Vector": nodes.add("TexCoord").outputs["Object"]}).outputs
    radius = nodes.math("SQRT", nodes.math("ADD", nodes.math("POWER", x, 2.0), nodes.math("POWER", z, 2.0)))
    angle = nodes.math("MULTIPLY", nodes.math("ARCTAN2", z, x), 6.0)
    place = nodes.add("CombineXYZ", {"X": angle, "Y": radius}).outputs[0]
    streaks = nodes.add("TexNoise", {"Vector": place, "Scale": 2.0, "Detail": 4.0}).outputs["Fac"]
    dark, light = ((*colour, 1) for colour in person.iris)
    iris = nodes.mix(nodes.scale(streaks, 0.3, 0.7), dark, light)
    white = nodes.mix(nodes.scale(radius, 0.5, 1.0), (0.74, 0.70, 0.67, 1), (0.62, 0.42, 0.38, 1))
    colour = nodes.mix(nodes.scale(radius, 0.14, 0.18), (0.004, 0.004, 0.004, 1), iris)
    colour = nodes.mix(nodes.scale(radius, 0.33, 0.42), colour, (0.02, 0.012, 0.01, 1))
    colour = nodes.mix(nodes.scale(radius, 0.41, 0.47), colour, white)
    shine = {"Specular IOR Level": 0.6, "Coat Weight": 0.6, "Coat Roughness": 0.02}
    return nodes.principled({"Base Color": colour, "Roughness": 0.06} | shine)


def teeth_material() -> Any:
    """Off-white, with dark gaps at equal angles around the jaw's axis."""
    nodes = Nodes("teeth")
    x, _, z = nodes.add("SeparateXYZ", {"Vector": nodes.rest()}).outputs
    angle = nodes.math("ARCTAN2", x, nodes.math("SUBTRACT", z, 0.95))
    gap = nodes.math("ABSOLUTE", nodes.math("SINE", nodes.math("MULTIPLY", angle, 10.5)))
    colour = nodes.mix(nodes.scale(gap, 0.0, 0.16), (0.38, 0.26, 0.2, 1), (0.80, 0.74, 0.64, 1))
    inputs = {"Base Color": colour, "Roughness": 0.22, "Subsurface Weight": 0.2, "Subsurface Scale": 0.03}
    return nodes.principled(inputs)
