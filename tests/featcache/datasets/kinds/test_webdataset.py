"""Shards: in order, bytes as they lie there, and nothing that an archive could play."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from featcache.datasets.kind import read
from featcache.datasets.kinds import webdataset
from featcache.datasets.layouts._class_folders import Walk
from featcache.errors import DatasetError
from tests.featcache.datasets.kinds.trees import content, png, read_as, shard
from tests.featcache.datasets.ponds import ids

Members = list[tuple[str, bytes]]


def samples(start: int, count: int = 4) -> Members:
    """Pictures with their classes, 0 and 1 in turn."""
    every = [(f"s{n:07d}", png(n), str(n % 2).encode()) for n in range(start, start + count)]
    return [
        member for key, held, cls in every for member in ((f"{key}.png", held), (f"{key}.cls", cls))
    ]


def names(folder: Path) -> Path:
    (folder / "classnames.txt").write_text("cat\nbig dog\n")
    return folder


def test_split_folders_with_names_above(tmp_path: Path) -> None:
    for split, start in (("train", 0), ("test", 100)):
        shard(tmp_path / split / "0.tar", *samples(start))
        shard(tmp_path / split / "1.tar", *samples(start + 4, 2))
    dataset = read_as("webdataset", names(tmp_path))
    assert dataset.classnames == ("cat", "big dog")
    assert ids(dataset, "test") == [
        *(f"test/0/s0000{n}" for n in range(100, 104)),
        *(f"test/1/s0000{n}" for n in range(104, 106)),
    ]
    assert [content(i).held for i in dataset.splits["train"]] == [png(n) for n in range(6)]
    assert [i.label for i in dataset.splits["train"]] == [0, 1] * 3
    alone = read_as("webdataset", tmp_path / "train" / "0.tar")
    assert alone.classnames == ("cat", "big dog")


def test_names_of_shards_say_the_split_and_json_the_class(tmp_path: Path) -> None:
    for start, split in enumerate(("train", "val", "test")):
        members: Members = []
        for n in range(4):
            told = {"label": n % 2, "class_name": "xy"[n % 2], "caption": "?"}
            members += [(f"{n}.jpg", png(start)), (f"{n}.json", json.dumps(told).encode())]
        shard(tmp_path / f"pets-{split}-000000.tar", *members)
    dataset = read_as("webdataset", tmp_path)
    assert dataset.classnames == ("x", "y")
    assert ids(dataset, "val")[:2] == ["pets-val-000000/0", "pets-val-000000/1"]


def test_a_pattern_of_shards(tmp_path: Path) -> None:
    for number in range(9, 12):
        shard(tmp_path / f"x-{number:03d}.tar", *samples(10 * number, 8))
    pattern = names(tmp_path) / "x-{009..011}.tar"
    dataset = read_as("webdataset", pattern)
    assert sum(map(len, dataset.splits.values())) == 24
    for wrong, why in (
        ("x-{009..012}.tar", r"does not hold 'x-012\.tar'"),
        ("x-{1..0}.tar", "does not hold any"),
        ("x-{0..9999999}.tar", "a million shards"),
    ):
        with pytest.raises(DatasetError, match=why):
            read_as("webdataset", tmp_path / wrong)


def test_members_of_no_sample(tmp_path: Path) -> None:
    odd = [("notes.txt", b"x"), (".hidden.png", png(1)), ("._0.png", b"x")]
    shard(names(tmp_path) / "0.tar", *odd, *samples(0, 8))
    dataset = read_as("webdataset", tmp_path)
    assert sum(map(len, dataset.splits.values())) == 8
    assert "passed over 1 samples without a picture ('txt')" in dataset.notes[0]


def test_keys_may_be_in_folders_and_endings_in_capitals(tmp_path: Path) -> None:
    held = [(f"./a.b/{name}".replace(".png", ".PNG"), c) for name, c in samples(0, 8)]
    shard(names(tmp_path) / "0.tar", *held)
    dataset = read_as("webdataset", tmp_path)
    assert "0/a.b/s0000000" in [i for split in dataset.splits for i in ids(dataset, split)]


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([("../a.png", b"x")], "the path '../a.png' does not stay"),
        ([("/etc/a.png", b"x")], "the path '/etc/a.png' does not stay"),
        ([("a.png", b"x"), ("a.jpg", b"x"), ("a.cls", b"0")], "a has 2 pictures"),
        ([("a.png", b"x"), ("a.png", b"x")], r"two members a\.png in a row"),
        ([("a.png", b"x"), ("a.txt", b"a cat")], "a has no class: .*'png', 'txt'"),
        ([("a.png", b"x"), ("a.json", b"[1]")], "a has no class"),
        ([("a.png", b"x"), ("a.json", b"{")], "its json cannot be read"),
        ([("a.png", b"x"), ("a.cls", b"\xff")], "its class is no text"),
        ([("a.png", b"x"), ("a.cls", b"0" * (2**20 + 1))], "its class has more than 1,048,576"),
    ],
)
def test_what_is_refused(tmp_path: Path, members: Members, why: str) -> None:
    shard(tmp_path / "0.tar", *members)
    with pytest.raises(DatasetError, match=why):
        read_as("webdataset", tmp_path)


def test_links_are_refused(tmp_path: Path) -> None:
    shard(tmp_path / "0.tar", links=[("a.png", "/etc/passwd")])
    with pytest.raises(DatasetError, match=r"0\.tar: a\.png is a link, device"):
        read_as("webdataset", tmp_path)


def test_pictures_of_any_size_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webdataset, "LARGEST", 10)
    shard(tmp_path / "0.tar", ("a.png", b"x" * 11), ("a.cls", b"0"))
    with pytest.raises(DatasetError, match="its picture has more than 10 bytes"):
        read_as("webdataset", tmp_path)


def test_cut_and_compressed_shards_are_told(tmp_path: Path) -> None:
    path = tmp_path / "0.tar"
    shard(path, ("a.cls", b"0"), ("a.png", b"x" * 2000))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DatasetError, match=r"0\.tar ends within a\.png|cannot read the shard"):
        read_as("webdataset", tmp_path)
    path.write_bytes(b"no archive" * 100)
    with pytest.raises(DatasetError, match="cannot read the shard"):
        read_as("webdataset", tmp_path)
    with tarfile.open(tmp_path / "1.tar.gz", "w:gz"):
        pass
    with pytest.raises(DatasetError, match="unpack it first if it is compressed"):
        read_as("webdataset", tmp_path / "1.tar.gz")


def test_an_empty_shard_lists_nothing(tmp_path: Path) -> None:
    shard(tmp_path / "0.tar")
    with pytest.raises(DatasetError, match="lists no pictures"):
        read("webdataset", tmp_path, name="x", walk=Walk())
