"""CIFAR-10 and -100 in both of their versions, file by file as published, with fewer pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from featcache.datasets.layouts.cifar import BATCHES, PIXELS, Small
from featcache.datasets.registry import load
from featcache.datasets.table import named
from featcache.errors import DatasetError
from featcache.pictures.decode import decode
from tests.featcache.datasets.kinds.trees import of_python2
from tests.featcache.datasets.ponds import ids, touch

Rows = tuple[NDArray[np.uint8], list[int]]
TEN = ["airplane", "automobile", "bird"]
HUNDRED = ["apple", "aquarium_fish", "baby"]


def rows(part: int) -> Rows:
    """Three pictures of a file, one a class."""
    values = np.random.default_rng(part).integers(0, 256, (3, PIXELS), np.uint8)
    return values, [2, 0, 1]


def ten_python(root: Path) -> None:
    folder = root / "cifar-10-batches-py"
    touch(folder, "readme.html")
    for part, name in enumerate((*BATCHES, "test_batch")):
        values, labels = rows(part)
        held = {"batch_label": name, "labels": labels, "data": values, "filenames": ["a", "b", "c"]}
        (folder / name).write_bytes(of_python2(held))
    told = {"num_cases_per_batch": 3, "label_names": TEN, "num_vis": PIXELS}
    (folder / "batches.meta").write_bytes(of_python2(told))


def ten_binary(root: Path) -> None:
    folder = root / "cifar-10-batches-bin"
    touch(folder, "readme.html")
    for part, name in enumerate((*BATCHES, "test_batch")):
        values, labels = rows(part)
        table = np.column_stack([np.array(labels, np.uint8), values])
        (folder / f"{name}.bin").write_bytes(table.tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(TEN) + "\n\n")


def hundred_python(root: Path) -> None:
    folder = root / "cifar-100-python"
    touch(folder, "file.txt~")
    for part, name in enumerate(("train", "test")):
        values, labels = rows(part)
        held = {"filenames": ["a", "b", "c"], "batch_label": "x", "fine_labels": labels}
        (folder / name).write_bytes(of_python2({**held, "coarse_labels": [9] * 3, "data": values}))
    told = {"fine_label_names": HUNDRED, "coarse_label_names": ["fish", "fruit"]}
    (folder / "meta").write_bytes(of_python2(told))


def hundred_binary(root: Path) -> None:
    folder = root / "cifar-100-binary"
    touch(folder, "fine_label_names.txt")
    for part, name in enumerate(("train", "test")):
        values, labels = rows(part)
        table = np.column_stack([np.full(3, 9, np.uint8), np.array(labels, np.uint8), values])
        (folder / f"{name}.bin").write_bytes(table.tobytes())
    (folder / "fine_label_names.txt").write_text("\n".join(HUNDRED))
    (folder / "coarse_label_names.txt").write_text("fish\nfruit\n")


WAYS = [
    ("cifar-10", ten_python, TEN, 5),
    ("cifar-10", ten_binary, TEN, 5),
    ("cifar-100", hundred_python, HUNDRED, 1),
    ("cifar-100", hundred_binary, HUNDRED, 1),
]


@pytest.mark.parametrize(("name", "make", "classes", "files"), WAYS)
@pytest.mark.parametrize("way", ["by name", "in its folder", "by folder"])
def test_the_same_pictures_in_each_version(
    tmp_path: Path,
    name: str,
    make: Callable[[Path], None],
    classes: list[str],
    files: int,
    way: str,
) -> None:
    make(tmp_path / name if way == "in its folder" else tmp_path)
    (inner,) = tmp_path.iterdir()
    dataset = load(str(inner)) if way == "by folder" else load(name, tmp_path)
    assert dataset.name == name
    assert dataset.classnames == tuple(classes)
    assert ids(dataset, "train") == [f"train/{n:05d}" for n in range(3 * files)]
    every = [*dataset.splits["train"], *dataset.splits["test"]]
    assert [item.label for item in every] == [2, 0, 1] * (files + 1)
    planes = np.concatenate([rows(part)[0] for part in range(files + 1)]).reshape(-1, 3, 32, 32)
    for item, picture in zip(every, planes, strict=True):
        assert (decode(item.source) == np.moveaxis(picture, 0, 2)).all()


def test_the_published_counts() -> None:
    for name, classes in (("CIFAR10", 10), ("CIFAR-100", 100)):
        info = named(name)
        assert info is not None
        assert (info.classes, info.sizes) == (classes, {"train": 50_000, "test": 10_000})


def test_torchvision_reads_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its check of the published sums is left out, as these are not the published pictures."""
    import torchvision.datasets as theirs

    ten_python(tmp_path)
    hundred_python(tmp_path)
    for kind in (theirs.CIFAR10, theirs.CIFAR100):
        monkeypatch.setattr(kind, "_check_integrity", lambda self: True)
        monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *a: True)
        ours = load(kind.__name__, tmp_path)
        for split, train in (("train", True), ("test", False)):
            both = list(zip(kind(str(tmp_path), train), ours.splits[split], strict=True))
            assert both
            for (picture, label), item in both:
                assert label == item.label
                assert (np.asarray(picture) == decode(item.source)).all()


def damage(folder: Path, name: str, held: dict[str, Any] | bytes) -> None:
    (folder / name).write_bytes(of_python2(held) if isinstance(held, dict) else held)


@pytest.mark.parametrize(
    ("file", "held", "why"),
    [
        ("test_batch", {"data": rows(0)[0], "labels": [0, 1]}, "has not one class a picture"),
        ("test_batch", {"data": rows(0)[0][:, 1:], "labels": [0, 1, 2]}, "no pictures of 3072"),
        ("test_batch", {"data": rows(0)[0], "labels": [0, 1, 3]}, "a test picture has the class 3"),
        ("test_batch", {"data": rows(0)[0], "labels": [0, 1, "x"]}, "the class 'x' of 3"),
        ("test_batch", b"cos\nsystem\n(S'true'\ntR.", "it names os.system, which is not run"),
        ("batches.meta", {"label_names": [1]}, r"batches\.meta has no class names"),
    ],
)
def test_files_that_are_not_as_published(tmp_path: Path, file: str, held: Any, why: str) -> None:
    ten_python(tmp_path)
    damage(tmp_path / "cifar-10-batches-py", file, held)
    with pytest.raises(DatasetError, match=why):
        load("cifar-10", tmp_path)


def test_files_that_are_missing_or_cut(tmp_path: Path) -> None:
    ten_binary(tmp_path)
    last = tmp_path / "cifar-10-batches-bin" / "data_batch_5.bin"
    last.write_bytes(last.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=r"data_batch_5\.bin has 9,218 bytes, no whole number"):
        load("cifar-10", tmp_path)
    last.unlink()
    with pytest.raises(DatasetError, match=r"No such file.*unpack the published archive"):
        load("cifar-10", tmp_path)
    assert Small(bytes(PIXELS)).pixels().shape == (32, 32, 3)
