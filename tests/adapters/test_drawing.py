"""Draws: an episode with validation and test beside it, the test split out of reach."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from adapters.drawing import (
    classes_of,
    draw,
    of_task,
    pictures_of,
    text_of,
)
from adapters.episode import Episode
from featcache.errors import ConfigError, EpisodeError, UnknownNameError
from featcache.store.entry import Entry, reload
from featcache.store.writing import put_text
from tests.enriched import VIEWS, enriched
from tests.entries import make_entry

BOTH = ("pre-projection", "patches")


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


def test_impossible_shots_and_seeds_are_refused(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    short = "the largest class of animals has 10 training pictures, fewer than the 11 shots"
    with pytest.raises(EpisodeError, match=short):
        draw(entry, shots=11, seed=1)
    for shots, seed, word in ((0, 1, "shots"), (4, -1, "seed")):
        with pytest.raises(ConfigError, match=f"{word} must be whole numbers of at least"):
            draw(entry, shots, seed)


def test_a_draw_says_what_it_is_of(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    drawn = draw(entry, 3, 5)
    e = drawn.episode
    assert (e.shots, e.seed, e.dataset, e.task) == (3, 5, "animals", "few-shot")
    assert (e.backbone, e.logit_scale) == (entry.backbone, entry.logit_scale)
    assert [target.name for target in drawn.targets] == ["animals"]
    assert drawn.targets[0].text is None
    assert e.text.classnames == ("cat", "dog", "emu")
    assert (e.projection, e.negative) == (None, None)
    with pytest.raises(UnknownNameError, match="cupl"):
        draw(entry, 3, 5, bank="cupl")


def row_of(name: str) -> int:
    return int(name.rpartition("/")[2])


@pytest.mark.parametrize("views", [None, 0, 1, 2, VIEWS, 9])
def test_a_draw_brings_as_many_views_as_asked_for(rich: Entry, views: int | None) -> None:
    support = draw(rich, 2, 1, views=views).episode.support
    asked = VIEWS if views is None else min(views, VIEWS)
    assert len(support.views) == 1 + asked
    images = rich.images("train").embedding[[row_of(name) for name in support.ids]]
    for number, view in enumerate(support.views):
        expected = torch.from_numpy((images + number).astype(np.float16)).float()
        torch.testing.assert_close(view, expected)
    assert (support.pre, support.patches) == (None, None)


@pytest.mark.parametrize("views", [None, 0, 2])
def test_extras_are_of_the_pictures_drawn(rich: Entry, views: int | None) -> None:
    drawn = draw(rich, 2, 1, views=views, extras=BOTH)
    support, projection = drawn.episode.support, drawn.episode.projection
    assert projection is not None
    assert support.pre is not None
    assert support.pre.shape[:2] == support.views.shape[:2]
    torch.testing.assert_close(projection(support.pre), support.views, rtol=0, atol=0.01)
    assert drawn.few_shot_val is not None
    assert drawn.full_val is not None
    for part in (support, drawn.few_shot_val, drawn.full_val, drawn.test):
        rows = torch.tensor([row_of(name) for name in part.ids]).float()
        assert part.pre is not None
        assert part.patches is not None
        assert torch.equal(part.pre[..., -1], rows.expand(part.pre.shape[:-1]))
        assert torch.equal(part.patches[:, 0, 0].float(), rows)
        assert part.patches.dtype == torch.float16
    negative = drawn.episode.negative
    assert negative is not None
    assert torch.equal(negative.prompts[:, 0], torch.eye(3, 8))


def test_the_newest_negative_prompts_count(tmp_path: Path) -> None:
    entry = enriched(make_entry(tmp_path))
    put_text(entry, "negative-mine", -np.eye(3, 8), [["a"], ["b"], ["c"]])
    e = draw(reload(entry), 2, 1).episode
    assert e.negative is not None
    assert torch.equal(e.negative.prompts[:, 0], -torch.eye(3, 8))
    assert torch.equal(e.text.prompts, torch.from_numpy(entry.text().embedding))


@pytest.mark.parametrize("name", BOTH)
def test_one_extra_comes_without_the_other(rich: Entry, name: str) -> None:
    drawn = draw(rich, 2, 1, views=0, extras=[name])
    assert drawn.episode.holds == {name, "negative prompts"}
    for part in (drawn.few_shot_val, drawn.full_val, drawn.test):
        assert part is not None
        assert (part.pre is not None, part.patches is not None) == (
            name == "pre-projection", name == "patches",
        )  # fmt: skip
    assert (drawn.episode.projection is not None) == (name == "pre-projection")


def test_what_is_not_of_every_split_or_view_is_left(tmp_path: Path) -> None:
    part = enriched(make_entry(tmp_path / "a"), ["train", "test"])
    assert draw(part, 2, 1, extras=BOTH).episode.holds == {"views", "negative prompts"}
    centre = enriched(make_entry(tmp_path / "b"), of_views=False)
    drawn = draw(centre, 2, 1, extras=BOTH)
    assert drawn.episode.holds == {"views", "patches", "negative prompts"}
    assert drawn.episode.projection is None
    for held in (drawn.few_shot_val, drawn.full_val, drawn.test):
        assert held is not None
        assert held.pre is None
        assert held.patches is not None
    without = draw(centre, 2, 1, views=0, extras=BOTH).episode
    assert without.holds == {*BOTH, "negative prompts"}


def test_extras_without_views_are_of_the_centre_crops(tmp_path: Path) -> None:
    entry = enriched(make_entry(tmp_path), views=0)
    support = draw(entry, 2, 1, extras=BOTH).episode.support
    assert support.pre is not None
    assert support.pre.shape == (1, 6, 9)
    assert support.views.shape == (1, 6, 8)


def test_a_pool_is_drawn_without_views(tmp_path: Path) -> None:
    entry = enriched(make_entry(tmp_path, splits={"pool": 90}))
    e = draw(entry, 2, 1, extras=BOTH).episode
    assert e.support.views.shape == (1, 6, 8)
    assert e.holds == {*BOTH, "negative prompts"}


def test_without_test_pictures_there_is_no_target(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, splits={"train": 30, "val": 15})
    drawn = draw(entry, 2, 1)
    assert drawn.targets == ()
    whole = draw(make_entry(tmp_path / "whole"), 2, 1)
    assert drawn.episode.support.ids == whole.episode.support.ids
    with pytest.raises(EpisodeError, match="animals has no test split"):
        _ = drawn.test


def test_pictures_of_another_set_are_all_of_a_split_that_can_be_read(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, bad={"val": [0, 3]})
    found = pictures_of(entry, 1, split="val")
    images = entry.images("val")
    rows = [row for row in range(15) if row not in (0, 3)]
    assert found.ids == tuple(images.id[row] for row in rows)
    assert found.labels.tolist() == images.label[rows].tolist()
    assert np.array_equal(found.x.numpy(), images.embedding[rows])
    assert pictures_of(entry, 1).ids == draw(entry, 1, 1).test.ids
    with pytest.raises(EpisodeError, match="has no pool split to be scored on, it has train, val"):
        pictures_of(entry, 1, split="pool")
    none = make_entry(tmp_path / "none", {"test": 3}, bad={"test": [0, 1, 2]})
    with pytest.raises(EpisodeError, match="no picture of the test split of animals could be read"):
        pictures_of(none, 1)


def test_a_task_of_a_name_draws_like_the_entry(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    named = of_task("some-task")(entry, 2, 1, views=0)
    assert named.episode.task == "some-task"
    assert named.episode.support.ids == draw(entry, 2, 1).episode.support.ids
    assert text_of(entry).classnames == classes_of(entry).names == entry.classnames
    assert (classes_of(entry).dataset, classes_of(entry).ids) == ("animals", ())
