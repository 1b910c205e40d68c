"""ImageNetV2: folders are named by the number of their class, and sorted as numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.datasets.layouts import numbers
from featcache.datasets.registry import load
from featcache.errors import DatasetError
from tests.featcache.datasets.ponds import CLASSES, imagenet, touch

V2 = "imagenetv2-matched-frequency-format-val"


def test_a_folder_is_the_label(tmp_path: Path) -> None:
    imagenet(tmp_path / "imagenetv2", f"{V2}/2/a.jpeg", f"{V2}/0/a.jpeg")
    found = load("imagenet-v2", tmp_path)
    assert [(i.id, i.label) for i in found.splits["test"]] == [("0/a.jpeg", 0), ("2/a.jpeg", 2)]
    assert found.classnames == ("tench", "missile", "missile")
    assert found.class_ids == ("n00000001", "n00000002", "n00000003")
    assert list(found.splits) == ["test"]


def test_ten_comes_after_nine(tmp_path: Path) -> None:
    touch(tmp_path, *(f"v2/{n}/a.jpeg" for n in range(11)))
    (tmp_path / CLASSES).write_text("".join(f"n{n:08d} class {n}\n" for n in range(11)))
    found = numbers.read(tmp_path, "v2", CLASSES, name="v2")
    assert [item.label for item in found.splits["test"]] == list(range(11))
    assert found.classnames[10] == "class 10"


@pytest.mark.parametrize("name", ["3", "02", "-1", "n00000001"])
def test_a_number_without_a_class_is_refused(tmp_path: Path, name: str) -> None:
    imagenet(tmp_path, "v2/0/a.jpeg", f"v2/{name}/a.jpeg")
    with pytest.raises(DatasetError, match=rf"v2/{name} is no class of classnames\.txt"):
        numbers.read(tmp_path, "v2", CLASSES, name="v2")
