"""Parts become one entry: the same as if one machine had done all, and nothing of ours is lost."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featcache.errors import CacheError
from featcache.store import shard
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry, open_entry, reload
from featcache.store.merging import merge, parts_of
from featcache.store.writing import amend, put_text
from tests.featcache.store.made import HEADER, half, made


def part(whole: Entry, root: Path, keep: Callable[[str], bool]) -> Entry:
    """A copy of an entry in another cache that has some of its shards alone."""
    folder = root.joinpath(*whole.folder.parts[-3:])
    shutil.copytree(whole.folder, folder)
    with amend(Entry(folder, whole.manifest)) as manifest:
        for name in list(manifest["shards"]):
            if not keep(name):
                del manifest["shards"][name]
                (folder / name).unlink()
        texts = manifest["texts"].items()
        manifest["texts"] = {b: n for b, n in texts if n in manifest["shards"]}
    return reload(Entry(folder, whole.manifest))


def state(entry: Entry) -> tuple[Any, dict[str, bytes]]:
    files = {p.name: p.read_bytes() for p in entry.folder.iterdir() if p.suffix == ".h5"}
    return reload(entry).manifest, files


@pytest.mark.parametrize("seed", range(5))
def test_parts_in_any_order_give_the_whole(tmp_path: Path, seed: int) -> None:
    whole = made(tmp_path / "whole")
    rng = random.Random(seed)
    of = {name: rng.randrange(3) for name in whole.manifest["shards"]}
    parts = [
        part(whole, tmp_path / str(i), lambda name, i=i: of[name] == i or "text" in name)
        for i in range(3)
    ]
    rng.shuffle(parts)
    cache = FeatureCache(tmp_path / "all")
    taken = [name for each in parts for name in merge(each, cache).taken]
    assert sorted(taken) == sorted(whole.manifest["shards"])
    (found,) = cache.entries()
    assert found.key == whole.key
    assert state(found) == state(whole)
    again = merge(parts[0], cache)
    assert (again.taken, again.told, again.problems) == ([], [], [])
    assert again.held == len(parts[0].manifest["shards"])
    assert state(found) == state(whole)


def test_it_goes_on_where_it_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = made(tmp_path / "whole")
    cache = FeatureCache(tmp_path / "all")
    copy, left = shutil.copyfile, [4]

    def dies(source: Path, target: Path) -> Path:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return copy(source, target)

    monkeypatch.setattr("featcache.store.merging.shutil.copyfile", dies)
    with pytest.raises(KeyboardInterrupt):
        merge(whole, cache)
    (found,) = cache.entries()
    assert not [p for p in found.problems() if "damaged" in p or "missing" in p]
    monkeypatch.undo()
    merge(whole, cache)
    assert state(found) == state(whole)


def test_ours_stay_where_both_have_another_and_the_rest_of_the_unit_is_not_taken(
    tmp_path: Path,
) -> None:
    whole, other = made(tmp_path / "whole"), made(tmp_path / "other")
    name = "images-train-00001.h5"
    swap(other, name)
    ours = part(whole, tmp_path / "ours", lambda each: each == name)
    other = reload(other)
    result = merge(other, FeatureCache(tmp_path / "ours"))
    assert result.told == [f"{name} is another in {other.folder}; ours is kept."]
    held, wanted = reload(ours).manifest["shards"], other.manifest["shards"]
    assert held[name] == whole.manifest["shards"][name]
    unit = {n for n, record in wanted.items() if record.get("start") == 4}
    assert set(held) == set(wanted) - unit | {name}
    assert len(unit) > 1


def swap(entry: Entry, name: str) -> None:
    """Another shard of other content under that name, listed as it is."""
    arrays = shard.read(entry.folder / name)
    arrays["embedding"] = arrays["embedding"] + np.float16(1)
    written = shard.write(entry.folder / name, arrays)
    with amend(entry) as manifest:
        manifest["shards"][name] |= asdict(written)


@pytest.mark.parametrize("gone", [False, True])
def test_what_ours_lost_is_taken_anew(tmp_path: Path, gone: bool) -> None:
    whole = made(tmp_path / "whole")
    ours = part(whole, tmp_path / "ours", lambda name: True)
    path = ours.folder / "images-train-00001.h5"
    path.unlink() if gone else path.write_bytes(path.read_bytes()[:-1])
    result = merge(whole, FeatureCache(tmp_path / "ours"))
    assert result.taken == [path.name]
    assert state(ours) == state(whole)


def test_what_theirs_lost_is_told_and_not_taken(tmp_path: Path) -> None:
    theirs = made(tmp_path / "theirs")
    path = theirs.folder / "images-train-00001.h5"
    content = bytearray(path.read_bytes())
    content[-3] ^= 8
    path.write_bytes(content)
    result = merge(theirs, FeatureCache(tmp_path / "ours"))
    assert len(result.problems) == 1
    assert str(path) in result.problems[0]
    assert "SHA-256" in result.problems[0]
    assert path.name not in result.entry.manifest["shards"]
    assert not (result.entry.folder / path.name).exists()
    assert result.entry.encoded("test") == 3


def test_banks_of_both_are_kept_and_ours_stays_the_newest(tmp_path: Path) -> None:
    whole = made(tmp_path / "whole")
    ours = part(whole, tmp_path / "ours", lambda name: "text-seven" in name)
    put_text(whole, "seven", half([[0, 0], [1, 1]]), [["x"], ["y"]])
    whole = reload(whole)
    result = merge(whole, FeatureCache(tmp_path / "ours"))
    assert result.entry.banks == ("dataset", "seven")
    assert result.entry.text().prompts == (("seven a",), ("b", "c"))
    assert any("ours is kept" in told for told in result.told)
    assert ours.key == result.entry.key


def test_others_are_refused_with_what_differs(tmp_path: Path) -> None:
    ours = made(tmp_path / "ours")
    header = json.loads(json.dumps(HEADER))
    header["backbone"]["logit_scale"] = 51
    header["dataset"]["classnames"][0] = "uneven"
    other = open_entry(tmp_path / "other" / "numbers" / "net" / "0123", header)
    with amend(other):
        pass
    before = state(ours)
    with pytest.raises(CacheError, match=r"in dataset\.classnames, backbone\.logit_scale; `featc"):
        merge(reload(other), FeatureCache(tmp_path / "ours"))
    with pytest.raises(CacheError, match=r"is in the cache .* itself"):
        merge(ours, FeatureCache(tmp_path / "ours"))
    twin = made(tmp_path / "twin")
    with amend(twin) as manifest:
        manifest["view_sets"]["train"]["new"] = {"count": 2}
    with pytest.raises(CacheError, match="other views of the name 'new'"):
        merge(reload(twin), FeatureCache(tmp_path / "ours"))
    assert state(ours) == before


def test_other_versions_are_told(tmp_path: Path) -> None:
    ours, theirs = made(tmp_path / "ours"), made(tmp_path / "theirs")
    for entry, version in ((ours, "2.6"), (theirs, "2.7")):
        with amend(entry) as manifest:
            manifest["versions"] = {"torch": version}
    result = merge(reload(theirs), FeatureCache(tmp_path / "ours"))
    assert result.told == [f"{theirs.folder} was encoded with other versions of torch."]
    assert result.entry.manifest["versions"] == {"torch": "2.6"}


def test_parts_are_caches_or_entries(tmp_path: Path) -> None:
    entry = made(tmp_path / "one")
    for path in (tmp_path / "one", entry.folder):
        found, broken = parts_of(path)
        assert ([each.key for each in found], broken) == ([entry.key], {})
    shutil.copytree(entry.folder, tmp_path / "a" / "b" / "c")
    with pytest.raises(CacheError, match=r"put it at numbers/BACKBONE/ID"):
        parts_of(tmp_path / "a" / "b" / "c")
    with pytest.raises(CacheError, match="holds no entries"):
        parts_of(tmp_path / "nowhere")
    (entry.folder / "manifest.json").write_text("{}")
    assert list(parts_of(tmp_path / "one")[1]) == [entry.key]
