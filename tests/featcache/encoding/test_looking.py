"""Files are looked at first and read only where their times say that they may differ."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from featcache import Entry, FeatureCache, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.encoding import looking
from featcache.encoding.looking import Look, compare, units
from featcache.pictures import digest
from featcache.store.entry import reload
from featcache.store.originals import KIND
from featcache.store.originals import read as read_originals
from featcache.store.writing import NewShard, put
from tests.featcache.encoding.folder import folder, paint, read


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return folder(tmp_path / "images")


@pytest.fixture
def entry(root: Path, tmp_path: Path, tiny: Backbone, monkeypatch: pytest.MonkeyPatch) -> Entry:
    monkeypatch.setattr(digest, "YOUNG", -(10**18))  # what was just made counts as old
    return encode_dataset(read(root), tiny, FeatureCache(tmp_path / "cache")).entry


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of pictures that are read to be hashed."""
    found: list[str] = []
    inner = looking.read
    monkeypatch.setattr(looking, "read", lambda item: found.append(item.id) or inner(item))
    return found


def test_nothing_is_read_where_nothing_changed(entry: Entry, root: Path, asked: list[str]) -> None:
    look = Look(read(root))
    match = compare(look, entry)
    assert asked == []
    assert (match.held, match.same, len(match.digests), match.lost) == (26, 26, 26, ())
    assert match.is_of(look)
    assert look.by_split(match.digests)["test"][0] == units(entry)["test", 0].digest[0]
    assert [len(rows) for rows in look.by_split(match.digests).values()] == [16, 4, 6]


def test_only_what_may_have_changed_is_read(entry: Entry, root: Path, asked: list[str]) -> None:
    paint(root / "val" / "ant" / "01.png", 77)
    paint(root / "val" / "ant" / "02.png", 78)
    look = Look(read(root))
    match = compare(look, entry)
    assert asked == ["val/ant/01.png"]  # what is new is read when it is encoded
    assert (match.held, match.same, len(match.digests)) == (26, 25, 26)
    assert match.is_of(look)
    compare(look, entry, check=True)
    assert len(asked) == 26


def test_folders_renamed_are_known_by_bytes(entry: Entry, root: Path, asked: list[str]) -> None:
    for split in ("train", "val", "test"):
        for name in ("ant", "bee"):
            (root / split / name).rename(root / split / f"{name}s")
    look = Look(read(root))
    match = compare(look, entry)
    assert match.is_of(look)
    assert match.same == 26


def test_other_pictures_are_not_the_same(entry: Entry, root: Path, tmp_path: Path) -> None:
    look = Look(read(folder(tmp_path / "other" / "images", first=300)))
    match = compare(look, entry)
    assert match.same == 0
    assert not match.is_of(look)


@pytest.mark.parametrize(("kept", "same"), [(8, True), (4, True), (3, False)])
def test_most_of_the_larger_set_must_be_there(
    entry: Entry, root: Path, kept: int, same: bool
) -> None:
    """A few pictures of a large set are not that set grown small."""
    for name in ("ant", "bee"):
        for path in sorted((root / "train" / name).iterdir())[kept:]:
            path.unlink()
        if kept < 4:
            shutil.rmtree(root / "val" / name)
    if kept < 4:
        (root / "val").rmdir()
    look = Look(read(root))
    assert compare(look, entry).is_of(look) is same


def test_what_cannot_be_read_is_kept(entry: Entry, root: Path, asked: list[str]) -> None:
    data = read(root)
    (root / "train" / "ant" / "00.png").unlink()
    match = compare(Look(data), entry)
    assert match.lost == ("train/ant/00.png",)
    assert match.digests[0] == units(entry)["train", 0].digest[0]
    assert asked == []


def test_what_could_not_be_read_is_looked_at_again(
    entry: Entry, root: Path, asked: list[str]
) -> None:
    """The disk may give it now; nothing of its file need have changed."""
    (name,) = entry.shards(KIND, "val")
    held = read_originals(entry, name)
    unread = replace(held, digest=("", *held.digest[1:]))
    place = {"kind": KIND, "split": "val", "start": 0, "stop": 4}
    put(entry, [NewShard(name, place, unread.arrays)])
    match = compare(Look(read(root)), reload(entry))
    assert asked == [held.id[0]]
    assert match.same == 25
