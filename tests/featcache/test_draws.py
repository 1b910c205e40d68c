"""CoOp's draw: the same rows as the original's, whatever the list looks like."""

from __future__ import annotations

import json
import random
import zipfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache import draws
from featcache.draws import SEEDS, SHOTS, draw_rows, drawable, pool_indices
from featcache.errors import ConfigError, EpisodeError

numbers = st.integers(0, draws.MOST)


@given(numbers)
def test_a_whole_number_is_itself(value: int) -> None:
    assert draws.whole("seed", value) == draws.whole("seed", np.int64(value)) == value


@pytest.mark.parametrize("value", [-1, draws.MOST + 1, 1.0, "1", True, None, np.float64(1)])
def test_other_seeds_are_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="seed must be whole numbers of at "):
        draws.whole("seed", value)


def test_shots_are_a_number_or_all() -> None:
    assert (draws.some(4), draws.some("all")) == (4, "all")
    for value in (0, "4", "every"):
        with pytest.raises(ConfigError, match="shots must be whole numbers of at least 1"):
            draws.some(value)


labels_of = st.lists(st.integers(0, 5), max_size=40)


def dassl(labels: Sequence[int], shots: int, seed: int) -> list[int]:
    """`generate_fewshot_dataset` and `split_dataset_by_label`, as Dassl has them."""
    rng = random.Random(seed)
    by_label = defaultdict(list)
    for row, label in enumerate(labels):
        by_label[label].append(row)
    drawn = []
    for rows in by_label.values():
        drawn.extend(rng.sample(rows, shots) if len(rows) >= shots else rows)
    return drawn


@given(labels_of, st.integers(1, 8), st.integers(0, 99))
def test_a_draw_is_dassls(labels: list[int], shots: int, seed: int) -> None:
    assert draw_rows(labels, shots, random.Random(seed)) == dassl(labels, shots, seed)


@given(labels_of, st.integers(1, 8), st.integers(0, 99))
def test_a_draw_has_so_many_rows_of_each_class(labels: list[int], shots: int, seed: int) -> None:
    drawn = draw_rows(labels, shots, random.Random(seed))
    assert len(set(drawn)) == len(drawn)
    kept = [labels[row] for row in drawn]
    assert list(dict.fromkeys(kept)) == list(dict.fromkeys(labels))  # order of first appearance
    for label in set(labels):
        assert kept.count(label) == min(shots, labels.count(label))


def test_a_draw_never_changes() -> None:
    """Caches and published numbers depend on these rows."""
    labels = [2, 0, 2, 0, 2, 0, 1, 2]
    assert draw_rows(labels, 2, random.Random(1)) == [2, 4, 1, 3, 6]
    assert draw_rows(labels, 1, random.Random(3)) == [2, 5, 6]


def test_a_class_that_just_suffices_is_shuffled_and_a_smaller_one_is_not() -> None:
    assert draw_rows([0] * 4, 4, random.Random(1)) == random.Random(1).sample(range(4), 4)
    assert draw_rows([0] * 4, 4, random.Random(1)) != [0, 1, 2, 3]
    assert draw_rows([0] * 4, 5, random.Random(1)) == [0, 1, 2, 3]


def test_a_natural_draw_is_a_sample_and_all_where_there_are_not_more() -> None:
    assert draws.natural_rows(9, 4, random.Random(3)) == random.Random(3).sample(range(9), 4)
    assert draws.natural_rows(4, 4, random.Random(3)) == [0, 1, 2, 3]
    assert draws.natural_rows(0, 4, random.Random(3)) == []


def test_one_generator_goes_through_all_lists() -> None:
    """The train list is drawn before the val list, from one stream of random numbers."""
    rng = random.Random(1)
    first, second = (draw_rows([0] * 9, 3, rng) for _ in range(2))
    assert first != second
    assert first == draw_rows([0] * 9, 3, random.Random(1))


def test_labels_of_any_whole_kind_are_one_class() -> None:
    labels = [np.int64(0), 0, np.int32(1), True]
    assert draw_rows(labels, 9, random.Random(1)) == [0, 1, 2, 3]


def test_the_protocol_is_coops() -> None:
    assert draws.SHOTS == (1, 2, 4, 8, 16)
    assert draws.SEEDS == (1, 2, 3)
    assert draws.VAL_SHOTS == 4


@given(labels_of)
def test_drawable_rows_are_those_of_all_draws(labels: list[int]) -> None:
    wanted = {row for k in (1, 2, 4, 8, 16) for s in (1, 2, 3) for row in dassl(labels, k, s)}
    assert drawable(labels) == sorted(wanted)
    some = {row for k in (1, 3) for s in (5, 6) for row in dassl(labels, k, s)}
    assert drawable(labels, iter((1, 3)), iter((5, 6))) == sorted(some)


@pytest.mark.parametrize("rows", [0, 1, 15, 16, 17])
def test_small_lists_are_drawable_whole(rows: int) -> None:
    found = drawable([0] * rows)
    assert found == sorted(found)
    assert found == list(range(rows)) or rows > 16


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
    train = draw_rows([label for _, label, _ in lists["train"]], shots, rng)
    val = draw_rows([label for _, label, _ in lists["val"]], min(shots, 4), rng)
    assert train == published["train"]["indices"]
    assert val == published["val"]["indices"]


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    shots=st.integers(1, 8),
    seed=st.integers(0, 99),
)
def test_a_draw_takes_k_of_each_class(labels: list[int], shots: int, seed: int) -> None:
    rows = draw_rows(labels, shots, random.Random(seed))
    assert len(set(rows)) == len(rows)
    drawn, sizes = Counter(labels[row] for row in rows), Counter(labels)
    assert drawn == {label: min(shots, size) for label, size in sizes.items()}
    if set(rows) and shots in SHOTS and seed in SEEDS:
        assert set(rows) <= set(drawable(labels))


@given(labels_of, st.none() | labels_of, st.integers(1, 8), st.integers(0, 99))
def test_what_validates_is_drawn_after_what_trains(
    train: list[int], val: list[int] | None, shots: int, seed: int
) -> None:
    rows, held = draws.few_shot(train, val, shots, seed)
    rng = random.Random(seed)
    assert rows == dassl(train, shots, seed) == draw_rows(train, shots, rng)
    if val is not None:
        assert held == draw_rows(val, min(shots, 4), rng)
    else:
        assert not set(held) & set(rows)
        counts = Counter(train[row] for row in held)
        left = Counter(train) - Counter(train[row] for row in rows)
        assert counts == {label: min(shots, 4, count) for label, count in left.items()}


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


@given(st.lists(st.integers(21, 30), min_size=1, max_size=4), st.integers(0, 99))
def test_a_pool_is_divided_class_by_class(counts: list[int], seed: int) -> None:
    """By the rule as it is written: 16 of a permutation train, the next 4 validate."""
    labels = np.repeat(np.arange(len(counts)), counts)
    random.Random(seed).shuffle(order := list(range(len(labels))))
    labels = labels[order]
    train, val, test = pool_indices(labels, seed)
    rng, rest = np.random.default_rng(seed), []
    for label in range(len(counts)):
        rows = rng.permutation(np.flatnonzero(labels == label)).tolist()
        assert train[label].tolist() == rows[:16]
        assert val[label].tolist() == rows[16:20]
        rest += rows[20:]
    assert test.tolist() == rest


def test_a_small_pool_is_refused() -> None:
    says = (
        "class 1 has 20 rows; a pool without splits needs more than 20 a class (16 to train, 4 to "
        "validate, the rest to test)."
    )
    with pytest.raises(EpisodeError) as refusal:
        pool_indices(np.repeat(np.arange(2), [21, 20]), seed=1)
    assert str(refusal.value) == says
