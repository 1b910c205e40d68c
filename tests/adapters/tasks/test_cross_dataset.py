"""Cross-dataset: the source's classifier is given the names of other sets' classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adapters import registry
from adapters.experiment import Experiment
from adapters.fitting import fit, run
from adapters.targets import find
from adapters.tasks.cross_dataset import task
from featcache.errors import MethodError, UnknownNameError
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry, reload
from featcache.store.writing import put_text
from featcache.targets import targets_of
from tests.adapters.meadows import BIRDS, FISH, TEST, meadow

TEN = targets_of("imagenet", "transfers")


def counted(entry: Entry, bank: str | None = None) -> float:
    """Zero-shot by the entry's own prompts, by hand."""
    images, text = entry.images("test"), entry.text(bank)
    unit = text.embedding / np.linalg.norm(text.embedding, axis=-1, keepdims=True)
    classes = (unit * text.mask[..., None]).sum(1)
    classes /= np.linalg.norm(classes, axis=-1, keepdims=True)
    hits = 0
    for x, label in zip(images.embedding, images.label, strict=True):
        hits += int((classes @ x).argmax()) == label
    return 100 * hits / len(images.label)


def test_the_ten_others_are_scored_among_their_own_classes(tmp_path: Path) -> None:
    source = meadow(tmp_path, "imagenet", noise=0.9)
    for i, name in enumerate(TEN):
        meadow(tmp_path, name, [f"{name} {c}" for c in range(3 + i % 3)], TEST, noise=0.9)
    cache = FeatureCache(tmp_path / "cache")
    on = find(cache, source, "cross-dataset")
    rows = run(source, Experiment("zero-shot", 2, 1, task="cross-dataset", on=on)).rows
    assert [row["target"] for row in rows] == ["imagenet", *TEN]
    expected = [counted(entry) for entry in (source, *on)]
    assert [row["accuracy"] for row in rows] == pytest.approx(expected)
    assert len({*expected}) > 3
    mean = sum(expected[1:]) / 10
    assert [row["target_mean"] for row in rows] == pytest.approx([mean] * 11)
    assert {row["strict_accuracy"] for row in rows} == {None}
    assert [row["target_entry"] for row in rows] == [entry.key for entry in (source, *on)]


def test_what_was_fitted_goes_over_to_the_other_names(tmp_path: Path) -> None:
    source, fish = meadow(tmp_path), meadow(tmp_path, "fish", FISH, TEST)
    outcome = fit(
        source, "fma", shots=2, policy="none", task="cross-dataset", on=[fish], width=8, steps=3
    )
    assert outcome.adapter.classnames == BIRDS
    assert [row["n_test"] for row in outcome.rows] == [30, 18]


def test_prompts_are_the_targets_newest_or_those_asked_for(tmp_path: Path) -> None:
    source, fish = meadow(tmp_path), meadow(tmp_path, "fish", FISH, TEST)
    words = Experiment("zero-shot", 1, 1, task="cross-dataset", on=(fish,))
    before = run(source, words)
    rng = np.random.default_rng(0)
    for entry, classes in ((source, BIRDS), (fish, FISH)):
        put_text(entry, "other", rng.normal(size=(len(classes), 16)), [[c] for c in classes])
    source, fish = reload(source), reload(fish)
    words = replace(words, on=(fish,))
    newest = run(source, words)
    assert newest.rows[1]["accuracy"] == pytest.approx(counted(fish, "other"))
    assert newest.run != before.run
    asked = run(
        source, Experiment("zero-shot", 1, 1, bank="imported", task="cross-dataset", on=(fish,))
    )
    assert asked.rows[1]["accuracy"] == pytest.approx(counted(fish, "imported"))
    third = meadow(tmp_path, "bugs", ("ant", "bee", "fly"), TEST)
    with pytest.raises(UnknownNameError, match="prompt bank 'other'"):
        run(source, replace(words, bank="other", on=(third,)))


def test_a_method_with_parameters_of_classes_is_refused_before_it_is_fitted(
    tmp_path: Path,
) -> None:
    on = (meadow(tmp_path, "fish", FISH, TEST),)
    with pytest.raises(MethodError, match="none for new ones"):
        run(meadow(tmp_path), Experiment("gda", 2, task="cross-dataset", on=on))


def test_the_contract() -> None:
    assert registry.task("cross-dataset") is task
    assert task.new_classes
    assert task.summary({"a": 10.0, "b": 40.0}) == {"target_mean": 25.0}
