"""What a path is: kinds are told apart, and what is none stays a folder of classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.catalogue import modules
from featcache.datasets import kinds
from featcache.datasets.kind import DOMAINS, KINDS, check_layout, kind_of
from featcache.errors import UnknownNameError
from tests.featcache.datasets.kinds.trees import put, shard
from tests.featcache.datasets.ponds import touch


def test_every_kind_is_a_file() -> None:
    assert sorted((*KINDS, DOMAINS)) == list(modules(Path(kinds.__path__[0])))


@pytest.mark.parametrize("beside", ["pets.tar", "labels.txt", "rows.csv", "rows.parquet"])
def test_class_folders_stay_so_whatever_lies_beside(tmp_path: Path, beside: str) -> None:
    put(tmp_path, "cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png")
    (tmp_path / beside).write_text("cat/1.png 0\n")
    assert kind_of(tmp_path) == ""


def test_archives_within_class_folders_or_splits(tmp_path: Path) -> None:
    shard(tmp_path / "a" / "train" / "n01440764.tar", ("x.png", b""))
    shard(tmp_path / "a" / "test" / "0.tar")
    assert kind_of(tmp_path / "a") == "webdataset"
    touch(tmp_path / "a", "more/x.png")
    assert kind_of(tmp_path / "a") == ""


def test_nothing_there_is_no_kind(tmp_path: Path) -> None:
    assert kind_of(tmp_path / "nowhere") == kind_of(tmp_path) == ""


def test_unknown_layouts_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown layout 'domain'; .*domains"):
        check_layout("domain")
