"""Pictures thought up at random: digits, letters, shapes, pairs of shapes and patterns."""

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from featcache.datasets.worlds.scenes import glyphs
from featcache.datasets.worlds.scenes.captions import RELATIONS
from featcache.datasets.worlds.scenes.outlines import SHAPES
from featcache.datasets.worlds.scenes.rendering import COLOURS, STYLES, TEXTURES, Scene, Thing

KINDS = ("digit", "letter", "shape", "pair", "pattern")


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Random numbers that depend on the seed and these names alone."""
    # crc32 and not hash(): the latter differs from one process to the next.
    words = [name if isinstance(name, int) else zlib.crc32(name.encode()) for name in names]
    return np.random.default_rng([seed, *words])


def _choose(options: Sequence[str], rng: np.random.Generator, *without: str) -> str:
    left = [option for option in options if option not in without]
    return left[int(rng.integers(len(left)))]


def _random_glyph(kind: str, rng: np.random.Generator, scene: Scene) -> Scene:
    by_hand = bool(rng.random() < (0.75 if kind == "digit" else 0.5))
    every = glyphs.DIGITS if kind == "digit" else glyphs.CAPITALS
    if kind == "letter" and not by_hand:
        every += glyphs.SMALL
    ink, ground = scene.things[0].colour, scene.background
    if rng.random() < 0.6:
        ink, ground = ("white", "black") if rng.random() < 0.75 else ("black", "white")
    size = float(rng.uniform(0.8, 1.0) if rng.random() < 0.7 else rng.uniform(0.45, 0.8))
    x, y = (float(v) for v in 0.5 + rng.normal(0, 0.04, 2) + (1 - size) * rng.uniform(-0.3, 0.3, 2))
    thing = Thing(_choose(every, rng), ink, "plain", x, y, size, by_hand)
    return replace(scene, things=(thing,), background=ground)


def random_scene(
    rng: np.random.Generator,
    kind: str | None = None,
    style: str | None = None,
    name: str | None = None,
    how: str | None = None,
) -> Scene:
    """Draw a scene at random; kind, style, a shape's name and a pair's relation may be fixed.

    Raises ValueError for a kind that is not one of KINDS.
    """
    kind = kind or str(rng.choice(KINDS, p=(0.45, 0.15, 0.22, 0.1, 0.08)))
    if style is None:
        glyph = kind in ("digit", "letter") and rng.random() < 0.4
        style = "low resolution" if glyph else _choose(STYLES, rng)
    seed = int(rng.integers(2**62))
    ground = "white" if style == "sketch" else _choose(list(COLOURS), rng)
    too_pale = (ground, "yellow") if style == "sketch" else (ground,)
    ink = _choose(list(COLOURS), rng, *too_pale)
    texture = _choose(TEXTURES[1:], rng) if style == "textured" else "plain"
    name = name or _choose(list(SHAPES), rng)
    size = float(rng.uniform(0.3, 0.9))
    room = max(0.5 - size / 2, 0.0)
    x, y = (float(v) for v in 0.5 + rng.uniform(-room, room, 2))
    scene = Scene((Thing(name, ink, texture, x, y, size),), ground, style, seed)
    if kind == "shape":
        return scene
    if kind in ("digit", "letter"):
        return _random_glyph(kind, rng, scene)
    if kind == "pattern":
        style = _choose(("clean", "noisy", "blurred", "photo"), rng)
        return replace(scene, things=(), ground=_choose(TEXTURES, rng), style=style)
    if kind != "pair":
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind}")
    how = how or _choose(RELATIONS, rng)
    along, off = float(rng.uniform(0.22, 0.28)), float(rng.uniform(-0.1, 0.1))
    dx, dy = {
        "above": (off, -along),
        "below": (off, along),
        "left of": (-along, off),
        "right of": (along, off),
    }[how]
    first = replace(scene.things[0], x=0.5 + dx, y=0.5 + dy, size=float(rng.uniform(0.3, 0.45)))
    other = _choose(list(SHAPES), rng, first.name)
    colour = _choose(list(COLOURS), rng, *too_pale)
    span = float(rng.uniform(0.3, 0.45))
    second = Thing(other, colour, texture, 0.5 - dx, 0.5 - dy, span)
    return replace(scene, things=(first, second))
