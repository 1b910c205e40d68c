"""Letters and digits as masks: printed with a font, or written by hand from stroke skeletons."""

import functools
import importlib.util
import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

DIGITS = "0123456789"
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# I and O are left out: drawn by hand they are the digits one and zero.
CAPITALS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
SMALL = "abdefghjkmnpqrtuy"

FONTS = tuple(
    [f"DejaVuSans{cut}" for cut in ("", "-Bold", "-Oblique", "-BoldOblique")]
    + [f"DejaVuSerif{cut}" for cut in ("", "-Bold", "-Italic", "-BoldItalic")]
    + [f"DejaVuSansMono{cut}" for cut in ("", "-Bold", "-Oblique", "-BoldOblique")]
    + [f"STIXGeneral{cut}" for cut in ("", "Bol", "Italic", "BolIta")]
    + ["cmr10", "cmb10", "cmss10", "cmtt10", "cmti10"]
)

# A variant is strokes parted by "/"; a point is two figures, x then y, on a 0..9 grid with y down.
# The pen runs smoothly through the points and turns sharply at those marked "!".
SKELETONS: dict[str, tuple[str, ...]] = {
    "0": (
        "50 21 13 16 28 59 78 86 83 71 50",
        "50 31 24 25 38 59 68 75 74 61 50",
        "60 31 14 16 39 68 86 83 71 40",
        "70 41 24 17 29 59 87 84 71 50 40",
    ),
    "1": (
        "50 59",
        "60 49",
        "23 50! 59",
        "32 50! 59 / 29 79",
        "14 60! 59",
        "24 41 50! 59 / 39 69",
        "50 59 / 29 79",
        "60 39 / 19 59",
    ),
    "2": (
        "12 31 50 71 82 73 55 37 19! 89",
        "12 40 71 73 55 28 18 27 48 69 88",
        "11 60 82 64 19! 89",
        "22 40 70 82 65 38 19 08 17 37 59 79 88",
        "10 50 72 73 46 19! 49 89 98",
        "21 50 71 63 36 19! 88",
    ),
    "3": (
        "11 30 60 82 63 44! 64 85 87 69 39 18",
        "10 80! 44! 75 87 69 39 18",
        "12 40 71 72 54 45! 65 76 78 59 29 18",
        "11 40 71 73 54 35 54 76 78 59 19",
        "20 70 72 44! 64 85 78 49 19",
    ),
    "4": (
        "20 16! 86 / 60 69",
        "60 15! 85 / 60 69",
        "60 16! 86 / 63 69",
        "69 60! 16! 96",
        "20 14 25 55 84 / 80 79",
        "30 15! 75 / 72 59",
        "10 13 25 55 82 / 80 84 69",
        "50 15 16! 86 / 73 59",
    ),
    "5": (
        "80 20! 14! 44 75 87 69 39 18",
        "20 14! 53 75 77 59 29 18 / 20 80",
        "80 30! 24! 54 76 68 49 19",
        "70 20! 24! 43 73 86 68 39 19",
        "90 30! 14! 34 65 67 49 09",
    ),
    "6": (
        "70 41 24 16 18 39 69 87 75 45 27",
        "60 32 15 17 39 69 87 65 45 17",
        "50 23 16 28 49 78 76 55 35 17",
        "40 23 16 18 49 79 87 75 45 26",
        "80 42 25 28 59 78 66 45 27",
    ),
    "7": (
        "10 80! 39",
        "10 80! 39 / 35 75",
        "12 10! 80! 49",
        "11 30 80! 54 49",
        "12 20 80! 55 39 / 24 84",
        "10 70! 69",
        "20 80! 59 / 44 84",
    ),
    "8": (
        "70 40 21 23 54 76 78 59 29 17 26 54 73 71 60",
        "50 21 23 44 63 71 50 / 44 16 18 49 78 76 44",
        "81 50 22 33 66 78 59 28 26 63 81",
        "50 31 33 54 63 61 50 / 54 25 18 49 79 86 54",
        "60 31 33 65 77 59 38 36 64 72 60",
    ),
    "9": (
        "81 50 21 13 35 55 82! 89",
        "82 50 20 13 35 65 82! 86 69 38",
        "82 50 21 23 45 73 82! 49",
        "71 40 22 24 45 74 72 50 / 72 78 59 29",
        "82 60 31 23 45 64 82! 85 69",
        "80 50 22 24 45 74 80! 79",
    ),
    "A": ("19 50! 89 / 26 76", "19 14 31 61 84 89 / 15 85"),
    "B": ("20 29 / 20 60 72 54 24 / 54 86 78 59 29",),
    "C": ("82 50 21 15 28 59 87", "81 40 13 16 49 88"),
    "D": ("20 29 / 20 60 83 86 69 29",),
    "E": ("80 20! 29! 89 / 24 64", "81 50 21 23 44! 24 16 28 59 87"),
    "F": ("80 20! 29 / 24 64",),
    "G": ("82 50 21 15 28 59 87 85! 55",),
    "H": ("20 29 / 80 89 / 24 84",),
    "J": ("80 87 59 28 16",),
    "K": ("20 29 / 80 24! 89",),
    "L": ("20 29! 89",),
    "M": ("19 20! 56! 80! 89", "10 19 / 10 55! 90! 99"),
    "N": ("29 20! 89! 80",),
    "P": ("20 29 / 20 60 82 64 25",),
    "Q": ("50 21 13 16 28 59 78 86 83 71 50 / 67 99",),
    "R": ("20 29 / 20 60 82 64 25 / 45 89",),
    "S": ("81 50 21 23 55 76 78 59 28 17",),
    "T": ("10 80 / 50 59",),
    "U": ("20 26 39 69 86 80",),
    "V": ("10 59! 80",),
    "W": ("10 39! 53! 79! 90",),
    "X": ("10 89 / 80 19",),
    "Y": ("10 54! 80 / 54 59",),
    "Z": ("10 80! 19! 89",),
}


@functools.cache
def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Return one of the fonts that matplotlib ships, without importing matplotlib.

    Raises FileNotFoundError where matplotlib or the font is missing.
    """
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the fonts come with matplotlib, which is not installed")
    path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / f"{name}.ttf"
    if not path.exists():
        raise FileNotFoundError(f"matplotlib has no font {name}")
    return ImageFont.truetype(str(path), size)


def smooth(points: NDArray[np.float64], per_span: int = 8) -> NDArray[np.float64]:
    """Run a Catmull-Rom curve through points [n, 2], giving [(n - 1) * per_span + 1, 2]."""
    ends = 2 * points[[0, -1]] - points[[1, -2]]
    padded = np.concatenate([ends[:1], points, ends[1:]])
    t = np.arange(per_span)[:, None] / per_span
    a, b, c, d = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return np.concatenate([curve.reshape(-1, 2), points[-1:]])


def strokes(char: str, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Write one character by hand: pen paths [n, 2] centred at 0 whose longer side is 1.

    Raises KeyError for a character without a skeleton.
    """
    variants = SKELETONS[char]
    angle, shear = rng.normal(0, 0.09), rng.normal(0.08, 0.16)
    aspect, wobble = rng.uniform(0.6, 1.05), rng.uniform(0.01, 0.06)
    affine = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    affine = affine @ np.array([[aspect, -shear], [0, 1]])
    waves, phase = rng.normal(0, 4, (2, 2)), rng.uniform(0, 2 * np.pi, 2)
    paths: list[NDArray[np.float64]] = []
    for stroke in variants[rng.integers(len(variants))].split(" / "):
        marks = stroke.split()
        points = np.array([[int(mark[0]), int(mark[1])] for mark in marks]) / 9 - 0.5
        points += rng.normal(0, 0.03, points.shape)
        points += wobble * np.sin(points @ waves + phase)
        turns = [i for i, mark in enumerate(marks) if mark.endswith("!")]
        cuts = [0, *turns, len(marks) - 1]
        parts = [smooth(points[i : j + 1]) for i, j in itertools.pairwise(cuts)]
        paths.append(np.concatenate(parts) @ affine.T)
    every = np.concatenate(paths)
    low, high = every.min(0), every.max(0)
    return [(path - (low + high) / 2) / (high - low).max() for path in paths]


def handwritten(
    char: str, rng: np.random.Generator, side: int, centre: tuple[float, float], size: float
) -> Image.Image:
    """Draw a handwritten character as an "L" mask [side, side].

    centre and size are fractions of the side; size counts the pen.
    """
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    pen = size * rng.uniform(0.06, 0.2)
    for path in strokes(char, rng):
        dots = [(float(x), float(y)) for x, y in (path * (size - pen) + centre) * side]
        draw.line(dots, fill=255, width=max(1, round(pen * side)), joint="curve")
        radius = pen * side / 2
        for x, y in (dots[0], dots[-1]):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return mask


def printed(
    char: str,
    rng: np.random.Generator,
    side: int,
    centre: tuple[float, float],
    size: float,
    outline: bool = False,
) -> Image.Image:
    """Draw a character in a random font as an "L" mask [side, side]; size is its height."""
    face = font(FONTS[rng.integers(len(FONTS))], 128)
    left, top, right, bottom = face.getbbox(char)
    zoom = size * side / max(bottom - top, right - left)
    angle, shear, aspect = rng.normal(0, 0.08), rng.normal(0, 0.1), rng.uniform(0.8, 1.15)
    glyph = Image.new("L", (256, 256))
    corner = (128 - (left + right) / 2, 128 - (top + bottom) / 2)
    width = round(6 / min(zoom, 1)) if outline else 0
    fill = 0 if outline else 255
    ImageDraw.Draw(glyph).text(
        corner, char, fill=fill, font=face, stroke_width=width, stroke_fill=255
    )
    forward = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    back = np.linalg.inv(forward @ np.array([[aspect, -shear], [0, 1]]) * zoom)
    shift = np.array([128, 128]) - back @ (np.array(centre) * side)
    data = (*back[0], shift[0], *back[1], shift[1])
    return glyph.transform((side, side), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
