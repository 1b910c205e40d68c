"""Support sets of others: every number as it was imported, and no draw that they are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapters.drawing import draw
from adapters.experiment import Experiment
from adapters.fitting import fit
from adapters.reading import supports
from adapters.run_identity import run_id, told
from featcache import Entry, FeatureCache, import_features, load_backbone
from featcache.backbones.image_tower import projection
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


def test_what_stood_before_the_projection_comes_along_for_who_reads_it(tmp_path: Path) -> None:
    """ProLIP's own files: views without any split, so that there is an adapter and no row."""
    kept = projection(load_backbone("demo").model)[0]
    held, names = layouts.prolip(tmp_path / "theirs", len(kept)), layouts.classes(tmp_path)
    layouts.save(tmp_path / "text.pt", np.eye(layouts.CLASSES, kept.shape[1]))
    cache = FeatureCache(tmp_path / "cache")
    words: dict[str, Any] = {"classes": names, "text": tmp_path / "text.pt"}
    entry = import_features([held.folder], "pets", "demo", cache, **words)
    assert draw(entry, 4, 1).episode.holds == {"views"}
    found = draw(entry, 4, 1, views=1, extras=["pre-projection", "patches"]).episode
    assert found.holds == {"views", "pre-projection"}
    assert found.support.pre is not None
    raw = held.supports[4, 1][0][:2].astype(np.float16).astype(np.float32)
    assert np.array_equal(found.support.pre.numpy(), raw)
    assert found.projection is not None
    near = found.projection(found.support.pre)
    torch.testing.assert_close(near, found.support.views, rtol=2e-3, atol=2e-2)
    outcome = fit(entry, "prolip", shots=4, seed=1, policy="none", steps=2)
    assert outcome.rows == ()
    with pytest.raises(EpisodeError, match="pets has no test split"):
        _ = outcome.row


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


def _cosines(keys: np.ndarray, labels: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Of pictures and class means, in NumPy alone; keys `[v, n, d]` as they lie in the files."""
    one = layouts.unit(keys.astype(np.float64).mean(0))  # [n, d]
    means = np.stack([one[labels == c].mean(0) for c in range(layouts.CLASSES)])
    cosines: np.ndarray = layouts.unit(x.astype(np.float64)) @ layouts.unit(means).T
    return cosines


def _rows(
    entry: Entry, split: str, ids: Sequence[str], held: layouts.Held
) -> tuple[np.ndarray, np.ndarray]:
    places = {name: row for row, name in enumerate(entry.images(split).id)}
    x, labels = (each[[places[name] for name in ids]] for each in held.splits[split])
    return x, labels


@pytest.mark.parametrize("project", layouts.ALL)
def test_class_means_of_every_layout_are_those_of_a_count_by_hand(
    project: str, tmp_path: Path
) -> None:
    make, seed = layouts.ALL[project]
    held, entry = make(tmp_path / "again"), imported(tmp_path, make)
    if held.supports:
        (shots, of), (keys, labels) = max(held.supports.items(), key=lambda each: each[0][0])
        of, (x, y) = of or seed or 0, held.splits["test"]
    else:  # which rows are drawn is the draw's business, what lies in them is not
        shots, of = 2, 0
        found = draw(entry, shots, of)
        train, test = ("pool", "pool") if "pool" in held.splits else ("train", "test")
        keys, labels = _rows(entry, train, found.episode.support.ids, held)
        x, y = _rows(entry, test, found.test.ids, held)
        keys = keys[None]
    expected = _cosines(keys, labels, x)
    fitted = fit(entry, "ncm", shots=shots, seed=of, policy="none")
    scores = fitted.adapter.logits(torch.from_numpy(x.astype(np.float32))).numpy()
    np.testing.assert_allclose(scores / entry.logit_scale, expected, atol=1e-3)
    right = (expected.argmax(-1) == y).mean()
    assert fitted.rows[0]["accuracy"] == pytest.approx(100 * right, abs=1e-3)
