"""Which features make two runs the same run, and what a row says of them."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters import run_identity
from adapters.experiment import Experiment
from adapters.run_identity import (
    beside,
    features,
    run_id,
    target_features,
    told,
)
from featcache.store import manifest
from featcache.store.entry import Entry, reload
from featcache.store.sameness import data_id
from featcache.store.writing import put_text
from tests.enriched import enriched
from tests.entries import CLASSES, WIDTH, make_entry

BASE = Experiment("tip-adapter", shots=2, seed=1)
Keys = set[tuple[str, str | None, str | None]]  # kind, split and view set of shards


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    return make_entry(tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    """`entry` with three views a training picture, extras and negative prompts."""
    return enriched(make_entry(tmp_path_factory.mktemp("rich")))


def test_what_the_features_of_a_run_are(entry: Entry, rich: Entry) -> None:
    """Of every shard that it reads, and of no other, what would be other numbers is another run."""
    common: Keys = {("images", each, None) for each in entry.splits} | {("text", None, None)}
    plain: Keys = {("views", "train", "made")}
    pre: Keys = {("pre-projection", each, None) for each in rich.splits}
    pre |= {("pre-projection", "train", "made"), ("projection", None, None)}
    patches: Keys = {("patches", each, None) for each in rich.splits}
    reads = {
        "gda": plain,
        "prolip": plain | pre,
        "attn-adapter": plain | patches,
        "hegraph-adapter": plain | {("negative", None, None)},
        "sum:prolip+attn-adapter": plain | pre | patches,
    }
    for method, own in reads.items():
        words = replace(BASE, method=method)
        assert _matters(rich, words) == common | own
        assert _matters(entry, words) == common
    centre = replace(BASE, method="prolip", views=0)
    assert _matters(rich, centre) == common | {key for key in pre if key[2] is None}
    assert _matters(rich, replace(BASE, bank="negative")) == common - {("text", None, None)} | {
        *plain, ("negative", None, None),
    }  # fmt: skip


def _matters(entry: Entry, experiment: Experiment) -> Keys:
    """Kind, split and view set of the shards whose bytes make another run."""
    found: Keys = set()
    listed = entry.manifest["shards"]
    for name, record in listed.items():
        touched = _with(entry, shards={**listed, name: {**record, "sha256": "other"}})
        kind = "negative" if record.get("bank") == "negative" else record["kind"]
        if features(touched, experiment) != features(entry, experiment):
            assert run_id(touched, experiment) != run_id(entry, experiment)
            found.add((kind, record.get("split"), record.get("set")))
    return found


def _with(entry: Entry, **changes: Any) -> Entry:
    return Entry(entry.folder, {**entry.manifest, **changes})


def _listing(entry: Entry, **shards: dict[str, Any]) -> dict[str, Any]:
    """The entry's records and more of them."""
    more = {f"{name}.h5": {"bytes": 1, "sha256": name, **each} for name, each in shards.items()}
    return {**entry.manifest["shards"], **more}


def test_where_an_entry_lies_and_what_else_it_says_is_no_matter(
    tmp_path: Path, rich: Entry
) -> None:
    moved = tmp_path / "elsewhere" / "animals" / "made" / "fedc"
    shutil.copytree(rich.folder, moved)
    there = Entry(moved, manifest.load(moved))
    pictures = {"kind": "pictures", "split": "train", "start": 0, "stop": 30}
    more = _with(
        rich,
        shards=_listing(rich, **{"pictures-train-00000": pictures}),
        dataset={**rich.manifest["dataset"], "contents": {"train": "aa"}, "fingerprint": "f"},
        versions={},
    )
    for method in ("gda", "sum:prolip+attn-adapter", "hegraph-adapter"):
        words = replace(BASE, method=method)
        assert run_id(there, words) == run_id(more, words) == run_id(rich, words)


def test_scale_and_classes_are_features(entry: Entry) -> None:
    found = [
        features(_with(entry, **{part: {**entry.manifest[part], **change}}), BASE)
        for part, change in (
            ("backbone", {}),
            ("backbone", {"logit_scale": 7.0}),
            ("dataset", {"classnames": ["dog", "cat", "emu"]}),
        )
    ]
    assert found[0] == features(entry, BASE)
    assert found[1] != found[0] != found[2]


def test_what_is_named_in_a_row_is_another_run(entry: Entry) -> None:
    """The same features under another name: whoever asks for that name finds its rows."""
    named = _with(entry, dataset={**entry.manifest["dataset"], "name": "other"})
    assert features(named, BASE) == features(entry, BASE)
    assert run_id(named, BASE) != run_id(entry, BASE)


def test_shards_count_in_their_order_and_only_those_that_are_there(entry: Entry) -> None:
    name = "images-train-00000.h5"
    second = {"kind": "images", "split": "train", "start": 30, "stop": 60}
    grown = _with(entry, shards=_listing(entry, **{"images-train-00001": second}))
    lost = _with(entry, shards={n: r for n, r in entry.manifest["shards"].items() if n != name})
    found = [features(each, BASE) for each in (entry, grown, lost)]
    assert len({*map(str, found)}) == 3
    turned = dict(reversed([*grown.manifest["shards"].items()]))
    assert features(_with(entry, shards=turned), BASE) == found[1]


def _with_texts(entry: Entry, texts: dict[str, str]) -> Entry:
    """The entry with other banks, whose shards are listed too."""
    shards = {name: {"kind": "text", "bytes": 1, "sha256": name} for name in texts.values()}
    return _with(entry, texts=texts, shards={**entry.manifest["shards"], **shards})


def test_the_newest_prompts_count(entry: Entry) -> None:
    two = _with_texts(entry, {"old": "old.h5", "new": "new.h5", "negative": "no.h5"})
    one = _with_texts(entry, {"new": "new.h5"})
    assert features(two, BASE) == features(one, BASE)
    assert features(two, replace(BASE, bank="old")) != features(one, BASE)
    assert "new.h5" in features(two, BASE)
    assert "old.h5" in features(two, replace(BASE, bank="old"))


def test_an_entry_without_prompts_still_has_features(entry: Entry) -> None:
    bare = _with(entry, texts={})
    assert features(bare, BASE) == features(bare, replace(BASE, bank="nowhere"))
    assert features(bare, BASE) != features(entry, BASE)


def test_views_that_are_not_used_are_no_matter(rich: Entry) -> None:
    """As many views as there are is all of them."""
    found = [run_id(rich, replace(BASE, views=views)) for views in (None, 3, 9, 0, 1, 2)]
    assert found[0] == found[1] == found[2]
    assert len({*found}) == 4
    bare = _with(rich, view_sets={})
    assert features(rich, replace(BASE, views=0)) == features(bare, replace(BASE, views=None))


def test_views_that_are_announced_alone_are_none(entry: Entry) -> None:
    begun = _with(entry, view_sets={"train": {"made": {"count": 3}}})
    for views in (None, 0, 2):
        assert features(begun, replace(BASE, views=views)) == features(entry, BASE)


def test_every_view_set_that_a_draw_may_fall_back_on_counts(rich: Entry) -> None:
    more = {"kind": "views", "split": "train", "set": "more", "start": 0, "stop": 30}
    sets = {"made": {"count": 5}, "more": {"count": 3}}
    two = _with(rich, view_sets={"train": sets}, shards=_listing(rich, more=more))
    made = ("views", "train", "made")
    assert _matters(two, replace(BASE, views=4)) >= {made, ("views", "train", "more")}
    # Rows that the newest lacks come from the older, which has five.
    four, five = (features(two, replace(BASE, views=views)) for views in (4, 5))
    assert four != five == features(two, BASE)
    turned = _with(two, view_sets={"train": dict(reversed([*sets.items()]))})
    assert features(turned, BASE) != features(two, BASE)


def test_the_newest_negative_prompts_count(rich: Entry) -> None:
    entry = _with_texts(rich, {**rich.manifest["texts"], "negative-mine": "mine.h5"})
    assert "mine.h5" in features(entry, replace(BASE, method="hegraph-adapter"))
    assert "mine.h5" not in features(entry, BASE)


def test_a_pool_has_no_views(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, splits={"pool": 90})
    record = {"kind": "views", "split": "train", "set": "made", "start": 0, "stop": 90}
    sets = {"train": {"made": {"count": 3}}}
    viewed = _with(entry, view_sets=sets, shards=_listing(entry, made=record))
    assert features(viewed, BASE) == features(entry, BASE)


def test_a_sweep_looks_through_the_shards_of_an_entry_once(
    entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = _with(entry)
    before = run_identity._digests.cache_info().misses
    for seed in range(5):
        run_id(fresh, replace(BASE, seed=seed))
    assert run_identity._digests.cache_info().misses == before + 1
    assert features(_with(entry, shards={}), BASE) != features(fresh, BASE)


def test_what_a_row_says_of_its_features(entry: Entry, rich: Entry) -> None:
    row = told(rich, BASE)
    assert {*row} == {"data", "images", "features"}
    assert all(re.fullmatch("[0-9a-f]{6}", each) for each in row.values())
    assert row["data"] == data_id(rich) == told(entry, BASE)["data"]
    reads = told(rich, replace(BASE, method="prolip"))
    assert reads["images"] == row["images"] == told(entry, BASE)["images"]
    assert reads["features"] != row["features"]
    moved = replace(BASE, policy="transfer", transfer=entry)
    assert told(rich, moved)["features"] != row["features"]
    other = _with(entry, shards={**entry.manifest["shards"], "images-val-00000.h5": {
        **entry.manifest["shards"]["images-val-00000.h5"], "sha256": "x"}})  # fmt: skip
    assert told(other, BASE)["images"] != row["images"]
    assert told(other, BASE)["data"] == row["data"]


def test_other_sets_are_part_of_a_run_in_any_order(tmp_path: Path) -> None:
    source, a, b = (make_entry(tmp_path / n, name=n) for n in ("animals", "beasts", "pests"))
    words = replace(BASE, task="domain-generalization")
    found = [run_id(source, replace(words, on=on)) for on in ((a,), (b,), (a, b), (b, a), ())]
    assert len({*found}) == 4
    assert found[2] == found[3]


def test_prompts_of_other_sets_count_where_their_classes_are_known_by_name(tmp_path: Path) -> None:
    source, other = (make_entry(tmp_path / n, name=n) for n in ("animals", "beasts"))
    by_name = Experiment("zero-shot", 2, 1, task="cross-dataset")
    by_column = replace(by_name, task="domain-generalization")
    before = [run_id(source, replace(words, on=(other,))) for words in (by_name, by_column)]
    put_text(other, "more", np.eye(CLASSES, WIDTH), [[f"prompt {c}"] for c in range(CLASSES)])
    other = reload(other)
    after = [run_id(source, replace(words, on=(other,))) for words in (by_name, by_column)]
    assert after[0] != before[0]
    assert after[1] == before[1]
    imported = target_features(other, [], True, "imported")
    assert imported != target_features(other, [], True, None)


def test_other_sets_count_by_their_name_and_test_pictures_wherever_they_lie(tmp_path: Path) -> None:
    source, other, copy, renamed = (
        make_entry(tmp_path / n, name=name)
        for n, name in zip("abcd", ("animals", "beasts", "beasts", "pests"), strict=True)
    )
    words = Experiment("gda", 2, 1, task="domain-generalization", on=(other,))
    run = run_id(source, words)
    assert run_id(source, replace(words, on=(copy,))) == run
    assert run_id(source, replace(words, on=(renamed,))) != run
    for split, same in (("train", True), ("test", False)):
        with manifest.amend(copy.folder, copy.manifest) as changed:
            for record in changed["shards"].values():
                if record["kind"] == "images" and record["split"] == split:
                    record["sha256"] = "0" * 64
        assert (run_id(source, replace(words, on=(reload(copy),))) == run) == same
    read = [target_features(other, [], False, None, split) for split in ("test", "val")]
    assert read[0] != read[1]


def test_extras_of_other_sets_count_where_the_method_reads_them(tmp_path: Path) -> None:
    source, other = (enriched(make_entry(tmp_path / n, name=n)) for n in ("animals", "beasts"))
    plain, rich = (target_features(other, read, False, None) for read in ([], {"patches"}))
    assert rich[:-1] == plain
    assert rich[-1].startswith("patches ")
    words = Experiment("gda", 2, 1, task="domain-generalization", on=(other,))
    assert beside(words) == [["beasts", *plain]]
    lacking = make_entry(tmp_path / "plain", name="beasts")
    assert target_features(lacking, {"patches"}, False, None) == plain
    assert run_id(source, words) == run_id(source, replace(words, on=(lacking,)))
