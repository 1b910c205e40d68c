"""Bongard-like problems: two shapes in one relation on one side, in another on the other side.

Eight splits as Bongard-HOI (Jiang et al. 2022) has them, val and test by whether the pair of shapes
and the relation are among those seen, of 24 problems each: 14 pictures, the last of each seven the
query. `write` puts the same pictures on disk in the layout of Bongard-HOI.
"""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from featcache.datasets.dataset import Dataset, Item
from featcache.datasets.layouts.bongard_hoi import OPENIMAGES, SIDE, SPLITS, file_of, words
from featcache.datasets.table import DatasetInfo
from featcache.datasets.worlds.scenes.random_scenes import generator
from featcache.datasets.worlds.scenes.related import RELATIONS, SOLID, related_scene
from featcache.datasets.worlds.scenes.rendering import SIDE as PIXELS
from featcache.datasets.worlds.scenes.rendering import Scene, Thing

SEED = 1
PROBLEMS = 24  # a split
FOLDERS = (
    "hake_images_20190730",
    "openimages/images",
    "hcvrd",
    "pic/image/train",
    "hico_20160224_det/images/train2015",
    "pic/image/val",
    "vcoco/val2014",
)
_PAIRS = tuple(combinations(SOLID, 2))
_OBJECTS = {"seen": _PAIRS[::2], "unseen": _PAIRS[1::2]}
_ACTIONS = {"seen": tuple(RELATIONS)[:5], "unseen": tuple(RELATIONS)[5:]}


def make(info: DatasetInfo, problems: int = PROBLEMS) -> Dataset:
    """The data set of a row, so many problems a split; a larger number only appends."""
    found = {split: _problems(split, problems) for split in SPLITS}
    concepts = dict.fromkeys(concept for each in found.values() for concept, _ in each)
    label = {concept: index for index, concept in enumerate(concepts)}
    splits = {
        split: tuple(
            Item(f"relations/{split}/{number:04d}-{place:02d}", scene, label[concept])
            for number, (concept, scenes) in enumerate(each)
            for place, scene in enumerate(scenes)
        )
        for split, each in found.items()
    }
    names = tuple(words(concept) for concept in concepts)
    return Dataset(info.name, names, splits, info.templates, flip=False, problems=SIDE)


def _problems(split: str, n: int) -> list[tuple[str, list[Scene]]]:
    """Each problem as its concept and 14 scenes."""
    _, objects, actions = split.split("-")
    found = []
    for number in range(n):
        rng = generator(SEED, "relations", split, number)
        pairs, relations = _OBJECTS[objects], _ACTIONS[actions]
        pair = pairs[int(rng.integers(len(pairs)))]
        holds = relations[int(rng.integers(len(relations)))]
        others = [relation for relation in RELATIONS if relation != holds]
        other = others[int(rng.integers(len(others)))]
        sides = [(holds, other)] * SIDE + [(other, holds)] * SIDE
        scenes = [related_scene(rng, *pair, *side) for side in sides]
        found.append((f"{holds.replace(' ', '_')}++{'_and_'.join(pair)}", scenes))
    return found


def write(folder: Path, problems: int = PROBLEMS) -> None:
    """Write this world as Bongard-HOI lies on disk: four and four lists, and a tree of pictures.

    Each scene lies somewhere in a larger picture without loss, its box gives its pixels back. Boxes
    of pictures from Open Images are given in that set's smaller scale, and one picture in two of
    `pic` lies in the other of its folders, as they do there.
    """
    for split in SPLITS:
        listed = []
        for number, (concept, scenes) in enumerate(_problems(split, problems)):
            rows = [
                _put(folder / "images", f"{split}-{number:04d}-{place:02d}", scene)
                for place, scene in enumerate(scenes)
            ]
            listed.append([rows[:SIDE], rows[SIDE:], concept])
        (folder / file_of(split)).write_text(json.dumps(listed), encoding="utf-8")


def _put(images: Path, name: str, scene: Scene) -> dict[str, Any]:
    """Write the picture of a scene and say what the lists say of it."""
    rng = np.random.default_rng([SEED, scene.seed])
    within = FOLDERS[int(rng.integers(len(FOLDERS)))]
    # Multiples of 8, so that a box is whole pixels in either scale.
    left, top = (8 * int(step) for step in rng.integers(0, 5, 2))
    picture = np.full((PIXELS + 40, PIXELS + 32, 3), rng.integers(0, 256, 3), np.uint8)
    picture[top : top + PIXELS, left : left + PIXELS] = scene.pixels()
    place = within
    if within.startswith("pic/") and rng.random() < 0.5:
        place = {"train": "pic/image/val", "val": "pic/image/train"}[within.rpartition("/")[2]]
    (images / place).mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(images / place / f"{name}.png")
    scale = OPENIMAGES if "openimages" in within else 1

    def listed(*box: float) -> list[float]:
        return [round(edge / scale) for edge in box]

    first, second = (_box(thing, left, top) for thing in scene.things)
    return {
        "im_path": f"./{within}/{name}.png",
        "crop_bbox": listed(left, top, left + PIXELS, top + PIXELS),
        "sub_bbox": listed(*first),
        "obj_bbox": listed(*second),
    }


def _box(thing: Thing, left: int, top: int) -> tuple[float, float, float, float]:
    x, y, half = left + thing.x * PIXELS, top + thing.y * PIXELS, thing.size * PIXELS / 2
    return x - half, y - half, x + half, y + half
