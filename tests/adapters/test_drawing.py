"""Draws: CoOp's to the bit, the pool's as its rule says, and the test split out of reach."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from adapters.drawing import draw, pool_indices
from adapters.episode import Episode
from featcache.errors import EpisodeError
from tests.entries import make_entry


def test_the_pool_split_is_the_published_one(shared_data: Path) -> None:
    labels = np.load(shared_data / "whurs19" / "CLIP_RN50.npz")["labels"]
    train, val, test = pool_indices(labels, seed=1)
    assert train[0][:5].tolist() == [505, 210, 557, 647, 343]
    assert val[0].tolist() == [261, 723, 577, 3]
    assert test[:5].tolist() == [431, 232, 899, 631, 391]
    assert len(test) == 625


def test_pool_parts_are_disjoint_and_cover() -> None:
    labels = np.repeat(np.arange(5), 30)
    np.random.default_rng(0).shuffle(labels)
    train, val, test = pool_indices(labels, seed=2)
    rows = np.concatenate([train.ravel(), val.ravel(), test])
    assert sorted(rows.tolist()) == list(range(150))
    assert (labels[train] == np.arange(5)[:, None]).all()


def test_a_small_pool_is_refused() -> None:
    with pytest.raises(EpisodeError, match="20"):
        pool_indices(np.repeat(np.arange(2), 20), seed=1)


def test_an_episode_holds_no_test_picture(tmp_path: Path) -> None:
    drawn = draw(make_entry(tmp_path), shots=4, seed=1)
    seen = {*drawn.episode.support.ids}
    assert drawn.few_shot_val is not None
    assert drawn.full_val is not None
    assert not seen & {*drawn.test.ids}
    assert not {*drawn.full_val.ids} & {*drawn.test.ids}
    assert "test" not in {field.name for field in fields(Episode)}
    assert len(drawn.few_shot_val.ids) == 3 * 4
    assert drawn.episode.support.views.shape == (1, 12, 8)


def test_a_draw_depends_on_the_seed_only(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    first, again, other = (draw(entry, 4, seed).episode.support.ids for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_pictures_that_could_not_be_read_are_never_drawn(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, bad={"train": [0, 7], "test": [2]})
    drawn = draw(entry, shots=8, seed=1)
    assert not {"train/000000", "train/000007"} & {*drawn.episode.support.ids}
    assert "test/000002" not in drawn.test.ids


@pytest.mark.parametrize(("shots", "words"), [(0, "at least 1"), (11, "10 training")])
def test_impossible_shots_are_refused(tmp_path: Path, shots: int, words: str) -> None:
    with pytest.raises(EpisodeError, match=words):
        draw(make_entry(tmp_path), shots=shots, seed=1)


def test_more_shots_than_a_pool_holds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EpisodeError, match="16"):
        draw(make_entry(tmp_path, splits={"pool": 90}), shots=17, seed=1)


def test_without_a_val_list_validation_is_held_out(tmp_path: Path) -> None:
    drawn = draw(make_entry(tmp_path, splits={"train": 30, "test": 9}), shots=4, seed=1)
    assert drawn.full_val is None
    assert drawn.few_shot_val is not None
    assert not {*drawn.few_shot_val.ids} & {*drawn.episode.support.ids}
    none_left = draw(make_entry(tmp_path / "b", splits={"train": 30, "test": 9}), shots=10, seed=1)
    assert none_left.few_shot_val is None
