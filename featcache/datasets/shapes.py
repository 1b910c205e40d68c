"""Made pictures of single shapes in four styles, and of two shapes that stand in a relation."""

import zlib

import numpy as np

from featcache.datasets.invent import random_scene
from featcache.datasets.outlines import SHAPES
from featcache.datasets.render import Scene
from featcache.datasets.wording import RELATIONS, captions, relation

__all__ = ["CLASSES", "RELATIONS", "SPLITS", "STYLES", "pairs", "relation_choices", "scenes"]

CLASSES = tuple(SHAPES)
STYLES = ("clean", "sketch", "textured", "noisy")
SPLITS = ("train", "val", "test")


def _generator(seed: int, *names: str | int) -> np.random.Generator:
    # crc32 and not hash(): the latter differs from one process to the next.
    words = [name if isinstance(name, int) else zlib.crc32(name.encode()) for name in names]
    return np.random.default_rng([seed, *words])


def _check_split(split: str) -> None:
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {split}")


def scenes(style: str, seed: int, split: str, per_class: int) -> list[tuple[str, Scene, int]]:
    """List single-shape pictures as (id, scene, index into CLASSES), class by class.

    An item depends on its own id and the seed alone, so a larger per_class only appends.
    Raises ValueError for an unknown style or split.
    """
    if style not in STYLES:
        raise ValueError(f"style must be one of {', '.join(STYLES)}, not {style}")
    _check_split(split)
    items: list[tuple[str, Scene, int]] = []
    for label, name in enumerate(CLASSES):
        for index in range(per_class):
            rng = _generator(seed, style, split, name, index)
            scene = random_scene(rng, kind="shape", style=style, name=name)
            items.append((f"{style}/{split}/{name}-{index:04d}", scene, label))
    return items


def pairs(seed: int, split: str, n: int) -> list[tuple[str, Scene, int]]:
    """List n two-shape pictures as (id, scene, index into RELATIONS), the relations in turn.

    The label says how the first shape stands to the second. Raises ValueError for an unknown split.
    """
    _check_split(split)
    items: list[tuple[str, Scene, int]] = []
    for index in range(n):
        label = index % len(RELATIONS)
        rng = _generator(seed, "pairs", split, index)
        scene = random_scene(rng, kind="pair", style="clean", how=RELATIONS[label])
        items.append((f"pairs/{split}/{index:05d}", scene, label))
    return items


def relation_choices(scene: Scene) -> tuple[str, ...]:
    """Return one caption of a pair per relation, in the order of RELATIONS; one of them is true."""
    first, second = scene.things
    true = captions(scene)[0]
    how = relation(first, second)
    return tuple(true.replace(f" {how} ", f" {other} ") for other in RELATIONS)
