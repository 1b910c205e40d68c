"""What `datasets` saves and caches; trees as version 4 of it writes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from featcache.datasets.kind import kind_of, read
from featcache.datasets.layouts._class_folders import Walk
from featcache.errors import DatasetError
from tests.featcache.datasets.kinds.trees import (
    FEATURES,
    arrow_file,
    arrow_table,
    content,
    png,
    read_as,
    saved,
)
from tests.featcache.datasets.ponds import ids, touch

SPLITS = ("train", "validation", "test")


def some(start: int, count: int = 4):  # type: ignore[no-untyped-def]
    return arrow_table([png(start + n) for n in range(count)], [n % 2 for n in range(count)])


def dictionary(folder: Path) -> Path:
    for start, split in enumerate(SPLITS):
        saved(folder / split, some(10 * start))
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": SPLITS}))
    return folder


def cache(folder: Path, *more: str) -> Path:
    inner = folder / "pets" / "default-69af0c" / "0.0.0" / ("a8" * 32)
    for start, split in enumerate(SPLITS):
        arrow_file(inner / f"pets-{split}.arrow", some(10 * start))
    for name in more:
        arrow_file(inner / name, some(90))
    told = {"features": FEATURES, "splits": {split: {"name": split} for split in SPLITS}}
    (inner / "dataset_info.json").write_text(json.dumps(told))
    touch(folder, f"pets_default_{'a8' * 32}.lock", "pets/default-69af0c/0.0.0/a.lock")
    return inner


@pytest.mark.parametrize("layout", ["saved", "cached", "cached, from above"])
def test_splits_classes_and_bytes(tmp_path: Path, layout: str) -> None:
    if layout == "saved":
        where = dictionary(tmp_path)
    else:
        where = cache(tmp_path, "cache-0123456789abcdef.arrow")
        where = where if layout == "cached" else tmp_path
    dataset = read_as("hf", where)
    assert dataset.classnames == ("cat", "dog")
    assert list(dataset.splits) == ["train", "val", "test"]
    assert [content(i).held for i in dataset.splits["val"]] == [png(n) for n in range(10, 14)]
    assert [i.label for i in dataset.splits["val"]] == [0, 1, 0, 1]


def test_shards_of_a_cached_split_go_on(tmp_path: Path) -> None:
    inner = cache(tmp_path)
    (inner / "pets-test.arrow").rename(inner / "pets-test-00000-of-00002.arrow")
    arrow_file(inner / "pets-test-00001-of-00002.arrow", some(50))
    held = [content(i).held for i in read_as("hf", inner).splits["test"]]
    assert held == [png(n) for n in (20, 21, 22, 23, 50, 51, 52, 53)]


def test_one_split_is_divided(tmp_path: Path) -> None:
    saved(tmp_path, some(0, 6), some(6, 6))
    dataset = read_as("hf", tmp_path)
    assert sorted(id_ for split in dataset.splits for id_ in ids(dataset, split)) == [
        *(f"data-00000-of-00002/{n:07d}" for n in range(6)),
        *(f"data-00001-of-00002/{n:07d}" for n in range(6)),
    ]


def test_a_list_leads_nowhere_else(tmp_path: Path) -> None:
    saved(tmp_path / "far", some(0))
    saved(tmp_path / "near", some(0))
    for name, why in (
        ("../far/data-00000-of-00001.arrow", "does not stay"),
        ("gone.arrow", r"lists gone\.arrow, which is not there"),
        ("link.arrow", r"lists link\.arrow, which is not there"),
    ):
        state = {"_data_files": [{"filename": name}]}
        (tmp_path / "near" / "state.json").write_text(json.dumps(state))
        if name == "link.arrow":
            far = tmp_path / "far" / "data-00000-of-00001.arrow"
            (tmp_path / "near" / name).symlink_to(far)
        with pytest.raises(DatasetError, match=why):
            read_as("hf", tmp_path / "near")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"_data_files": 3}', '{"_data_files": [3]}', "[" * 10**5]
)
def test_lists_that_are_none_are_told(tmp_path: Path, text: str) -> None:
    saved(tmp_path, some(0))
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(DatasetError, match=r"state\.json"):
        read_as("hf", tmp_path)


def test_splits_by_other_names_are_refused(tmp_path: Path) -> None:
    dictionary(tmp_path)
    (tmp_path / "test").rename(tmp_path / "extra")
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["extra"]}')
    with pytest.raises(DatasetError, match="the split 'extra' is none"):
        read_as("hf", tmp_path)


def test_a_folder_without_is_refused_when_asked_for(tmp_path: Path) -> None:
    touch(tmp_path, "a/dataset_info.json")
    assert kind_of(tmp_path) == ""
    with pytest.raises(DatasetError, match=r"neither dataset_dict\.json, state\.json nor"):
        read("hf", tmp_path, name="x", walk=Walk())
    inner = cache(tmp_path / "b")
    for file in inner.glob("*.arrow"):
        file.rename(file.with_name("other.arrow"))
    with pytest.raises(DatasetError, match="holds none of the splits 'train'"):
        read_as("hf", inner)
