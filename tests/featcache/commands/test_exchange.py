"""Feature files in and out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featcache import FeatureCache
from tests.entries import NARROW, arrays
from tests.featcache.interchange import layouts
from tests.typed import Type


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.savez(tmp_path / "a.npz", **arrays({"train": 6, "test": 3}))
    return tmp_path / "a.npz"


def test_what_is_imported_is_said(type_in: Type, file: Path) -> None:
    answer = type_in(f"featcache import {file} --dataset pets --backbone {NARROW}")
    key = type_in("featcache ls --json").json[0]["key"]
    assert answer.out == f"Imported 6 train, 3 test rows of 3 classes (format plain): {key}\n"
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
    assert answer.err.startswith("error: out.csv: give a name that ends in .npy or .npz or ")
    assert not Path("out.csv").exists()


def test_what_lies_in_a_folder_of_another_project_is_said(type_in: Type, tmp_path: Path) -> None:
    held = layouts.tip_adapter(tmp_path / "theirs")
    (held.folder / "text_weights_cupl_t.pt").unlink()
    (held.folder / "APE-T_16shots.pt").write_bytes(b"a module")
    line = f"featcache import {held.folder} --dataset pets --backbone {NARROW}"
    told = type_in(f"{line} --dry-run").out.splitlines()
    assert told[0] == "format: tip-adapter"
    assert "supports: k2-s? float16 [1, 10, 16]" in told
    assert "unknown: with which seed the support was drawn (give --seed)" in told
    assert "left: APE-T_16shots.pt" in told
    answer = type_in(f"{line} --classes {layouts.classes(tmp_path)} --seed 1")
    first, *rest = answer.out.splitlines()
    assert first.startswith(
        "Imported 15 val, 15 test rows and support of 1 shots with seed 1, 2 shots with seed 1 of "
        "5 classes (format tip-adapter): pets/"
    )
    assert "  there is no text: --text FILE adds class vectors." in rest
    assert "  left: APE-T_16shots.pt" in rest
    said = type_in("featcache info pets").out
    assert "normalised  true" in said
    assert "views  mean" in said
    assert "k2-s1" in type_in("featcache ls").out


def test_the_format_can_be_said(type_in: Type, tmp_path: Path) -> None:
    held = layouts.tip_adapter(tmp_path / "theirs")
    line = f"featcache import {held.folder} --dataset pets --backbone {NARROW} --format"
    assert type_in(f"{line} tip-adaptor").err == (
        "error: unknown format 'tip-adaptor'; did you mean tip-adapter?\n"
    )
    assert type_in(f"{line} timo --dry-run").status == 0


def test_export_as_tip_adapters_folder(type_in: Type, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays({"train": 6, "test": 3}))
    type_in(f"featcache import a.npz --dataset pets --backbone {NARROW}")
    answer = type_in("featcache export pets --format tip --shots 1,2 --out tip --json")
    assert answer.json["file"] == "tip"
    assert Path("tip/keys_2shots.pt").exists()
    assert "takes plain or tip" in type_in("featcache export pets --format x --out y").err
    for shots in ("x", "0", "1,"):
        answer = type_in(f"featcache export pets --format tip --shots {shots} --out y")
        assert answer.err == f"error: --shots takes numbers such as 1,2,4, got {shots!r}.\n"


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
