"""Base to new: halves of the classes, each by itself, and what they add up to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from adapters.drawing import draw
from adapters.evaluate import harmonic_mean
from adapters.experiment import Experiment
from adapters.fitting import run
from adapters.tasks.base_to_new import halves, summary, task
from featcache import FeatureCache, import_features
from featcache.errors import EpisodeError, MethodError
from featcache.store.entry import Entry
from tests.entries import NARROW, make_entry


def entry_of(classes: int, folder: Path) -> Entry:
    """A pool of 24 pictures a class around axes of their own."""
    rng = np.random.default_rng(0)
    labels = np.arange(24 * classes) % classes
    centre = np.eye(classes, 8)
    arrays: Mapping[str, np.ndarray] = {
        "classnames": np.array([f"class {c}" for c in range(classes)]),
        "image_features": (centre[labels] + 0.2 * rng.normal(size=(len(labels), 8))).astype("f4"),
        "labels": labels,
        "text_features": centre[:, None].astype("f4"),
        "prompts": np.array(["a photo of a {}."]),
    }
    np.savez(folder / "pool.npz", **arrays)
    return import_features([folder / "pool.npz"], "pool", NARROW, FeatureCache(folder / "cache"))


@pytest.mark.parametrize(("classes", "base"), [(2, 1), (3, 2), (4, 2), (5, 3), (6, 3)])
def test_the_first_half_is_rounded_up(tmp_path: Path, classes: int, base: int) -> None:
    drawn = halves(entry_of(classes, tmp_path), 2, seed=1)
    names = tuple(f"class {c}" for c in range(classes))
    assert drawn.episode.text.classnames == names[:base]
    assert drawn.targets[1].text is not None
    assert drawn.targets[1].text.classnames == names[base:]
    assert drawn.targets[0].pictures.labels.unique().tolist() == list(range(base))
    assert drawn.targets[1].pictures.labels.unique().tolist() == list(range(classes - base))


@pytest.mark.parametrize(("half", "there"), [("1 new", (0, 1)), ("2 base", (2,))])
def test_a_half_without_test_pictures_is_refused(
    tmp_path: Path, half: str, there: tuple[int, ...]
) -> None:
    """Its accuracy would be no number, and so the harmonic mean."""
    unread = [row for row in range(21) if row % 3 not in there]
    with pytest.raises(EpisodeError, match=f"has no test picture of its {half} classes"):
        halves(make_entry(tmp_path, bad={"test": unread}), 2, seed=1)


def test_the_draw_of_all_classes_is_cut(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    whole, drawn = draw(entry, 4, seed=1), halves(entry, 4, seed=1)
    episode, (base, new) = drawn.episode, drawn.targets
    assert episode.task == "base-to-new"
    assert episode.text.classnames == ("cat", "dog")
    assert torch.equal(episode.text.prompts, whole.episode.text.prompts[:2])
    of_base = whole.episode.support.labels < 2
    assert torch.equal(episode.support.views, whole.episode.support.views[:, of_base])
    assert torch.equal(episode.support.labels, whole.episode.support.labels[of_base])
    assert [(base.name, base.text), new.name] == [("base", None), "new"]
    assert new.text is not None
    assert torch.equal(new.text.prompts, whole.episode.text.prompts[2:])
    assert new.pictures.labels.unique().tolist() == [0]
    assert sorted([*base.pictures.ids, *new.pictures.ids]) == sorted(whole.test.ids)
    assert all(name in whole.test.ids for name in new.pictures.ids)
    for held, of in ((drawn.full_val, whole.full_val), (drawn.few_shot_val, whole.few_shot_val)):
        assert held is not None
        assert of is not None
        assert torch.equal(held.x, of.x[of.labels < 2])
        assert torch.equal(held.labels, of.labels[of.labels < 2])


def test_without_validation_there_is_none_of_a_half(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, splits={"train": 6, "test": 9})
    drawn = halves(entry, 2, seed=1)
    assert (drawn.few_shot_val, drawn.full_val) == (None, None)


def test_a_row_for_each_half_with_their_harmonic_mean(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    outcome = run(entry, Experiment("zero-shot", shots=2, task="base-to-new"))
    base, new = outcome.rows
    assert outcome.row is base
    assert [row["target"] for row in outcome.rows] == ["base", "new"]
    assert {row["task"] for row in outcome.rows} == {"base-to-new"}
    assert new["accuracy"] == 100.0  # there is one new class only
    assert [base["n_test"], new["n_test"]] == [14, 7]
    expected = harmonic_mean(base["accuracy"], 100.0)
    assert [row["harmonic_mean"] for row in outcome.rows] == [expected, expected]
    assert outcome.adapter.classnames == ("cat", "dog")


def test_the_accuracy_of_the_new_half_is_a_count_by_hand(tmp_path: Path) -> None:
    entry = entry_of(6, tmp_path)
    new = run(entry, Experiment("zero-shot", shots=2, task="base-to-new")).rows[1]
    drawn = draw(entry, 2, 1)
    mine = drawn.test.labels >= 3
    scores = drawn.test.x[mine] @ drawn.episode.text.unit()[3:].T
    right = (scores.argmax(1) + 3 == drawn.test.labels[mine]).sum()
    assert new["accuracy"] == pytest.approx(100 * int(right) / int(mine.sum()))


def test_a_method_with_parameters_of_classes_is_refused_before_it_is_fitted(
    tmp_path: Path,
) -> None:
    with pytest.raises(MethodError, match="new ones"):
        run(make_entry(tmp_path), Experiment("tip-adapter", shots=2, task="base-to-new"))


def test_the_contract() -> None:
    assert task.new_classes
    assert summary({"base": 80.0, "new": 60.0}) == {"harmonic_mean": harmonic_mean(80.0, 60.0)}
