"""Drawn pictures of two shapes; the class is how the first stands to the second."""

from __future__ import annotations

from featcache.datasets.dataset import Dataset, Item
from featcache.datasets.table import DatasetInfo
from featcache.datasets.worlds.scenes.captions import RELATIONS, captions, relation
from featcache.datasets.worlds.scenes.random_scenes import generator, random_scene
from featcache.datasets.worlds.scenes.rendering import Scene

SEED = 1


def make(info: DatasetInfo) -> Dataset:
    """The data set of a row; it takes no flips, for a mirrored picture swaps left and right."""
    splits = {
        split: tuple(Item(*row) for row in items(SEED, split, size))
        for split, size in info.sizes.items()
    }
    return Dataset(info.name, RELATIONS, splits, info.templates, flip=False)


def items(seed: int, split: str, n: int) -> list[tuple[str, Scene, int]]:
    """List n two-shape pictures as (id, scene, index into RELATIONS), the relations in turn."""
    found: list[tuple[str, Scene, int]] = []
    for index in range(n):
        label = index % len(RELATIONS)
        rng = generator(seed, "pairs", split, index)
        scene = random_scene(rng, kind="pair", style="clean", how=RELATIONS[label])
        found.append((f"pairs/{split}/{index:05d}", scene, label))
    return found


def relation_choices(scene: Scene) -> tuple[str, ...]:
    """One caption of a pair per relation, in the order of RELATIONS; one of them is true."""
    first, second = scene.things
    true = captions(scene)[0]
    how = relation(first, second)
    return tuple(true.replace(f" {how} ", f" {other} ") for other in RELATIONS)
