"""What a K-shot study needs is all there, bit for bit, and nothing else is."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featcache.draws import draw_rows
from featcache.errors import EpisodeError
from featcache.store import originals
from featcache.store.cache import FeatureCache
from featcache.store.cleaning import rubbish
from featcache.store.entry import Entry, reload
from featcache.store.originals import Originals
from featcache.store.packing import ABOUT, pack
from featcache.store.reducing import reduce
from featcache.store.unpacking import unpack
from featcache.store.writing import NewShard, amend, put
from tests.entries import make_entry
from tests.featcache.store.made import ROWS, SHARD_ROWS, made


def originals_of(entry: Entry) -> None:
    """Digests beside the training rows, as `encode` leaves them."""
    images = entry.images("train")
    for start in range(0, ROWS, SHARD_ROWS):
        rows = range(start, min(start + SHARD_ROWS, ROWS))
        held = Originals(
            tuple(images.id[r] for r in rows), tuple(int(images.label[r]) for r in rows),
            tuple(f"digest {r}" for r in rows), np.zeros((len(rows), 3), np.int64),
        )  # fmt: skip
        place = {"split": "train", "start": rows.start, "stop": rows.stop}
        name = f"pictures-train-{start // SHARD_ROWS:05d}.h5"
        put(entry, [NewShard(name, {"kind": originals.KIND, **place}, held.arrays)])


def rows_drawn(entry: Entry, shots: int, seed: int) -> tuple[list[int], list[int]]:
    """CoOp's draw in rows of the entry: train and then val, by one generator."""
    rng = random.Random(seed)
    found = []
    for split, count in (("train", shots), ("val", min(shots, 4))):
        images = entry.images(split)
        readable = np.flatnonzero(images.valid)
        rows = draw_rows(images.label[readable].tolist(), count, rng)
        found.append(readable[rows].tolist())
    return found[0], found[1]


@pytest.mark.parametrize(("shots", "seeds"), [((1,), (1,)), ((2, 4), (1, 2)), ((8,), (7,))])
def test_the_draws_are_those_of_the_whole(tmp_path: Path, shots: Any, seeds: Any) -> None:
    whole = make_entry(tmp_path, bad={"train": [4, 9], "val": [2]})
    some = reduce(whole, shots, seeds, tmp_path / "some")
    assert some.draws is not None
    wanted = {(k, s): rows_drawn(whole, k, s) for k in shots for s in seeds}
    assert set(some.draws) == {f"{k}-{s}" for k, s in wanted}
    every, few = whole.images("train"), some.images("train")
    for (k, s), (train, val) in wanted.items():
        rows = some.draws[f"{k}-{s}"]
        assert [few.id[r] for r in rows["train"]] == [every.id[r] for r in train]
        assert np.array_equal(few.embedding[rows["train"]], every.embedding[train])
        assert few.label[rows["train"]].tolist() == every.label[train].tolist()
        assert rows["val"] == val
    kept = {row for train, _ in wanted.values() for row in train}
    assert few.id == tuple(every.id[row] for row in sorted(kept))
    assert few.valid.all()
    for split in ("val", "test"):
        for ours, theirs in zip(vars(some.images(split)).values(),
                                vars(whole.images(split)).values(), strict=True):  # fmt: skip
            assert np.array_equal(ours, theirs)
    assert np.array_equal(some.text().embedding, whole.text().embedding)


def test_without_a_val_list_what_validates_is_kept_too(tmp_path: Path) -> None:
    whole = make_entry(tmp_path, {"train": 30, "test": 6})
    some = reduce(whole, [2], [1], tmp_path / "some")
    assert some.draws is not None
    rows = some.draws["2-1"]
    assert not set(rows["train"]) & set(rows["val"])
    assert (
        sorted([*rows["train"], *rows["val"]]) == list(range(some.splits["train"])) == [*range(12)]
    )


def test_shards_views_extras_and_digests_are_cut_alike(tmp_path: Path) -> None:
    whole = made(tmp_path / "whole")
    originals_of(whole)
    whole = reload(whole)
    some = reduce(whole, [1], [1], tmp_path / "some")
    assert some.problems() == []
    assert rubbish(FeatureCache(tmp_path / "some"), 0) == []
    old = [int(x) for x, _ in some.images("train").embedding]  # row r has the embedding r, r + .5
    assert len(old) < ROWS
    assert 6 not in old  # could not be read
    rows = np.arange(len(old))
    for extra in ("pre-projection", "patches"):
        there = some.extra(extra, "train", rows)
        assert np.array_equal(there, whole.extra(extra, "train", np.array(old)))  # type: ignore[arg-type]
    viewed = np.array([new for new, row in enumerate(old) if row in (0, 2, 5, 9)])
    if len(viewed):
        for extra in (None, "pre-projection"):
            ours = some.views("train", viewed, extra)
            assert np.array_equal(ours, whole.views("train", np.array(old)[viewed], extra))  # type: ignore[arg-type]
    digests = [d for n in some.shards("pictures", "train") for d in originals.read(some, n).digest]
    assert digests == [f"digest {row}" for row in old]
    assert set(some.manifest["dataset"]["contents"]) == {"train"}
    names = {"projection.h5", *whole.manifest["texts"].values(), "images-test-00000.h5"}
    for name in names:
        assert (some.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_it_is_another_entry_by_what_it_holds(tmp_path: Path) -> None:
    whole = make_entry(tmp_path)
    asked: Mapping[str, Any] = {"a": ([1], [1]), "b": ([1], [1, 2]), "c": ([2], [1])}
    found = {name: reduce(whole, *each, tmp_path / name) for name, each in asked.items()}
    again = reduce(whole, [1], [1], tmp_path / "again")
    assert again.key == found["a"].key
    assert len({whole.key, *(each.key for each in found.values())}) == 4
    assert {each.key.rpartition("/")[0] for each in found.values()} == {
        whole.key.rpartition("/")[0]
    }
    prints = [e.manifest["dataset"]["fingerprint"] for e in (whole, *found.values())]
    assert len(set(prints)) == 4
    assert found["a"].manifest["reduced"] == {"key": whole.key, "rows": 30}
    one, other = (pack(each, tmp_path).path.read_bytes() for each in (again, found["a"]))
    assert one == other


def test_it_is_packed_and_unpacked_like_any_other(tmp_path: Path) -> None:
    some = reduce(make_entry(tmp_path), [2], [1, 2], tmp_path / "some")
    found = unpack(pack(some, tmp_path / "x.zip").path, FeatureCache(tmp_path / "there")).entry
    assert (found.key, found.draws, found.problems()) == (some.key, some.draws, [])
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        told = json.loads(archive.read(ABOUT))["provenance"]
    assert told["draws"] == ["2-1", "2-2"]
    assert told["reduced"]["rows"] == 30


@pytest.mark.parametrize("shots", [[0], [11], [2, 99]])
def test_draws_that_cannot_be_made_are_refused(tmp_path: Path, shots: list[int]) -> None:
    with pytest.raises(EpisodeError, match="largest class of animals has 10 training pictures"):
        reduce(make_entry(tmp_path), shots, [1], tmp_path / "some")
    assert not (tmp_path / "some").exists()


def test_what_has_nothing_to_leave_out_is_refused(tmp_path: Path) -> None:
    pool = make_entry(tmp_path / "pool", {"pool": 90})
    with pytest.raises(EpisodeError, match="has no train split"):
        reduce(pool, [1], [1], tmp_path / "some")
    whole = make_entry(tmp_path)
    some = reduce(whole, [1], [1], tmp_path / "some")
    with pytest.raises(EpisodeError, match="holds some draws alone already"):
        reduce(some, [1], [1], tmp_path / "less")


def test_draws_in_a_manifest_have_their_shape(tmp_path: Path) -> None:
    some = reduce(make_entry(tmp_path), [1], [1], tmp_path / "some")
    with amend(some) as manifest:
        manifest["draws"]["1-1"]["train"] = "all"
    _, broken = FeatureCache(tmp_path / "some").look()
    assert "draws.1-1.train is no list" in broken[some.key]
