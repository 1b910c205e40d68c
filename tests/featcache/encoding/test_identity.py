"""Which entry a data set belongs to, and that an entry follows its pictures whatever is done."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock, Timeout
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featcache import Entry, FeatureCache, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.encoding import identity, looking
from featcache.encoding.decoding import crops
from featcache.encoding.identity import find_entry
from featcache.encoding.report import Report
from featcache.pictures.digest import State
from featcache.store.entry import reload
from featcache.store.reducing import reduce
from tests.featcache.encoding.folder import folder, paint, read
from tests.featcache.encoding.noise import VIEWS, noise


def encode(root: Path, backbone: Backbone, cache: FeatureCache, **how: Any) -> Report:
    return encode_dataset(read(root), backbone, cache, views=VIEWS, **how)


def all_equal(one: Entry, other: Entry) -> None:
    """Ids, labels, prompts and, to what half precision keeps, features of both are the same."""
    assert one.classnames == other.classnames
    assert one.splits == other.splits
    assert one.manifest["dataset"]["contents"] == other.manifest["dataset"]["contents"]
    for split in one.splits:
        mine, theirs = one.images(split), other.images(split)
        assert (mine.id, mine.reason) == (theirs.id, theirs.reason)
        np.testing.assert_array_equal(mine.label, theirs.label)
        np.testing.assert_allclose(mine.embedding, theirs.embedding, rtol=2e-3, atol=2e-3)
    assert one.text().prompts == other.text().prompts
    np.testing.assert_allclose(one.text().embedding, other.text().embedding, atol=2e-3)


def test_the_key_follows_all_that_changes_a_number(tmp_path: Path, tiny: Backbone) -> None:
    cache = FeatureCache(tmp_path)
    others = [
        replace(tiny, fingerprint="other"),
        replace(tiny, activation="other"),
        replace(tiny, precision="bf16"),
        replace(tiny, preprocess=replace(tiny.preprocess, size=33)),
    ]
    keys = {find_entry(noise(), b, cache).entry.key for b in (tiny, *others)}
    keys.add(find_entry(noise(train=91), tiny, cache).entry.key)
    assert len(keys) == 6
    same = replace(tiny, name="another name", device=tiny.device)
    assert find_entry(noise(), same, cache).entry.key in keys


def test_equal_names_of_other_pictures_are_another_data_set(tmp_path: Path, tiny: Backbone) -> None:
    cache = FeatureCache(tmp_path / "cache")
    first = encode(folder(tmp_path / "a" / "images"), tiny, cache)
    second = encode(folder(tmp_path / "b" / "images", first=500), tiny, cache)
    assert (second.encoded, second.taken) == (26, 0)
    assert second.entry.key != first.entry.key
    assert first.entry.key in second.notes[0]
    assert "--name" in second.notes[0]
    for report, root in ((first, "a"), (second, "b")):
        again = encode(tmp_path / root / "images", tiny, cache)
        assert (again.entry.key, again.encoded, again.taken) == (report.entry.key, 0, 0)
    assert len(cache.entries()) == 2


def test_files_of_one_size_are_told_apart_by_their_bytes(tmp_path: Path, tiny: Backbone) -> None:
    """Uncompressed pictures of one size have files of one size: the key covers some bytes too."""
    for name, value in (("a", 10), ("b", 200)):
        for split in ("train", "test"):
            for label in ("ant", "bee"):
                path = tmp_path / name / "images" / split / label / "0.ppm"
                path.parent.mkdir(parents=True)
                path.write_bytes(b"P6 4 4 255 " + bytes([value + len(label + split)]) * 48)
    cache = FeatureCache(tmp_path / "cache")
    keys = {encode(tmp_path / n / "images", tiny, cache).entry.key for n in ("a", "b")}
    assert len(keys) == 2


def test_the_same_folder_elsewhere_is_the_same_data_set(tmp_path: Path, tiny: Backbone) -> None:
    first = encode(folder(tmp_path / "a" / "images"), tiny, FeatureCache(tmp_path / "cache"))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    copied = encode(tmp_path / "b" / "images", tiny, FeatureCache(tmp_path / "cache"))
    assert (copied.entry.key, copied.encoded, copied.taken) == (first.entry.key, 0, 0)
    assert encode(tmp_path / "b" / "images", tiny, FeatureCache(tmp_path / "other")).entry.key == (
        first.entry.key
    )


def test_an_edit_in_place_is_seen_and_it_alone_encoded(tmp_path: Path, tiny: Backbone) -> None:
    root, cache = folder(tmp_path / "images"), FeatureCache(tmp_path / "cache")
    before = encode(root, tiny, cache).entry
    paint(root / "test" / "bee" / "01.png", 999)
    report = encode(root, tiny, cache)
    assert (report.encoded, report.taken, report.crops) == (1, 5, 1)
    assert report.entry.key == before.key
    assert report.entry.manifest["dataset"]["contents"] != before.manifest["dataset"]["contents"]
    all_equal(report.entry, encode(root, tiny, FeatureCache(tmp_path / "fresh")).entry)


def _flip(path: Path) -> None:
    """Change a value and neither size nor time of content; the time of the node cannot be set."""
    told = path.stat()
    content = bytearray(path.read_bytes())
    content[-20] ^= 64
    path.write_bytes(content)
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))


def test_an_edit_that_keeps_size_and_time_is_seen(
    tmp_path: Path, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cache = folder(tmp_path / "images", suffix=".ppm"), FeatureCache(tmp_path / "cache")
    encode(root, tiny, cache)
    _flip(root / "test" / "bee" / "01.ppm")
    assert encode(root, tiny, cache).encoded == 1
    # Where the file system has no such time, a full check sees it.
    monkeypatch.setattr(looking, "state_of", lambda *_: State(1, 2, 3))
    monkeypatch.setattr(crops, "state_of", lambda *_: State(1, 2, 3))
    encode(root, tiny, cache)
    _flip(root / "test" / "bee" / "02.ppm")
    assert encode(root, tiny, cache).encoded == 0
    assert encode(root, tiny, cache, check=True).encoded == 1
    assert encode(root, tiny, cache, check=True).encoded == 0


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(["add", "remove", "edit", "move", "rename", "split"]), max_size=4))
def test_an_entry_follows_its_folder(
    tmp_path_factory: pytest.TempPathFactory, tiny: Backbone, changes: list[str]
) -> None:
    """Whatever is done, one entry is left, equal to a fresh one; only new bytes were encoded."""
    base = tmp_path_factory.mktemp("grow")
    root, cache = folder(base / "images", rows=3), FeatureCache(base / "cache")
    encode(root, tiny, cache)
    new = 0
    for i, change in enumerate(changes):
        new += _do(root, change, 1000 + i)
    report = encode(root, tiny, cache)
    assert report.encoded == new
    assert [entry.key for entry in cache.entries()] == [report.entry.key]
    assert report.entry.complete
    assert report.entry.problems() == []
    assert "older" not in report.entry.manifest
    there = {path.name for path in report.entry.folder.iterdir()}
    assert there == {*report.entry.manifest["shards"], "manifest.json", ".lock"}
    all_equal(report.entry, encode(root, tiny, FeatureCache(base / "fresh")).entry)
    assert report.entry.views("train", np.arange(report.entry.splits["train"])) is not None


def _do(root: Path, change: str, seed: int) -> int:
    """Make a change, and say how many new pictures there are by it."""
    classes = sorted(path.name for path in (root / "train").iterdir())
    train = sorted((root / "train" / classes[0]).iterdir())
    if change == "add":
        paint(train[0].with_name(f"x{seed}.png"), seed)
    elif change == "remove" and len(train) > 1:
        # One that was added by this test and not encoded yet is no new picture then.
        train[-1].unlink()
        return -1 if train[-1].name.startswith("x") else 0
    elif change == "edit":
        was_new = train[0].stat().st_mtime >= 1e9 + 1000
        paint(train[0], seed)
        return 0 if was_new else 1
    elif change == "move" and len(train) > 1:
        train[-1].rename(root / "train" / classes[1] / f"m{seed}.png")
    elif change == "rename":
        for split in ("train", "val", "test"):
            (root / split / classes[1]).rename(root / split / f"class {seed}")
    elif change == "split" and len(train) > 1:
        train[-1].rename(root / "test" / classes[0] / f"s{seed}.png")
    return 1 if change == "add" else 0


def test_an_entry_of_some_draws_alone_never_grows(tmp_path: Path, tiny: Backbone) -> None:
    """Its rows are taken over where they are known, but it is not what its data set belongs to."""
    root = folder(tmp_path / "images")
    whole = encode(root, tiny, FeatureCache(tmp_path / "whole")).entry
    cache = FeatureCache(tmp_path / "some")
    some = reduce(whole, [1], [1], cache.root)
    before = some.manifest
    report = encode(root, tiny, cache)
    assert report.entry.key == whole.key
    assert report.taken > 0
    all_equal(report.entry, whole)
    assert reload(some).manifest == before
    assert some.problems() == []


def test_whoever_begins_meanwhile_waits(
    tmp_path: Path, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or two would set aside what no longer fits, on top of each other."""
    cache = FeatureCache(tmp_path / "cache")
    root = folder(tmp_path / "pictures")
    encode(root, tiny, cache)
    paint(root / "train" / "ant" / "00.png", 99)

    def settle(*given: Any) -> tuple[Entry, list[str]]:
        with pytest.raises(Timeout), FileLock(cache.root / ".lock", timeout=0):
            pass
        return done(*given)

    done = identity.settle
    monkeypatch.setattr(identity, "settle", settle)
    assert encode(root, tiny, cache).entry.manifest["generation"] == 1
    with FileLock(cache.root / ".lock", timeout=0):
        pass
