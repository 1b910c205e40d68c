"""What people should know of a data set: equal prompts, and pictures that are in train and test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from featcache.datasets.dataset import Dataset, Item
from featcache.datasets.notes import HEAD, noted, same_pictures, same_prompts
from featcache.datasets.remote import Remote
from featcache.datasets.stored import Part


def pond(root: Path, **contents: bytes) -> Dataset:
    """Pictures in files of these contents; names begin with their split."""
    splits: dict[str, tuple[Item, ...]] = {"train": (), "test": ()}
    for name, content in contents.items():
        (root / name).write_bytes(content)
        split = name.split("_")[0]
        splits[split] += (Item(name, root / name, 0),)
    return Dataset("pond", ("frog",), splits)


def test_classes_of_one_prompt() -> None:
    names = ("sea_lake", "river", "Sea lake", "moor", "river")
    assert same_prompts(Dataset("pond", names, {})) == (
        "pond: 4 classes share their prompts with another, the first are 'sea_lake' and "
        "'Sea lake'; text cannot tell them apart, so rename them or give --prompts."
    )
    assert same_prompts(Dataset("pond", ("sea_lake", "sea-lake"), {})) == ""


def test_the_same_bytes_within_other_files(tmp_path: Path) -> None:
    (tmp_path / "whole").write_bytes(b"abxxxab")
    train, test, gone = (Part(tmp_path / "whole", start, 2) for start in (0, 5, 6))
    splits = {
        "train": (Item("1", train, 0), Item("3", gone, 0)),
        "test": (Item("2", test, 0), Item("4", gone, 0)),
    }
    assert "1 test pictures are in train too, byte by byte, the first is 2 as 1" in same_pictures(
        Dataset("pond", ("frog",), splits)
    )


def test_the_same_bytes_in_train_and_test(tmp_path: Path) -> None:
    long, longer = bytes(HEAD) + b"a", bytes(HEAD) + b"b"
    told = same_pictures(
        pond(tmp_path, train_1=b"x", train_2=long, test_1=b"y", test_2=long, test_3=longer)
    )
    assert told == (
        "pond: 1 test pictures are in train too, byte by byte, the first is test_2 as train_2; "
        "remove them, for a fit has seen them."
    )


def test_pictures_in_stores_are_not_fetched_to_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = list[str]()
    monkeypatch.setattr(Remote, "read", lambda self: fetched.append(self.path) or b"same")
    train, test = (Item(name, Remote("s3://bucket", name), 0) for name in ("a", "b"))
    pond = Dataset("pond", ("frog",), {"train": (train,), "test": (test,)})
    assert noted(pond, pictures=True) == pond
    assert fetched == []


def test_different_empty_and_missing_pictures_are_no_copies(tmp_path: Path) -> None:
    dataset = pond(tmp_path, train_1=b"", test_1=b"", train_2=b"a", test_2=b"b", train_3=b"a")
    (tmp_path / "train_2").unlink()
    assert same_pictures(dataset) == ""
    assert same_pictures(replace(dataset, splits={})) == ""


def test_notes_follow_those_that_are_there(tmp_path: Path) -> None:
    dataset = replace(pond(tmp_path, train_1=b"x", test_1=b"x"), notes=("first",))
    assert noted(dataset) == dataset
    assert len(noted(dataset, pictures=True).notes) == 2
    assert noted(replace(dataset, classnames=("a", "A"))).notes[0] == "first"
