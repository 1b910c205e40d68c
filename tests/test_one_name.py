"""Two data sets of one name, from pictures to a report, never mix, nor do two states of one.

The second is encoded in a cache of its own and moved beside the first, each saying what its
pictures are; so it is whatever makes them two entries.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featcache import FeatureCache
from featcache.store import shard
from featcache.store.entry import Entry, reload
from featcache.store.sameness import data_id
from featcache.store.writing import NewShard, amend, put
from tests.typed import Type

SIZES = {"train": 3, "val": 2, "test": 4}
RESULTS = "runs/results.sqlite"


def folder(root: Path, seed: int) -> Path:
    """Class folders in split folders, of the same names whatever the seed of their pixels."""
    rng = np.random.default_rng(seed)
    for split, pictures in SIZES.items():
        for name, tint in (("red", (255, 60, 60)), ("blue", (60, 60, 255))):
            place = root / "pets" / split / name
            place.mkdir(parents=True)
            for i in range(pictures):
                pixels = (rng.random((32, 32, 3)) * tint).astype(np.uint8)
                Image.fromarray(pixels).save(place / f"{i}.png")
    return root / "pets"


def encoded(type_in: Type, pictures: Path, cache: Path) -> Entry:
    """The folder's entry, which says what its pictures are."""
    line = f"featcache encode --dataset {pictures} --backbone demo --views 0 --cache {cache}"
    assert type_in(line).status == 0
    (entry,) = FeatureCache(cache).entries()
    with amend(entry) as manifest:
        manifest["dataset"]["contents"] = {
            split: hashlib.sha256(
                b"".join(each.read_bytes() for each in sorted(pictures.glob(f"{split}/*/*.png")))
            ).hexdigest()
            for split in SIZES
        }
    return reload(entry)


@pytest.fixture
def two(type_in: Type, tmp_path: Path) -> tuple[Entry, Entry]:
    one = encoded(type_in, folder(tmp_path / "one", 1), tmp_path / "cache")
    other = encoded(type_in, folder(tmp_path / "two", 2), tmp_path / "other")
    beside = one.folder.with_name("fedcba987654")
    shutil.copytree(other.folder, beside)
    return one, Entry(beside, other.manifest)


def test_two_data_sets_of_one_name(type_in: Type, two: tuple[Entry, Entry], tmp_path: Path) -> None:
    sweep = "adapters sweep --method zero-shot,ncm --shots 1 --seed 1,2 --policy none"
    refusal = type_in(sweep, "--dataset", "pets")
    assert refusal.status == 1
    for entry in two:
        assert f"{entry.key} ({data_id(entry)})" in refusal.err
        assert type_in(sweep, "--dataset", entry.key).status == 0
    frame = json.loads(type_in("adapters results --json").out)
    assert len(frame) == 8
    assert {(row["data"], row["entry"]) for row in frame} == {(data_id(e), e.key) for e in two}
    names = {f"pets ({data_id(entry)})" for entry in two}
    shown = type_in("adapters results").out
    assert all(shown.count(name) == 4 for name in names)
    assert type_in("adapters report --out page").status == 0
    (table,) = (tmp_path / "page" / "tables").glob("accuracy-*.md")
    heads = {cell.strip() for cell in table.read_text(encoding="utf-8").splitlines()[2].split("|")}
    assert heads >= names
    assert "pets" not in heads
    listed = type_in("featcache ls").out
    assert all(data_id(entry) in listed for entry in two)


def test_done_before_is_never_said_of_other_numbers(
    type_in: Type, two: tuple[Entry, Entry], tmp_path: Path
) -> None:
    """The entry stays where it is, and what is in it is encoded anew; then it moves as it is."""
    entry, _ = two
    line = f"adapters sweep --method ncm --shots 1 --seed 1 --policy none --dataset {entry.key}"
    assert type_in(line, "--json").json["done"] == 1
    assert type_in(line, "--json").json["done"] == 0
    name = "images-test-00000.h5"
    arrays = shard.read(entry.folder / name)
    record = {k: entry.manifest["shards"][name][k] for k in ("kind", "split", "start", "stop")}
    put(entry, [NewShard(name, record, arrays | {"embedding": -arrays["embedding"]})])
    assert type_in(line, "--json").json["done"] == 1
    rows = type_in("adapters results --json").json
    assert len({row["run"] for row in rows}) == len({row["images"] for row in rows}) == 2
    assert type_in("adapters results").out.count("demo (") == 2  # told apart beside the backbone
    moved = tmp_path / "moved" / Path(entry.key).parent / "0123456789ab"
    shutil.copytree(entry.folder, moved)
    line = line.replace(entry.key, "pets") + f" --cache {tmp_path / 'moved'}"
    assert type_in(line, "--json").json["done"] == 0
