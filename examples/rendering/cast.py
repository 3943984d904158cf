"""Who is shown, with which expression, from where, and in front of what: all that differs between the pictures."""

from dataclasses import dataclass, replace
from typing import Final

from head import Person
from scene import Shot

Colour = tuple[int, int, int]

#: Weights of face units (those of ARKit), by expression.
EXPRESSIONS: Final[dict[str, dict[str, float]]] = {
    "anger": {
        "browDown": 1.8, "eyeSquint": 0.4, "noseSneer": 1.2, "mouthUpperUp": 1.0, "mouthLowerDown": 1.2,
        "jawOpen": 0.5, "mouthStretch": 0.4,
    },
    "disgust": {
        "noseSneer": 1.8, "mouthUpperUp": 1.2, "browDown": 1.2, "eyeSquint": 1.0, "cheekSquint": 1.0, "mouthFrown": 0.5,
    },
    "fear": {
        "browInnerUp": 1.8, "browDown": 0.6, "eyeWide": 1.6, "mouthStretch": 1.6, "jawOpen": 0.12,
        "mouthLowerDown": 1.2, "mouthUpperUp": 0.3,
    },
    "happiness": {
        "mouthSmile": 1.0, "cheekSquint": 0.9, "eyeSquint": 0.4, "jawOpen": 0.14, "mouthUpperUp": 0.55,
        "mouthLowerDown": 0.2,
    },
    "sadness": {"browInnerUp": 1.7, "browDown": 0.5, "mouthFrown": 1.5, "mouthShrugLower": 0.9, "eyeSquint": 0.5},
    "surprise": {"browInnerUp": 1.1, "browOuterUp": 1.1, "eyeWide": 1.0, "jawOpen": 0.6, "mouthFunnel": 0.15},
    "neutral": {},
}  # fmt: skip

PEOPLE: Final[dict[str, Person]] = {
    "anna": Person(
        gender="female", age={"young": 1.0}, race={"caucasian": 1.0}, seed=1, details={"head/head-oval": 0.4},
        skin=(0.66, 0.36, 0.25), lips=(0.46, 0.17, 0.15), shirt=(0.06, 0.16, 0.22), freckles=60,
        hair={"style": "long", "colour": (0.075, 0.035, 0.015), "part": -0.12},
        brows=(0.05, 0.026, 0.014), brow_width=0.72,
    ),
    "kofi": Person(
        gender="male", age={"young": 1.0}, race={"african": 1.0}, seed=2, dark=True, stubble=0.4,
        skin=(0.15, 0.068, 0.036), lips=(0.16, 0.06, 0.05), shirt=(0.55, 0.52, 0.45),
        hair={"style": "buzz", "colour": (0.012, 0.009, 0.008)},
    ),
    "mei": Person(
        gender="female", age={"young": 1.0}, race={"asian": 1.0}, seed=3,
        skin=(0.62, 0.38, 0.25), lips=(0.46, 0.15, 0.14), shirt=(0.5, 0.12, 0.12),
        hair={"style": "long", "colour": (0.012, 0.009, 0.008), "part": -0.1}, brow_width=0.72,
    ),
    "hans": Person(
        gender="male", age={"old": 0.9, "young": 0.1}, race={"caucasian": 1.0}, seed=4, lines=0.9, spots=26,
        skin=(0.64, 0.34, 0.25), lips=(0.55, 0.17, 0.125), shirt=(0.2, 0.22, 0.26),
        hair={"style": "thin", "colour": (0.55, 0.53, 0.50), "root": 0.25, "line": 0.06},
    ),
    "ravi": Person(
        gender="male", age={"young": 0.7, "old": 0.3}, seed=5, lines=0.15, stubble=0.9,
        race={"caucasian": 0.5, "asian": 0.2, "african": 0.3},
        skin=(0.33, 0.165, 0.09), lips=(0.26, 0.10, 0.085), shirt=(0.75, 0.74, 0.72),
        hair={"style": "crop", "colour": (0.013, 0.010, 0.009)}, beard={"length": 0.07, "density": 700},
    ),
    "amara": Person(
        gender="female", age={"young": 1.0}, race={"african": 1.0}, seed=6, dark=True,
        skin=(0.22, 0.10, 0.055), lips=(0.30, 0.075, 0.07), shirt=(0.62, 0.32, 0.05),
        hair={"style": "afro", "colour": (0.014, 0.010, 0.008), "length": 0.42},
        brows=(0.02, 0.013, 0.01), brow_width=0.72,
    ),
    "lena": Person(
        gender="female", age={"child": 1.0}, race={"caucasian": 1.0}, seed=7, freckles=90,
        skin=(0.68, 0.40, 0.29), lips=(0.55, 0.22, 0.19), shirt=(0.75, 0.38, 0.42),
        hair={"style": "long", "colour": (0.28, 0.15, 0.055), "part": 0.1},
        brows=(0.14, 0.075, 0.03), brow_width=0.72, iris=((0.02, 0.05, 0.09), (0.10, 0.22, 0.30)),
    ),
    "juan": Person(
        gender="male", age={"young": 1.0}, seed=8, stubble=0.6, details={"head/head-square": 0.4},
        race={"caucasian": 0.5, "african": 0.25, "asian": 0.25},
        skin=(0.46, 0.245, 0.145), lips=(0.36, 0.15, 0.12), shirt=(0.10, 0.22, 0.14),
        hair={"style": "crop", "colour": (0.03, 0.016, 0.010)}, glasses=("square", (0.012, 0.012, 0.014)),
    ),
    "yuki": Person(
        gender="female", age={"old": 0.8, "young": 0.2}, race={"asian": 1.0}, seed=9, lines=0.6, spots=12,
        skin=(0.60, 0.37, 0.25), lips=(0.46, 0.17, 0.15), shirt=(0.30, 0.16, 0.34),
        hair={"style": "bob", "colour": (0.42, 0.40, 0.38), "part": 0.15},
        brows=(0.10, 0.09, 0.085), brow_width=0.72, glasses=("round", (0.16, 0.05, 0.03)),
    ),
    "omar": Person(
        gender="male", age={"old": 0.7, "young": 0.3}, race={"african": 1.0}, seed=10, dark=True, lines=0.5,
        stubble=0.4, skin=(0.19, 0.088, 0.048), lips=(0.20, 0.08, 0.065), shirt=(0.12, 0.13, 0.16),
        hair={"style": "buzz", "colour": (0.35, 0.34, 0.33), "line": 0.08}, brows=(0.06, 0.058, 0.055),
        beard={"length": 0.045, "density": 1500, "colour": (0.22, 0.21, 0.2)},
    ),
    "sofia": Person(
        gender="female", age={"young": 0.75, "old": 0.25}, race={"caucasian": 0.75, "african": 0.25}, seed=11,
        weight=0.8, skin=(0.52, 0.28, 0.175), lips=(0.50, 0.13, 0.12), shirt=(0.05, 0.10, 0.20),
        hair={"style": "bob", "colour": (0.02, 0.011, 0.008), "part": -0.12},
        brows=(0.02, 0.012, 0.009), brow_width=0.72,
    ),
    "leo": Person(
        gender="male", age={"child": 1.0}, race={"african": 0.55, "caucasian": 0.45}, seed=12,
        skin=(0.30, 0.15, 0.085), lips=(0.32, 0.12, 0.10), shirt=(0.70, 0.20, 0.08),
        hair={"style": "afro", "colour": (0.018, 0.012, 0.009), "length": 0.2}, brow_width=0.72,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Portrait:
    """One picture of one person; the background goes from its first colour, above, to its second."""

    person: str
    expression: str
    shot: Shot
    background: tuple[Colour, Colour] = ((190, 194, 196), (140, 148, 152))


#: By the name of the file.
PORTRAITS: Final[dict[str, Portrait]] = {
    "surprise": Portrait(
        "kofi", "surprise", Shot((-7, 1), (-4, 0, 3), light="day", zoom=0.94), ((196, 205, 208), (150, 166, 170)),
    ),
    "anger": Portrait(
        "mei", "anger", Shot((-8, -6), (-8, -2, -3), light="window", zoom=0.88), ((128, 132, 140), (84, 88, 98)),
    ),
    "fear": Portrait(
        "amara", "fear", Shot((5, 2), (6, 0, 0), light="warm", zoom=0.9), ((124, 140, 150), (82, 96, 108)),
    ),
    "sadness": Portrait(
        "hans", "sadness", Shot((-8, 1), (-4, 5, 4), (0, -6), "window"), ((170, 178, 186), (120, 130, 140)),
    ),
    "disgust": Portrait("ravi", "disgust", Shot((6, 0), (8, -4, 3)), ((176, 186, 166), (128, 142, 120))),
    "girl": Portrait(
        "lena", "happiness", Shot((-7, 1), (-6, 0, -5), mirrored=True, zoom=0.92), ((214, 206, 190), (178, 186, 160)),
    ),
    "glasses": Portrait("juan", "neutral", Shot((9, 0), (5, 0, 0)), ((206, 200, 190), (160, 152, 142))),
    "low_light": Portrait(
        "sofia", "surprise", Shot((-6, 0), (-4, 0, 0), light="dim"), ((34, 26, 24), (14, 12, 14)),
    ),
}  # fmt: skip

#: From back to front, with the place of the middle, the top and the height of each in px.
GROUP: Final[list[tuple[Portrait, tuple[int, int, int]]]] = [
    (Portrait("omar", "happiness", Shot((-4, 0), (4, 0, 2), zoom=0.8)), (330, 20, 430)),
    (Portrait("yuki", "neutral", Shot((3, 0), (-2, 0, -2), zoom=0.8)), (730, 50, 410)),
    (Portrait("anna", "happiness", Shot((2, 0), (-8, 0, -4), zoom=0.8)), (125, 60, 420)),
    (Portrait("leo", "surprise", Shot((0, 2), (6, -3, 4), zoom=0.8)), (540, 110, 380)),
]

_LIGHTS: Final = ("day", "studio", "window", "warm")
#: Two people for each folder of the zip.
LABELLED: Final[list[Portrait]] = [
    Portrait(
        person,
        expression,
        Shot(
            ((k * 7) % 17 - 8, (k * 3) % 4 - 1),
            ((k * 5) % 13 - 6, (k % 3) - 1, (k * 4) % 7 - 3),
            light=_LIGHTS[k % 4],
        ),
    )
    for k, (person, expression) in enumerate(
        [
            ("sofia", "anger"), ("juan", "anger"), ("hans", "disgust"), ("yuki", "disgust"), ("leo", "fear"),
            ("anna", "fear"), ("mei", "happiness"), ("omar", "happiness"), ("kofi", "sadness"), ("lena", "sadness"),
            ("ravi", "surprise"), ("yuki", "surprise"), ("amara", "neutral"), ("juan", "neutral"),
        ],
        12,
    )
]  # fmt: skip

#: The clip: who, and which expression is reached or left at which second.
ACTOR: Final = replace(PEOPLE["juan"], glasses=None)
MOMENTS: Final = [
    (0.0, "neutral"), (1.2, "neutral"), (1.7, "surprise"), (3.0, "surprise"), (3.7, "happiness"), (5.6, "happiness"),
    (6.4, "neutral"), (7.5, "neutral"),
]  # fmt: skip
