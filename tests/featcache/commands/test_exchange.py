"""Feature files in and out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featcache import FeatureCache
from tests.entries import NARROW, arrays
from tests.typed import Type


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.savez(tmp_path / "a.npz", **arrays({"train": 6, "test": 3}))
    return tmp_path / "a.npz"


def test_what_is_imported_is_said(type_in: Type, file: Path) -> None:
    answer = type_in(f"featcache import {file} --dataset pets --backbone {NARROW}")
    key = type_in("featcache ls --json").json[0]["key"]
    assert answer.out == f"Imported 6 train, 3 test rows of 3 classes: {key}\n"
    assert key.startswith("pets/hf-hub_made_narrow/")


def test_as_json_it_is_the_description_of_the_entry(type_in: Type, file: Path) -> None:
    answer = type_in(f"featcache import {file} --dataset pets --backbone {NARROW} --json")
    assert answer.json == type_in("featcache info pets --json").json
    assert answer.err.startswith("Imported 6 train")


def test_several_files_are_one_entry(type_in: Type, tmp_path: Path) -> None:
    given = arrays({"train": 6})
    text = {"text_features": given.pop("text_features"), "prompts": given.pop("prompts")}
    np.savez(tmp_path / "x.npz", **given)
    np.savez(tmp_path / "t.npz", **text)
    found = type_in(f"featcache import x.npz t.npz --dataset pets --backbone {NARROW} --json").json
    assert list(found["files"]) == ["x.npz", "t.npz"]


def test_there_is_a_cache_of_ones_own(type_in: Type, file: Path, tmp_path: Path) -> None:
    words = f"featcache import {file} --dataset pets --backbone {NARROW} --cache {tmp_path / 'own'}"
    assert type_in(words).status == 0
    assert len(list((tmp_path / "own").glob("pets/*/*/manifest.json"))) == 1
    assert not (tmp_path / "cache").exists()


def test_what_is_exported_is_imported_again(type_in: Type, file: Path, tmp_path: Path) -> None:
    key = type_in(f"featcache import {file} --dataset pets --backbone {NARROW} --json").json["key"]
    out = tmp_path / "out [1].safetensors"  # what looks like markup is a name
    answer = type_in("featcache export pets --out", str(out))
    assert answer.out == f"Wrote {out} from {key}.\n"
    assert type_in("featcache export pets --json --out", str(out)).json == {
        "key": key,
        "file": str(out),
    }
    back = type_in(f"featcache import --dataset back --backbone {NARROW} --json", str(out)).json
    assert back["encoded"] == {"train": 6, "test": 3}
    assert back["dataset"]["classnames"] == ["cat", "dog", "emu"]


def test_what_is_refused_is_one_sentence_and_leaves_nothing(type_in: Type, file: Path) -> None:
    answer = type_in(f"featcache import no.npz --dataset x --backbone {NARROW}")
    assert (answer.status, answer.err) == (1, "error: no.npz does not exist.\n")
    assert type_in("featcache ls --json").json == []
    type_in(f"featcache import {file} --dataset pets --backbone {NARROW}")
    answer = type_in("featcache export pets --out out.csv")
    assert answer.status == 1
    assert answer.err == "error: out.csv: give a name that ends in .npz or .safetensors.\n"
    assert not Path("out.csv").exists()


def test_parts_of_several_machines_become_one(
    type_in: Type, pictures: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    line = f"featcache encode --dataset {pictures} --backbone local-dir:{tiny_folder} --views 0"
    whole = type_in(line, "--json").json["key"]
    for i in (1, 2, 3):
        type_in(f"{line} --shard {i}/3 --cache part{i}")
    first = type_in("featcache merge part2 --cache all")
    assert first.status == 0
    assert first.out.splitlines()[-1] == f"{whole} is not complete yet; see `featcache verify`."
    told = type_in("featcache merge part1 part2 part3 --cache all --json").json
    assert [(each["held"] > 0, each["complete"]) for each in told][1:] == [
        (True, False),
        (False, True),
    ]
    # File times, which shards of the kind `pictures` hold, are those of when it was looked.
    both = [FeatureCache(root).get(whole) for root in ("cache", "all")]
    one, other = (
        {n: r for n, r in entry.manifest["shards"].items() if r["kind"] != "pictures"}
        for entry in both
    )
    assert one == other
    assert both[0].manifest["dataset"] == both[1].manifest["dataset"]
    assert set(both[0].manifest["dataset"]["contents"]) == set(both[0].splits)
    assert type_in("featcache verify --cache all").status == 0


def test_parts_that_cannot_be_taken_are_told(type_in: Type, file: Path, tmp_path: Path) -> None:
    line = f"featcache import {file} --dataset pets --backbone {NARROW} --cache part"
    type_in(line)
    (shard,) = (tmp_path / "part").rglob("images-test*.h5")
    shard.unlink()
    answer = type_in(f"featcache merge {tmp_path / 'part'}")
    assert answer.status == 1
    assert f"  {shard} is listed in the manifest but missing" in answer.out
    assert answer.err.startswith(f"error: 1 parts were not taken, the first: {shard}")
    assert "holds no entries" in type_in("featcache merge nowhere").err
