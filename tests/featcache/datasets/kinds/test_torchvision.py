"""Sets as torchvision unpacks them, read by it and by us."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets as theirs

from featcache.datasets.kind import read
from featcache.datasets.layouts._class_folders import Walk
from featcache.errors import DatasetError
from featcache.pictures.decode import decode
from tests.featcache.datasets.kinds.trees import put, read_as
from tests.featcache.datasets.ponds import ids


def lists(folder: Path, **files: list[str]) -> None:
    for name, lines in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".txt").write_text("\n".join(lines) + "\n")


def food(root: Path) -> Path:
    folder = root / "food-101"
    rows = {
        s: [f"{c}/{n}{s}" for c in ("apple_pie", "ramen") for n in (1, 2)]
        for s in ("train", "test")
    }
    lists(folder, meta__train=rows["train"], meta__test=rows["test"])
    lists(folder, meta__classes=["apple_pie", "ramen"], meta__labels=["Apple pie", "Ramen"])
    for split, paths in rows.items():
        held = {c: [p for p in paths if p.startswith(c)] for c in ("apple_pie", "ramen")}
        (folder / "meta" / f"{split}.json").write_text(json.dumps(held))
        put(folder / "images", *(f"{path}.jpg" for path in paths))
    return folder


def textures(root: Path) -> Path:
    folder = root / "dtd" / "dtd"
    for n, split in enumerate(("train", "val", "test")):
        rows = [f"{c}/{c}_{n:04d}.jpg" for c in ("banded", "dotted")]
        lists(folder, **{f"labels__{split}1": rows})
        put(folder / "images", *rows)
    return folder


def pets(root: Path) -> Path:
    folder = root / "oxford-iiit-pet"
    for split, n in (("trainval", 1), ("test", 2)):
        names = [f"{c}_{n}" for c in ("Abyssinian", "american_bulldog", "Bengal")]
        lists(folder, **{f"annotations__{split}": [f"{p} {i} 1 1" for i, p in enumerate(names, 1)]})
        put(folder / "images", *(f"{name}.jpg" for name in names))
        put(folder / "annotations" / "trimaps", *(f"{name}.png" for name in names))
    return folder


SETS = {
    "food": (food, theirs.Food101, ("train", "test")),
    "textures": (textures, theirs.DTD, ("train", "val", "test")),
    "pets": (pets, theirs.OxfordIIITPet, ("trainval", "test")),
}


@pytest.mark.parametrize("name", SETS)
def test_torchvision_reads_the_same(tmp_path: Path, name: str) -> None:
    make, kind, splits = SETS[name]
    dataset = read_as("torchvision", make(tmp_path))
    assert "not CoOp's" in dataset.notes[0]
    for split in splits:
        other = kind(str(tmp_path), split=split)
        items = dataset.splits["train" if split == "trainval" else split]
        assert len(items) == len(other)
        # Of food it goes class by class, and of pets it may list in its own order.
        ours = sorted((decode(i.source).tobytes(), i.label) for i in items)
        assert sorted((np.asarray(p).tobytes(), label) for p, label in other) == ours
    shown = [name.replace("_", " ").title() for name in dataset.classnames]
    assert other.classes in (list(dataset.classnames), shown)


def test_lists_lead_nowhere_else(tmp_path: Path) -> None:
    folder = food(tmp_path)
    (folder / "meta" / "test.txt").write_text("../../x/1\n")
    with pytest.raises(DatasetError, match="does not stay"):
        read_as("torchvision", folder)
    (folder / "meta" / "test.txt").unlink()
    with pytest.raises(DatasetError, match=r"cannot read .*test\.txt"):
        read_as("torchvision", folder)


def test_lists_are_needed(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none of the lists meta/train\.txt"):
        read("torchvision", tmp_path, name="x", walk=Walk())
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "trainval.txt").write_text(
        "# Image CLASS-ID\na_1 1 1 1\nb_1 2 1 1\n"
    )
    (tmp_path / "annotations" / "test.txt").write_text("a_2 1 1 1\n")
    put(tmp_path / "images", "a_1.jpg", "b_1.jpg", "a_2.jpg")
    assert ids(read_as("torchvision", tmp_path), "train") == ["a_1.jpg", "b_1.jpg"]
