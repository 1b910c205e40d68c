"""Drawn pictures of single shapes; `shapes-sketch` and so on are the same classes in a style."""

from __future__ import annotations

from featcache.datasets.dataset import Dataset, Item
from featcache.datasets.table import DatasetInfo
from featcache.datasets.worlds.scenes.outlines import SHAPES
from featcache.datasets.worlds.scenes.random_scenes import generator, random_scene
from featcache.datasets.worlds.scenes.rendering import GRAINY, Scene

SEED = 1
CLASSES = tuple(SHAPES)
STYLES = ("clean", "sketch", "textured", "noisy")
# The demo backbone has seen plain noise in training; noise in coarse grains it has not.
OF_WORLD = {"shapes": "clean", "shapes-noisy": GRAINY}


def make(info: DatasetInfo) -> Dataset:
    """The data set of a row: its splits, in its style, of all shapes or of every second.

    The style stands after the hyphen of its name, or in `OF_WORLD`.
    """
    style = OF_WORLD.get(info.name) or info.name.partition("-")[2]
    step = len(CLASSES) // info.classes
    splits = {
        split: tuple(
            Item(name, scene, label // step)
            for name, scene, label in items(style, SEED, split, size // info.classes)
            if label % step == 0
        )
        for split, size in info.sizes.items()
    }
    return Dataset(info.name, CLASSES[::step], splits, info.templates)


def items(style: str, seed: int, split: str, per_class: int) -> list[tuple[str, Scene, int]]:
    """List single-shape pictures as (id, scene, index into CLASSES), class by class.

    An item depends on its own id and the seed alone, so a larger per_class only appends.
    Raises ValueError for an unknown style.
    """
    if style not in (*STYLES, GRAINY):
        raise ValueError(f"style must be one of {', '.join((*STYLES, GRAINY))}, not {style}")
    found: list[tuple[str, Scene, int]] = []
    for label, name in enumerate(CLASSES):
        for index in range(per_class):
            rng = generator(seed, style, split, name, index)
            scene = random_scene(rng, kind="shape", style=style, name=name)
            found.append((f"{style}/{split}/{name}-{index:04d}", scene, label))
    return found
