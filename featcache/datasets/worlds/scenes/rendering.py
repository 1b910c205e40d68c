"""Pictures drawn from a description: shapes, letters, digits and patterns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from featcache.datasets.worlds.scenes import glyphs
from featcache.datasets.worlds.scenes.outlines import SHAPES

SIDE = 64
FINE = 4 * SIDE  # masks are drawn four times as large and averaged down

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (215, 40, 35),
    "orange": (240, 140, 30),
    "yellow": (240, 220, 50),
    "green": (50, 150, 60),
    "blue": (45, 80, 205),
    "purple": (130, 50, 165),
    "pink": (245, 145, 185),
    "brown": (120, 75, 40),
    "cyan": (60, 200, 215),
    "grey": (130, 130, 130),
    "black": (15, 15, 15),
    "white": (245, 245, 245),
}
TEXTURES = ("plain", "striped", "dotted", "checkered", "hatched", "wavy", "cloudy", "patchy")
STYLES = ("clean", "sketch", "textured", "noisy", "low resolution", "blurred", "photo")
GRAINY = "grainy"  # not among STYLES, from which the demo backbone's training pictures are drawn


@dataclass(frozen=True)
class Thing:
    """One thing in a picture: a shape's name or a single character, with its look and place."""

    name: str
    colour: str
    texture: str = "plain"
    x: float = 0.5
    y: float = 0.5
    size: float = 0.7
    by_hand: bool = False


@dataclass(frozen=True)
class Scene:
    """A whole picture: nought, one or two things on a ground, drawn in a style."""

    things: tuple[Thing, ...]
    background: str
    style: str
    seed: int
    ground: str = "plain"

    def pixels(self) -> NDArray[np.uint8]:
        """Return the picture as uint8 [64, 64, 3]."""
        return render(self)


def _smooth_noise(rng: np.random.Generator, cells: int) -> NDArray[np.float64]:
    coarse = Image.fromarray(rng.random((cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float64)


def _pattern(texture: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return how much of the second colour shows, [64, 64] in 0..1."""
    angle, period = rng.uniform(0, np.pi), rng.uniform(6, 13)
    y, x = np.mgrid[:SIDE, :SIDE] * (2 * np.pi / period)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    if texture == "striped":
        wave = np.sin(u) * 3
    elif texture == "dotted":
        wave = (np.cos(u) + np.cos(v) - 0.7) * 3
    elif texture == "checkered":
        wave = np.sin(u) * np.sin(v) * 8
    elif texture == "hatched":
        wave = (np.maximum(np.cos(u), np.cos(v)) - 0.75) * 6
    elif texture == "wavy":
        wave = np.sin(u + 1.2 * np.sin(v / 2)) * 3
    elif texture == "cloudy":
        wave = (_smooth_noise(rng, int(rng.integers(4, 9))) - 0.5) * 3
    elif texture == "patchy":
        sites, shade = rng.random((14, 2)) * SIDE, rng.random(14)
        grid = np.moveaxis(np.mgrid[:SIDE, :SIDE], 0, -1)[:, :, None]
        return np.asarray(shade[np.abs(grid - sites).sum(-1).argmin(-1)])
    else:
        return np.zeros((SIDE, SIDE))
    return np.asarray(np.clip(wave + 0.5, 0, 1))


def _tint(colour: str, rng: np.random.Generator) -> NDArray[np.float64]:
    return np.clip(np.array(COLOURS[colour]) + rng.normal(0, 10, 3), 0, 255)


def _paint(colour: str, texture: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a full sheet [64, 64, 3] of a colour, its texture laid over in a lighter or darker."""
    base = _tint(colour, rng)
    other = base * 0.35 if base.mean() > 110 else base * 0.4 + 150
    return base + _pattern(texture, rng)[..., None] * (other - base)


def _shape(thing: Thing, rng: np.random.Generator, outline: bool) -> Image.Image:
    angle = rng.normal(0, 0.12)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = turn * rng.uniform(0.92, 1.08, 2) * thing.size
    mask = Image.new("L", (FINE, FINE))
    draw = ImageDraw.Draw(mask)
    width = int(rng.integers(5, 12))
    for ink, points in zip((255, 0), SHAPES[thing.name], strict=False):
        for _ in range(2 if outline else 1):
            wobble = rng.normal(0, 0.012, points.shape) if outline and len(points) < 30 else 0.0
            placed = ((points + wobble) @ turn.T + (thing.x, thing.y)) * FINE
            dots = [(float(x), float(y)) for x, y in placed]
            if outline:
                draw.line([*dots, *dots[:2]], fill=255, width=width, joint="curve")
            else:
                draw.polygon(dots, fill=ink)
    return mask


def _mask(thing: Thing, rng: np.random.Generator, style: str) -> NDArray[np.float64]:
    centre, outline = (thing.x, thing.y), style == "sketch"
    if thing.name in SHAPES:
        drawn = _shape(thing, rng, outline)
    elif thing.by_hand:
        drawn = glyphs.handwritten(thing.name, rng, FINE, centre, thing.size)
    else:
        drawn = glyphs.printed(thing.name, rng, FINE, centre, thing.size, outline)
    return np.asarray(drawn.reduce(FINE // SIDE), np.float64)[..., None] / 255


def render(scene: Scene) -> NDArray[np.uint8]:
    """Draw a scene as uint8 [64, 64, 3]; equal scenes give equal bytes.

    Raises KeyError for a name or colour that is not known.
    """
    rng = np.random.default_rng(scene.seed)
    picture = _paint(scene.background, scene.ground, rng)
    if scene.style == "photo":
        light = _smooth_noise(rng, 2) * 90 - 45 + _smooth_noise(rng, 5) * 40 - 20
        picture = picture + light[..., None]
    for thing in scene.things:
        mask = _mask(thing, rng, scene.style)
        if scene.style == "photo":
            shadow = np.roll(mask, rng.integers(1, 4, 2), (0, 1))
            picture = picture * (1 - 0.35 * shadow)
        paint = _paint(thing.colour, thing.texture, rng)
        picture = picture + mask * (paint - picture)
    if scene.style == "photo":
        shade = 0.75 + 0.5 * _smooth_noise(rng, 2)
        picture = picture * shade[..., None] + rng.normal(0, 4, picture.shape)
    if scene.style == "noisy":
        picture = picture + rng.normal(0, rng.uniform(15, 50), picture.shape)
    if scene.style == GRAINY:
        coarse = rng.normal(0, rng.uniform(30, 60), (SIDE // 2, SIDE // 2, 3))
        picture = picture + coarse.repeat(2, 0).repeat(2, 1)
    flat = Image.fromarray(np.clip(np.rint(picture), 0, 255).astype(np.uint8))
    if scene.style == "blurred":
        flat = flat.filter(ImageFilter.GaussianBlur(rng.uniform(1.2, 3)))
    if scene.style == "low resolution":
        few = int(rng.choice([8, 8, 8, 10, 12, 16]))
        tiny = flat.resize((few, few), Image.Resampling.BOX)
        flat = tiny.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.array(flat)
