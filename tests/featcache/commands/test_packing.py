"""A whole entry out of one cache and into another, by hand."""

from __future__ import annotations

from pathlib import Path

from featcache.store.entry import reload
from featcache.store.writing import amend
from tests.entries import make_entry
from tests.featcache.store.test_towers import beside
from tests.typed import Type


def test_an_entry_is_moved_to_another_cache(type_in: Type, tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    packed = type_in("featcache pack animals --out animals.zip --json")
    assert packed.json["key"] == entry.key
    assert packed.json["bytes"] == (tmp_path / "animals.zip").stat().st_size
    assert packed.err.startswith(f"Packed {entry.key} into animals.zip: ")
    answer = type_in("featcache unpack animals.zip --cache elsewhere")
    assert answer.out == f"{entry.key}: 4 shards placed, 0 were there.\n"
    files = sorted(p.name for p in entry.folder.iterdir() if p.name != ".lock")
    for name in files:
        there = tmp_path / "elsewhere" / entry.key / name
        assert there.read_bytes() == (entry.folder / name).read_bytes()
    assert type_in("featcache verify --cache elsewhere").out == f"{entry.key}: sound\n"
    assert type_in("featcache gc --older-than 0 --cache elsewhere --json").json["files"] == {}
    again = type_in("featcache unpack animals.zip --cache elsewhere --json").json
    assert again == {"key": entry.key, "placed": [], "held": 4}


def test_a_text_tower_is_left_out_and_that_is_said(type_in: Type, tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    beside(entry)
    packed = type_in("featcache pack animals --out animals.zip --json")
    assert "the text tower, which all entries of the backbone share, is not in it" in packed.err
    assert packed.json["shards"] == 4
    assert "share" not in type_in("featcache unpack animals.zip --cache elsewhere").out


def test_an_entry_that_is_not_complete_is_said(type_in: Type, tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    with amend(entry) as manifest:
        del manifest["shards"]["images-test-00000.h5"]
    assert not reload(entry).complete
    answer = type_in("featcache pack animals --out .")
    assert "note: the entry is not complete" in answer.out
    assert len(list(tmp_path.glob("animals-*.zip"))) == 1


def test_what_is_no_pack_is_one_sentence(type_in: Type, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("no")
    answer = type_in("featcache unpack x.zip")
    assert answer.status == 1
    assert answer.err.startswith("error: x.zip is no whole pack")


def test_what_a_study_needs_is_an_entry_of_its_own(type_in: Type, tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    packed = type_in("featcache pack animals --out x.zip --for-shots 1,2 --seeds 1 --json")
    assert packed.json["key"] != entry.key
    assert "of 30 training pictures are drawn: an entry of its own" in packed.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cache", "features.npz", "x.zip"]
    assert type_in("featcache unpack x.zip --cache there").status == 0
    (found,) = type_in("featcache ls --cache there --json").json
    assert found["key"] == packed.json["key"]
    assert 6 <= found["encoded"]["train"] <= 9
    assert type_in("featcache verify --cache there").status == 0
    refused = type_in("featcache pack animals --out y.zip --for-shots few")
    assert "--for-shots takes whole numbers such as 1,2,3, got 'few'" in refused.err
    assert not (tmp_path / "y.zip").exists()
