"""Draws: CoOp's to the bit, the pool's as its rule says, and the test split out of reach."""

from __future__ import annotations

import json
import random
import zipfile
from collections import Counter
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adapters.episode import Draw, Episode, Support, Text, base_to_new, draw, pool_indices
from adapters.evaluate import harmonic_mean
from adapters.experiment import Experiment, run_base_to_new
from featcache.store.entry import Entry
from featcache.draws import SEEDS, SHOTS, drawable
from featcache.draws import draw as coop_draw
from featcache.errors import EpisodeError, MethodError
from tests.adapters.entries import make_entry


@pytest.mark.parametrize("name", ["eurosat", "dtd"])
@pytest.mark.parametrize("shots", SHOTS)
@pytest.mark.parametrize("seed", SEEDS)
def test_draws_are_those_of_coop(shared_data: Path, name: str, shots: int, seed: int) -> None:
    if name == "eurosat":
        with zipfile.ZipFile(shared_data / "eurosat.zip") as archive:
            lists = json.loads(archive.read("eurosat/split_zhou_EuroSAT.json"))
    else:
        path = shared_data / "draws" / "dtd" / "split_zhou_DescribableTextures.json"
        lists = json.loads(path.read_text())
    published = json.loads(
        (shared_data / "draws" / name / f"shot_{shots}-seed_{seed}.json").read_text()
    )
    rng = random.Random(seed)
    train = coop_draw([label for _, label, _ in lists["train"]], shots, rng)
    val = coop_draw([label for _, label, _ in lists["val"]], min(shots, 4), rng)
    assert train == published["train"]["indices"]
    assert val == published["val"]["indices"]


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    shots=st.integers(1, 8),
    seed=st.integers(0, 99),
)
def test_a_draw_takes_k_of_each_class(labels: list[int], shots: int, seed: int) -> None:
    rows = coop_draw(labels, shots, random.Random(seed))
    assert len(set(rows)) == len(rows)
    drawn, sizes = Counter(labels[row] for row in rows), Counter(labels)
    assert drawn == {label: min(shots, size) for label, size in sizes.items()}
    if set(rows) and shots in SHOTS and seed in SEEDS:
        assert set(rows) <= set(drawable(labels))


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


def test_base_to_new_cuts_the_draw_of_all_classes(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    whole, halves = draw(entry, 4, seed=1), base_to_new(entry, 4, seed=1)
    base = halves.base.episode
    assert base.task == "base-to-new"
    assert base.text.classnames == ("cat", "dog")
    assert halves.text.classnames == ("emu",)
    of_base = whole.episode.support.labels < 2
    assert torch.equal(base.support.views, whole.episode.support.views[:, of_base])
    assert base.support.labels.bincount().tolist() == [4, 4]
    assert halves.test.labels.unique().tolist() == [0]
    assert sorted([*halves.base.test.ids, *halves.test.ids]) == sorted(whole.test.ids)
    assert halves.base.full_val is not None
    assert halves.base.full_val.labels.max() == 1


def test_base_to_new_rows_hold_both_halves(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    outcome = run_base_to_new(entry, Experiment("zero-shot", shots=2))
    row = outcome.row
    assert row["task"] == "base-to-new"
    assert row["new_accuracy"] == 100.0  # there is one new class only
    assert row["harmonic_mean"] == harmonic_mean(row["accuracy"], 100.0)
    assert outcome.adapter.classnames == ("cat", "dog")
    with pytest.raises(MethodError, match="new ones"):
        run_base_to_new(entry, Experiment("tip-adapter", shots=2))


def test_text_pooling_heeds_the_mask() -> None:
    prompts = torch.tensor([[[3.0, 0.0], [0.0, 4.0]], [[0.0, 2.0], [9.0, 9.0]]])
    text = Text(prompts, torch.tensor([[True, True], [True, False]]), ("a", "b"))
    torch.testing.assert_close(text.raw(), torch.tensor([[1.5, 2.0], [0.0, 2.0]]))
    half = 0.5**0.5
    torch.testing.assert_close(text.unit(), torch.tensor([[half, half], [0.0, 1.0]]))


def test_support_keys_are_the_normalised_mean_of_raw_views() -> None:
    views = torch.tensor([[[3.0, 0.0]], [[0.0, 1.0]]])  # [v, n, d]
    support = Support(views, torch.tensor([0]), ("a",))
    torch.testing.assert_close(support.keys(), torch.tensor([[3.0, 1.0]]) / 10**0.5)


def test_draw_and_entry_are_what_they_say() -> None:
    assert {field.name for field in fields(Draw)} == {
        "episode",
        "few_shot_val",
        "full_val",
        "test",
    }
    assert Entry.__dataclass_params__.frozen
