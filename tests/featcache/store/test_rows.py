"""Rows come in the order in which they are asked for, from whatever shards hold them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featcache.errors import CacheError, DamagedShardError, MissingShardError
from featcache.store import rows, shard
from featcache.store.entry import Entry
from featcache.store.manifest import listed
from tests.featcache.store.made import ROWS, VIEWED, made


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    return made(tmp_path_factory.mktemp("cache"))


@settings(max_examples=40, deadline=None)
@given(wanted=st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=25))
def test_picked_rows_are_those_asked_for(entry: Entry, wanted: list[int]) -> None:
    records = listed(entry.manifest, "images", "train")
    found = rows.pick(entry.folder, records, "embedding", np.array(wanted))
    assert found is not None
    assert found.dtype == np.float16
    assert found.tolist() == [[r, r + 0.5] for r in wanted]


def test_no_rows_are_none(entry: Entry) -> None:
    records = listed(entry.manifest, "images", "train")
    assert rows.pick(entry.folder, records, "embedding", np.zeros(0, np.int64)) is None


@pytest.mark.parametrize(("many", "whole"), [(24, False), (25, True), (26, True)])
def test_many_rows_of_a_shard_come_with_all_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: int, whole: bool
) -> None:
    written = asdict(shard.write(tmp_path / "x", {"x": np.arange(100)}))
    records = {"x": {"start": 50, "stop": 150, **written}}
    asked: list[Any] = []
    read = shard.read

    def spied(path: Path, name: str, places: Any, record: Any) -> Any:
        asked.append(places)
        return read(path, name, places, record)

    monkeypatch.setattr(shard, "read", spied)
    # The same row twice is read once: it does not count as two.
    wanted = np.array([50, *range(50, 50 + many)])
    found = rows.pick(tmp_path, records, "x", wanted)
    assert found is not None
    assert found.tolist() == [0, *range(many)]
    assert (len(asked[0]) == 0) == whole


@settings(max_examples=40, deadline=None)
@given(wanted=st.lists(st.sampled_from(VIEWED), min_size=1, max_size=12))
def test_picked_views_are_those_of_the_rows(entry: Entry, wanted: list[int]) -> None:
    records = listed(entry.manifest, "views", "train", "new")
    count, found = rows.pick_views(entry.folder, records, "embedding", np.array(wanted))
    assert count == len(wanted)
    assert found is not None
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert found.tolist() == [[[r, 10 * v] for r in wanted] for v in (1, 2, 3)]


@pytest.mark.parametrize(("wanted", "have"), [([0, 1], 1), ([1, 3], 0), ([9, 8, 0, 9], 3)])
def test_rows_without_views_are_counted(entry: Entry, wanted: list[int], have: int) -> None:
    records = listed(entry.manifest, "views", "train", "new")
    found = rows.pick_views(entry.folder, records, "embedding", np.array(wanted))
    assert found == (have, None)


def test_shards_without_any_of_the_rows_are_not_opened(
    entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    read = shard.read

    def spied(path: Path, *rest: Any) -> Any:
        opened.append(path.name)
        return read(path, *rest)

    monkeypatch.setattr(shard, "read", spied)
    rows.pick(entry.folder, listed(entry.manifest, "images", "train"), "label", np.array([4, 7]))
    assert opened == ["images-train-00001.h5"]


def test_a_shard_of_another_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    path.write_bytes(b"12345")
    assert rows.path_of(tmp_path, "x.h5", {"bytes": 5}) == path
    for expected in (4, 6):
        with pytest.raises(DamagedShardError) as error:
            rows.path_of(tmp_path, "x.h5", {"bytes": expected})
        assert str(error.value) == (
            f"{path} is damaged (5 bytes where the manifest lists {expected}); "
            "run the same `featcache encode` or `import` again, it writes it anew."
        )
    with pytest.raises(MissingShardError, match=r"y\.h5 is listed in the manifest but missing"):
        rows.path_of(tmp_path, "y.h5", {"bytes": 5})
    with pytest.raises(CacheError, match="cannot be read now") as refused:
        rows.path_of(tmp_path, "y" * 300, {"bytes": 5})
    assert type(refused.value) is CacheError


def test_everything_is_widened_unless_it_is_asked_for_as_it_is_kept(tmp_path: Path) -> None:
    entry = made(tmp_path)
    records = listed(entry.manifest, "images", "train")
    wide, kept = (rows.everything(entry.folder, records, as_kept) for as_kept in (False, True))
    assert wide.embedding.dtype == np.float32
    assert kept.embedding.dtype == np.float16
    assert wide.embedding.tolist() == kept.embedding.tolist()
    assert wide.id == kept.id == entry.ids("train")


@pytest.mark.parametrize("which", [0, 1])
def test_shards_of_several_types_are_as_wide_as_the_widest(tmp_path: Path, which: int) -> None:
    entry = made(tmp_path)
    records = listed(entry.manifest, "images", "train")
    name = [*records][which]
    held = shard.read(entry.folder / name)
    held["embedding"] = held["embedding"].astype(np.float32) + np.float32(1e-4)
    records[name] |= asdict(shard.write(entry.folder / name, held))
    mixed, wide = (rows.everything(entry.folder, records, as_kept) for as_kept in (True, False))
    assert mixed.embedding.dtype == np.float32
    assert mixed.embedding.tobytes() == wide.embedding.tobytes()
