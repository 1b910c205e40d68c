"""A cache is checked and put in order: damage is named, taken off the list, and encoded anew."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest

from featcache.store.entry import reload
from featcache.store.files import ANEW
from tests.entries import make_entry
from tests.typed import Type


def test_verify_lists_the_problems_of_all_entries_and_fails(type_in: Type, tmp_path: Path) -> None:
    sound = make_entry(tmp_path, {"train": 3})
    entry = make_entry(tmp_path, name="plants")
    path = entry.folder / "images-test-00000.h5"
    path.unlink()
    problem = f"{path} is listed in the manifest but missing; {ANEW}"
    answer = type_in("featcache verify")
    assert answer.status == 1
    assert answer.out == f"{sound.key}: sound\n{entry.key}: \n  {problem}\n"
    assert answer.err == "error: the cache has problems (listed above).\n"
    as_json = type_in("featcache verify --json")
    assert as_json.status == 1
    assert as_json.json == {sound.key: [], entry.key: [problem]}
    assert type_in("featcache verify animals").status == 0


def test_verify_tells_a_damaged_manifest(type_in: Type, tmp_path: Path) -> None:
    sound, torn = make_entry(tmp_path), make_entry(tmp_path, name="plants")
    path = torn.folder / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"100.0", b"100.5"))
    found = type_in("featcache verify --json")
    assert found.status == 1
    assert found.json[sound.key] == []
    assert f"featcache rm {torn.key}" in found.json[torn.key][0]


def test_repair_takes_damage_off_the_list_and_says_so(type_in: Type, tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    path = entry.folder / "images-test-00000.h5"
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    answer = type_in("featcache verify --repair animals")
    assert answer.status == 1
    assert answer.out == (
        f"{entry.key}: \n"
        f"  taken off the list: {path} is damaged (SHA-256); {ANEW}\n"
        "  split 'test' has 0 of 21 rows; run the same `featcache encode` again.\n"
    )
    assert path.name not in reload(entry).manifest["shards"]
    again = type_in("featcache verify --repair --json animals").json[entry.key]
    assert again["repaired"] == []
    assert len(again["problems"]) == 1
    make_entry(tmp_path)
    assert type_in("featcache verify animals").status == 0


def test_repair_gives_an_entry_of_before_its_sums(type_in: Type, tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    old = json.loads((entry.folder / "manifest.json").read_text())
    del old["checksum"]
    for record in old["shards"].values():
        del record["sums"]
    (entry.folder / "manifest.json").write_text(json.dumps({**old, "format": 1}))
    answer = type_in("featcache verify --repair animals")
    assert answer.status == 0
    assert answer.out == (
        f"{entry.key}: sound\n  sums of 4 shards of an earlier version were added.\n"
    )
    assert reload(entry).manifest == entry.manifest
    assert type_in("featcache verify --repair animals").out == f"{entry.key}: sound\n"


def test_an_entry_is_removed_when_that_is_confirmed(
    type_in: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, other = make_entry(tmp_path), make_entry(tmp_path, name="plants")
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    answer = type_in("featcache rm animals")
    assert answer.status == 1
    assert f"Remove {entry.key} (0.0 MB)?" in answer.err
    assert entry.folder.exists()
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert type_in("featcache rm animals").out.endswith(f"Removed {entry.key} (0.0 MB).\n")
    assert not (tmp_path / "cache" / "animals").exists()
    assert type_in("featcache rm plants --yes --json").json["key"] == other.key
    assert list((tmp_path / "cache").iterdir()) == []
    answer = type_in("featcache rm plants --yes")
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith("error: unknown cache key 'plants'")


def test_an_entry_with_a_damaged_manifest_is_removed_by_its_whole_key(
    type_in: Type, tmp_path: Path
) -> None:
    entry = make_entry(tmp_path)
    (entry.folder / "manifest.json").write_text("[]")
    answer = type_in("featcache rm animals --yes")
    assert answer.status == 1
    assert f"`featcache rm {entry.key}`" in answer.err
    assert type_in(f"featcache rm {entry.key} --yes").status == 0
    assert not entry.folder.exists()


def test_what_crashes_left_is_listed_and_deleted_on_demand(type_in: Type, tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    told = f"Nothing is left over in {tmp_path / 'cache'}.\n"
    assert type_in("featcache gc").out == told
    left = entry.folder / "images-train-00009.h5"
    left.write_bytes(bytes(300_000))
    assert type_in("featcache gc").out == told  # who wrote it may be about to list it
    os.utime(left, (1, 1))
    assert type_in("featcache gc").out == f"{left}\n1 files, 0.3 MB; --yes deletes them.\n"
    assert type_in("featcache gc --json").json == {"deleted": False, "files": {str(left): 300_000}}
    assert left.exists()
    assert type_in("featcache gc --yes").out == f"{left}\nDeleted 1 files, 0.3 MB.\n"
    assert not left.exists()
    left.write_bytes(b"x")
    assert type_in("featcache gc --yes --older-than 0 --json").json["deleted"] is True
    assert not left.exists()
    assert type_in("featcache verify animals").status == 0


def test_rows_encoded_anew_are_compared(type_in: Type, pictures: Path, tiny_folder: Path) -> None:
    type_in(f"featcache encode --dataset {pictures} --backbone local-dir:{tiny_folder} --views 0")
    line = "featcache verify mine --reencode 99"
    assert "say with --dataset which one it is now" in type_in(line).err
    line = f"{line} --dataset {pictures}"
    answer = type_in(line)
    assert answer.status == 0
    assert ": 16 rows encoded anew; least cosine " in answer.out
    assert "tolerance 0.002 of an embedding's length." in answer.out
    assert type_in(line, "--json").json["beyond"] == []
    spoilt, other = pictures / "red" / "0.png", pictures / "blue" / "1.png"
    spoilt.write_text("no picture")
    other.write_bytes((pictures / "red" / "1.png").read_bytes())
    answer = type_in(line)
    assert answer.status == 1
    assert " red/0.png: the picture is no picture" in answer.out
    assert " blue/1.png: " in answer.out
    assert answer.err.endswith("error: 2 of 16 rows are not what was encoded.\n")
    beyond = {row["id"]: row for row in type_in(line, "--json").json["beyond"]}
    assert beyond["red/0.png"]["cosine"] is None
    assert beyond["blue/1.png"]["difference"] > 0.002
    assert type_in("featcache verify --reencode 3").err.startswith("error: --reencode takes one")
