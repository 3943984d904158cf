"""Render the example faces anew: python examples/rendering [NAME ...] (see examples/README.md).

Names are files of examples/ without their endings; none means all. Renders are kept in the folder --cache and made only
where they are missing. On two cores a portrait takes about half a minute, everything about half an hour.
"""

import argparse
import io
import math
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from cast import ACTOR, EXPRESSIONS, GROUP, LABELLED, MOMENTS, PEOPLE, PORTRAITS, Colour, Portrait
from PIL import Image
from scene import Shot, render

EXAMPLES = Path(__file__).resolve().parents[1]
#: Frames per second of the clip, and its size in px: twice that of its renders.
RATE, CLIP = 8, (544, 608)


def background(size: tuple[int, int], colours: tuple[Colour, Colour], seed: int) -> Image.Image:
    """A soft gradient with spots of light out of focus."""
    width, height = size
    random, share = np.random.default_rng(seed), np.linspace(0, 1, height)[:, None, None]
    pixels = np.repeat(np.array(colours[0]) * (1 - share) + np.array(colours[1]) * share, width, 1)
    y, x = np.mgrid[:height, :width]
    for _ in range(8):
        place_x, place_y = random.uniform(0, width), random.uniform(0, height * 0.8)
        radius, light = random.uniform(0.12, 0.4) * width, random.uniform(-22, 26)
        spot = np.exp(-((x - place_x) ** 2 + (y - place_y) ** 2) / radius**2)
        pixels += light * spot[..., None] * np.array([1, 0.97, 0.9])
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def grain(image: Image.Image, strength: float, seed: int) -> Image.Image:
    """Noise as of a camera."""
    random, pixels = np.random.default_rng(seed), np.asarray(image).astype(float)
    noise = random.normal(0, strength, pixels.shape[:2])[..., None] + random.normal(0, 0.4 * strength, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


def rendered(path: Path, portrait: Portrait, **options: Any) -> Image.Image:
    """The render of a portrait, made if it is missing."""
    if not path.exists():
        render(PEOPLE[portrait.person], EXPRESSIONS[portrait.expression], portrait.shot, path, **options)
    return Image.open(path)


def portrait(cache: Path, name: str) -> None:
    """Write one of `PORTRAITS`."""
    image, seed = rendered(cache / f"{name}.png", PORTRAITS[name]), sum(map(ord, name))
    picture = background(image.size, PORTRAITS[name].background, seed)
    picture.paste(image, (0, 0), image)
    grain(picture, 5.0 if PORTRAITS[name].shot.light == "dim" else 1.6, seed).save(
        EXAMPLES / f"{name}.jpg", quality=88, optimize=True
    )


def group(cache: Path) -> None:
    """Write the picture of several people."""
    picture = background((860, 450), ((188, 200, 206), (140, 156, 150)), 5)
    for each, (middle, top, height) in GROUP:
        image = rendered(cache / f"group_{each.person}.png", each)
        image = image.resize((round(image.width * height / image.height), height), Image.Resampling.LANCZOS)
        picture.paste(image, (middle - image.width // 2, top), image)
    grain(picture, 1.6, 3).save(EXAMPLES / "group.jpg", quality=88, optimize=True)


def batch(cache: Path) -> None:
    """Write the zip with a folder per expression."""
    with zipfile.ZipFile(EXAMPLES / "batch.zip", "w") as archive:
        for seed, each in enumerate(sorted(LABELLED, key=lambda each: (each.expression, each.person))):
            path = cache / f"batch_{each.expression}_{each.person}.png"
            image = rendered(path, each, size=(224, 256), samples=9)
            above = np.random.default_rng(seed).integers(145, 188, 3)
            picture = background(image.size, (tuple(above), tuple((above * 0.78).astype(int))), seed)
            picture.paste(image, (0, 0), image)
            buffer = io.BytesIO()
            grain(picture, 1.4, seed).save(buffer, "JPEG", quality=86, optimize=True)
            entry = zipfile.ZipInfo(f"{each.expression}/{each.person}.jpg", (2026, 1, 1, 0, 0, 0))
            archive.writestr(entry, buffer.getvalue())


def clip(cache: Path) -> None:
    """Write the clip: the expression changes, the head moves a little."""
    behind = background(CLIP, ((196, 200, 196), (146, 152, 150)), 11)
    times, names = zip(*MOMENTS, strict=True)
    with av.open(str(EXAMPLES / "clip.mp4"), "w", options={"movflags": "+faststart"}) as container:
        stream: Any = container.add_stream("libx264", rate=RATE, options={"crf": "25", "preset": "slow"})
        stream.width, stream.height, stream.pix_fmt = *CLIP, "yuv420p"
        for index in range(round(times[-1] * RATE)):
            path, at = cache / f"clip_{index:03}.png", index / RATE
            if not path.exists():
                after = min(int(np.searchsorted(times, at, "right")), len(times) - 1)
                share = (at - times[after - 1]) / (times[after] - times[after - 1])
                share = share * share * (3 - 2 * share)
                start, end = EXPRESSIONS[names[after - 1]], EXPRESSIONS[names[after]]
                mixed = {
                    unit: start.get(unit, 0) * (1 - share) + end.get(unit, 0) * share for unit in sorted({*start, *end})
                }
                turn = (5 * math.sin(at * 1.1), 2 * math.sin(at * 1.7) - 1, 2 * math.sin(at * 0.8))
                render(ACTOR, mixed, Shot((4, 0), turn), path, (CLIP[0] // 2, CLIP[1] // 2), 7)
            image = Image.open(path).resize(CLIP, Image.Resampling.LANCZOS)
            picture = behind.copy()
            picture.paste(image, (0, 0), image)
            frame = av.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def main() -> None:
    """Write the named examples."""
    others = {"group": group, "batch": batch, "clip": clip}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *PORTRAITS, *others], default=[], metavar="NAME")
    parser.add_argument("--cache", type=Path, default=Path("runs/examples"), help="folder of renders")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    for name in args.names or [*PORTRAITS, *others]:
        if name in PORTRAITS:
            portrait(args.cache, name)
        else:
            others[name](args.cache)


if __name__ == "__main__":
    main()
