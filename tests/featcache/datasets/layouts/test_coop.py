"""CoOp's split files: order, names and labels are kept, and malformed ones refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from featcache.datasets.layouts import coop
from featcache.datasets.registry import load
from featcache.errors import DatasetError
from tests.featcache.datasets.ponds import POND, SPLIT, ids, pond, read, touch


def test_coop_keeps_names_labels_and_order(tmp_path: Path) -> None:
    dataset = read(pond(tmp_path))
    assert dataset.classnames == ("frog", "crested_newt")
    assert ids(dataset, "train") == ["newt/2.jpg", "frog/1.jpg"]
    assert [item.label for item in dataset.splits["train"]] == [1, 0]
    assert dataset.splits["val"][0].source == tmp_path / "images" / "frog/2.jpg"


def test_coop_round_trip(tmp_path: Path) -> None:
    dataset = read(pond(tmp_path))
    coop.write(dataset, tmp_path / SPLIT)
    assert read(tmp_path).fingerprint == dataset.fingerprint


def test_val_may_be_absent(tmp_path: Path) -> None:
    assert set(read(pond(tmp_path, val=[])).splits) == {"train", "test"}


@pytest.mark.parametrize(
    ("label", "name", "told"),
    [
        (-1, "frog", "label -1"),
        (True, "frog", "label True"),
        (0.0, "frog", r"label 0\.0"),
        ("0", "frog", "label '0'"),
        (None, "frog", "label None"),
        (7, "toad", "none is 2"),
        (0, "toad", "label 0 is called 'frog' and, at frog/9.jpg, 'toad'"),
        (2, "toad", "no training pictures of 'toad'"),
        (0, "", "class name ''"),
        (0, "a\nb", "class name"),
        (0, "a\x1b[31m", "class name"),
        (0, 3, "class name 3"),
        (0, ["frog"], "class name"),
    ],
)
def test_bad_labels_and_names_are_refused(
    tmp_path: Path, label: object, name: object, told: str
) -> None:
    pond(tmp_path, test=[*POND["test"], ["frog/9.jpg", label, name]])
    with pytest.raises(DatasetError, match=told):
        read(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", "{", "3", "[" * 99_999, "\udcff", '{"train": 3}', '{"train": [3]}'),
        *('{"train": [["a", 0]]}', '{"train": []}', '{"train": [["frog/1.jpg", 0, "frog"]]}'),
    ],
)
def test_malformed_split_files_are_refused(tmp_path: Path, content: str) -> None:
    pond(tmp_path)
    (tmp_path / SPLIT).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(DatasetError, match="split_zhou_Pond"):
        read(tmp_path)


@pytest.mark.parametrize("images", [".", "images", "some pictures"])
def test_any_folder_with_a_split_file(tmp_path: Path, images: str) -> None:
    folder = pond(tmp_path / "My_Pond", images)
    (folder / "annotations").mkdir()
    dataset = load(str(folder))
    assert dataset.name == "my-pond"
    assert dataset.splits["val"][0].source == folder / images / "frog/2.jpg"


def test_two_split_files_are_refused(tmp_path: Path) -> None:
    pond(tmp_path)
    pond(tmp_path, split="split_zhou_Other.json")
    with pytest.raises(DatasetError, match="keep one split file"):
        load(str(tmp_path))


def test_real_split_of_dtd(shared_data: Path, tmp_path: Path) -> None:
    split = "split_zhou_DescribableTextures.json"
    listed = json.loads((shared_data / "draws/dtd" / split).read_text())
    touch(tmp_path / "dtd/images", *(listed[part][0][0] for part in listed))
    (tmp_path / "dtd" / split).write_text(json.dumps(listed))
    dataset = load("dtd", tmp_path)
    assert [len(items) for items in dataset.splits.values()] == [2820, 1128, 1692]
    assert len(dataset.classnames) == 47
