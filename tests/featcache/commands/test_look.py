"""Commands that look: what is cached and whether it is sound, for people and for programs."""

from __future__ import annotations

from pathlib import Path

from featcache.commands.look import describe
from featcache.store import towers
from featcache.store.entry import reload
from featcache.store.sameness import data_id
from featcache.store.writing import amend
from tests.entries import make_entry
from tests.featcache.store.made import made
from tests.featcache.store.test_towers import ABOUT, beside
from tests.typed import Type


def test_an_empty_cache_says_how_to_fill_it(type_in: Type, tmp_path: Path) -> None:
    told = f"The cache {tmp_path / 'cache'} is empty; `featcache encode` fills it.\n"
    assert type_in("featcache ls").out == told
    answer = type_in("featcache ls --json")
    assert answer.json == []
    assert answer.err == told  # words for people stand beside the document
    assert type_in("featcache verify --json").json == {}


def test_what_is_cached_is_listed_described_and_verified(type_in: Type, tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    listed = type_in("featcache ls --json").json
    assert listed == [type_in("featcache info animals --json").json]
    assert listed[0]["key"] == entry.key
    assert listed[0]["encoded"] == {"train": 30, "val": 15, "test": 21}
    assert listed[0]["bytes"] == entry.bytes
    assert listed[0]["complete"] is True
    heads, _, row, *_ = type_in("featcache ls").out.splitlines()
    assert heads.split() == ["key", "rows", "prompts", "size"]
    assert row.split()[:5] == [entry.key, "train:30", "val:15", "test:21", "imported"]
    assert row.split()[5:] == [f"{entry.bytes / 1e6:.1f}", "MB"]
    assert type_in("featcache verify --json").json == {entry.key: []}
    assert type_in("featcache verify animals").out == f"{entry.key}: sound\n"


def test_the_table_has_extras_negative_prompts_and_what_is_incomplete(
    type_in: Type, tmp_path: Path
) -> None:
    entry = made(tmp_path / "cache")
    with amend(entry) as manifest:
        del manifest["shards"]["images-test-00000.h5"]
    heads, _, row, *_ = type_in("featcache ls").out.splitlines()
    assert heads.split() == ["key", "rows", "prompts", "extras", "size", "state"]
    assert row.split() == [
        *("numbers/net/0123", "train:10", "test:0"),
        *("dataset", "seven", "negative", "negative-mine", "pre-projection", "patches"),
        *(f"{reload(entry).bytes / 1e6:.1f}", "MB", "incomplete"),
    ]


def test_a_text_tower_is_shown_and_what_is_wrong_with_it(type_in: Type, tmp_path: Path) -> None:
    entry = made(tmp_path / "cache")
    held = beside(entry)
    assert " text-tower " in type_in("featcache ls").out
    told = type_in("featcache info numbers --json").json["text-tower"]
    assert told["bytes"] == held.size
    assert told["config"] == ABOUT["config"]
    (held.folder / towers.MERGES).write_text("?")
    assert "merges.txt is damaged" in type_in("featcache verify").out
    (held.folder / towers.ABOUT).write_text("?")
    assert "text-tower (damaged)" in type_in("featcache ls").out
    assert "is damaged" in type_in("featcache info numbers --json").json["text-tower"]
    assert "tower.json is damaged" in type_in("featcache verify").out


def test_two_data_sets_of_one_name_are_told_apart(type_in: Type, tmp_path: Path) -> None:
    one, other = make_entry(tmp_path), make_entry(tmp_path, {"train": 24, "test": 9})
    cars = make_entry(tmp_path, name="cars")
    heads, _, *rows = type_in("featcache ls").out.splitlines()
    assert heads.split()[:3] == ["key", "data", "rows"]
    assert {tuple(row.split()[:2]) for row in rows} == {
        (one.key, data_id(one)), (other.key, data_id(other)), (cars.key, "train:30"),
    }  # fmt: skip
    assert [row["data"] for row in type_in("featcache ls --json").json if row["key"] == cars.key]
    assert type_in("featcache", "info", data_id(other), "--json").json["key"] == other.key


def test_an_entry_is_described_by_its_manifest_without_shards(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, bad={"test": [2, 5]})
    with amend(entry) as manifest:
        manifest["shards"]["images-test-00000.h5"]["bad"] = 2
    found = describe(reload(entry))
    assert list(found)[:6] == ["key", "data", "complete", "encoded", "bytes", "bad"]
    assert found["bad"] == 2
    rest = {name: value for name, value in found.items() if name in entry.manifest}
    assert rest == {n: v for n, v in entry.manifest.items() if n not in ("shards", "format")}


def test_info_shows_text_as_it_is_and_the_rest_as_json(type_in: Type, tmp_path: Path) -> None:
    entry = make_entry(tmp_path, name="tïere")
    told = type_in("featcache", "info", entry.key).out.splitlines()
    assert f"key  {entry.key}" in told  # no \u escapes
    assert f"data  {data_id(entry)}" in told
    assert "complete  true" in told
    assert 'encoded  {"train": 30, "val": 15, "test": 21}' in told
    assert "source  imported" in told
    assert not any(line.startswith("shards") for line in told)


def test_what_is_damaged_is_marked(type_in: Type, tmp_path: Path) -> None:
    sound, cut = make_entry(tmp_path), make_entry(tmp_path, name="plants")
    gone, torn = make_entry(tmp_path, name="cars"), make_entry(tmp_path, name="pets")
    (cut.folder / "images-test-00000.h5").write_bytes(b"cut")
    (gone.folder / "images-val-00000.h5").unlink()
    (torn.folder / "manifest.json").write_text("[]")
    lines = {line.split()[0]: line for line in type_in("featcache ls").out.splitlines()}
    assert not lines[sound.key].strip().endswith("damaged")
    for entry in (cut, gone, torn):
        assert lines[entry.key].strip().endswith("damaged")
    found = {row["key"]: row["damaged"] for row in type_in("featcache ls --json").json}
    assert found[sound.key] == []
    assert found[cut.key] == ["images-test-00000.h5"]
    assert found[gone.key] == ["images-val-00000.h5"]
    assert "its top level is no object" in found[torn.key][0]
    answer = type_in("featcache info pets")
    assert answer.status == 1
    assert answer.err == f"error: {found[torn.key][0]}\n"
    assert type_in("featcache info animals").status == 0


def test_an_unknown_key_offers_those_there_are(type_in: Type, tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    for command in ("info", "verify"):
        answer = type_in("featcache", command, "plants")
        assert answer.status == 1
        assert answer.err == (
            f"error: unknown cache key 'plants'; known are: {entry.key}. See `featcache ls`.\n"
        )


def test_data_sets_are_listed(type_in: Type) -> None:
    found = {row["name"]: row for row in type_in("featcache datasets --json").json}
    assert found["eurosat"]["classes"] == 10
    assert found["eurosat"]["folder"] == "eurosat"
    assert found["digits"]["folder"] is None
    lines = type_in("featcache datasets").out.splitlines()
    assert lines[0].split() == ["name", "classes", "folder", "below", "--root", "what"]
    assert next(line for line in lines if "eurosat" in line).split()[:3] == [
        *("eurosat", "10", "eurosat"),
    ]
    assert "None" not in type_in("featcache datasets").out


def test_backbones_are_listed_by_a_part_of_their_names(type_in: Type) -> None:
    assert type_in("featcache backbones vit-b/16-siglip: --json").json == [
        {"model": "ViT-B-16-SigLIP", "pretrained": "webli"}
    ]
    assert type_in("featcache backbones demo --json").json == [{"model": "demo", "pretrained": ""}]
    every = type_in("featcache backbones --json").json
    some = type_in("featcache backbones RN50 --json").json
    assert 1 < len(some) < len(every)
    assert all("rn50" in f"{row['model']}:{row['pretrained']}".lower() for row in some)
    assert type_in("featcache backbones nothing-like-it --json").json == []
