"""Support sets of others: every number as it was imported, and no draw that they are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from adapters.drawing import draw
from adapters.experiment import Experiment
from adapters.reading import supports
from adapters.run_identity import run_id, told
from featcache import Entry, FeatureCache, import_features
from featcache.drawn import Drawn
from featcache.draws import ALL, NATURAL
from featcache.errors import CacheError, EpisodeError
from tests.entries import NARROW, make_entry
from tests.featcache.interchange import layouts


def imported(folder: Path, make: layouts.Made, text: Path | None = None) -> Entry:
    held = make(folder / "theirs")
    names, cache = layouts.classes(folder), FeatureCache(folder / "cache")
    seed = layouts.ALL.get(make.__name__.replace("_", "-"), (make, None))[1]
    files = [held.folder]
    return import_features(files, "pets", NARROW, cache, classes=names, seed=seed, text=text)


def test_a_draw_is_the_set_with_all_its_views(tmp_path: Path) -> None:
    entry = imported(tmp_path, layouts.transclip)
    held = entry.support(2, 1)
    assert held is not None
    found = draw(entry, 2, 1)
    support = found.episode.support
    assert torch.equal(support.views, torch.from_numpy(held.embedding))
    assert len(support.views) == 3
    assert support.labels.tolist() == held.label.tolist()
    assert support.ids == held.id
    assert found.test.ids == entry.images("test").id
    for views in (0, 1, 9):
        fewer = draw(entry, 2, 1, views=views).episode.support
        assert torch.equal(fewer.views, support.views[: 1 + views])


def test_what_validates_is_drawn_from_the_val_split(tmp_path: Path) -> None:
    entry = imported(tmp_path, layouts.transclip)
    found = draw(entry, 2, 1)
    assert found.few_shot_val is not None
    assert found.full_val is not None
    assert found.few_shot_val.labels.bincount().tolist() == [2] * layouts.CLASSES
    assert {*found.few_shot_val.ids} < {*found.full_val.ids} == {*entry.images("val").id}
    again = draw(entry, 2, 1).few_shot_val
    assert again is not None
    assert again.ids == found.few_shot_val.ids


def test_or_is_what_was_drawn_to_validate_with_the_set(tmp_path: Path) -> None:
    entry = imported(tmp_path, layouts.cross_modal)
    held = entry.support(2, 2, "val")
    found = draw(entry, 2, 2)
    assert held is not None
    assert found.few_shot_val is not None
    assert found.few_shot_val.x.tolist() == held.embedding[0].tolist()
    assert found.few_shot_val.ids == held.id
    assert found.full_val is None


def test_without_either_there_is_none(tmp_path: Path) -> None:
    found = draw(imported(tmp_path, layouts.proker), 2, 4)
    assert found.few_shot_val is None
    assert found.full_val is None


def test_other_draws_are_refused_by_what_there_is(tmp_path: Path) -> None:
    entry = imported(tmp_path, layouts.cross_modal)
    for shots, seed in ((1, 1), (2, 3)):
        with pytest.raises(CacheError, match="it holds 2 shots with seed 1, 2 shots with seed 2"):
            draw(entry, shots, seed)
    listed = Drawn("mine.json", "0" * 8, ("a",))
    for shots, kind in ((ALL, "balanced"), (2, NATURAL), (2, listed)):
        with pytest.raises(EpisodeError, match="take --shots 2 --seed 1, --shots 2 --seed 2"):
            draw(entry, shots, 1, kind=kind)  # type: ignore[arg-type]


def test_a_training_split_goes_before_them(tmp_path: Path) -> None:
    entry = imported(tmp_path, layouts.cross_modal)
    assert supports.alone(entry)
    assert not supports.alone(make_entry(tmp_path / "other"))
    dataset = entry.manifest["dataset"]
    for split in ("train", "pool"):
        more = {**dataset, "splits": {**dataset["splits"], split: 3}}
        assert not supports.alone(Entry(entry.folder, {**entry.manifest, "dataset": more}))


def test_no_test_pictures_are_no_target(tmp_path: Path) -> None:
    entry = imported(tmp_path, layouts.cross_modal)
    dataset = {**entry.manifest["dataset"], "splits": {}}
    found = draw(Entry(entry.folder, {**entry.manifest, "dataset": dataset}), 2, 1)
    assert found.targets == ()
    assert found.few_shot_val is not None


def test_the_sets_are_part_of_what_a_run_reads(tmp_path: Path) -> None:
    entry = imported(tmp_path, layouts.cross_modal)
    words = Experiment("ncm", shots=2, seed=1)
    for name, record in entry.manifest["shards"].items():
        if record["kind"] != "support":
            continue
        changed = {**entry.manifest["shards"], name: {**record, "sha256": "other"}}
        other = Entry(entry.folder, {**entry.manifest, "shards": changed})
        assert run_id(other, words) != run_id(entry, words)
        assert told(other, words)["images"] != told(entry, words)["images"]
        assert told(other, words)["data"] == told(entry, words)["data"]
    assert run_id(entry, replace(words, views=0)) != run_id(entry, words)
