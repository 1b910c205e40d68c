"""Folds: every picture is held out once, with its views, and no class loses its last one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from adapters.choosing.folds import HOSO, LOO, Fold, hold_out, places, trains
from adapters.compose import get
from adapters.episode import Episode
from tests.adapters.episodes import make_episode


def numbered(counts: tuple[int, ...]) -> Episode:
    """Pictures in three views, told apart by their ids, with what the projection takes."""
    episode = make_episode(counts, views=3)
    support = episode.support
    ids = tuple(str(i) for i in range(len(support.labels)))
    return replace(episode, support=replace(support, ids=ids, pre=2 * support.views))


@pytest.mark.parametrize(("trained", "number"), [(False, 5), (True, 4)])
def test_every_picture_is_held_out_once_where_its_class_has_another(
    trained: bool, number: int
) -> None:
    episode = numbered((4, 2, 1, 5))
    folds = hold_out(episode, LOO, trained)
    assert len(folds.masks) == number
    alone = {episode.support.ids[i] for i in (episode.support.labels == 2).nonzero()}
    held = [one for fold in folds for one in fold.held.ids]
    assert sorted(held) == sorted({*episode.support.ids} - alone)
    for fold in folds:
        rest, own = fold.episode.support, fold.held
        assert {*rest.ids} | {*own.ids} == {*episode.support.ids}
        assert set(rest.labels.tolist()) == {0, 1, 2, 3}
        assert fold.episode.shots == int(rest.labels.bincount().max())
        for one, x, label in zip(own.ids, own.x, own.labels, strict=True):
            at = episode.support.ids.index(one)
            assert torch.equal(x, episode.support.x[at])
            assert label == episode.support.labels[at]
        for place, one in enumerate(rest.ids):
            at = episode.support.ids.index(one)
            assert rest.pre is not None
            assert episode.support.pre is not None
            assert torch.equal(rest.views[:, place], episode.support.views[:, at])
            assert torch.equal(rest.pre[:, place], episode.support.pre[:, at])


def test_a_large_class_makes_no_more_folds() -> None:
    folds = hold_out(numbered((40, 3, 2, 5)), LOO)
    assert len(folds.masks) == 16
    assert folds.pictures == sum(len(fold.held.labels) for fold in folds) == 50


def test_one_shot_is_held_out_once() -> None:
    episode = numbered((3, 3, 1, 2))
    [fold] = hold_out(episode, HOSO)
    assert fold.held.ids == ("0", "3", "7")
    assert hold_out(episode, HOSO).left == 2
    assert hold_out(episode, LOO).left == 2


@pytest.mark.parametrize("policy", [LOO, HOSO])
def test_one_picture_a_class_leaves_nothing_out(policy: str) -> None:
    folds = hold_out(make_episode((1, 1, 1, 1)), policy)
    assert ([*folds], folds.left, folds.pictures) == ([], 0, 0)
    nothing = replace(make_episode().support, labels=torch.zeros(0, dtype=torch.long))
    assert not [*hold_out(replace(make_episode(), support=nothing), policy)]


def test_places_count_within_a_class() -> None:
    assert places(torch.tensor([2, 0, 2, 2, 0, 1])).tolist() == [0, 0, 1, 2, 1, 0]


def test_what_trains_is_seen_by_its_settings() -> None:
    closed = {"zero-shot", "ncm", "gda", "tip-adapter", "proker", "ape", "timo", "sum:gda+ncm"}
    trained = {"clip-adapter", "fma", "coop", "lp++", "linear-probe", "fma@taskres"}
    assert {name for name in closed | trained if trains(get(name).config())} == trained


def test_folds_are_made_one_by_one_as_they_are_asked_for() -> None:
    made: list[str] = []

    def first(fold: Fold) -> Fold:
        made.append("first")
        return fold

    def second(fold: Fold) -> Fold:
        made.append("second")
        return replace(fold, held=replace(fold.held, ids=("changed",)))

    folds = hold_out(numbered((3, 3, 3, 3)), LOO).each(first).each(second)
    assert (made, folds.left, folds.pictures) == ([], 2, 12)
    asked = iter(folds)
    assert next(asked).held.ids == ("changed",)
    assert made == ["first", "second"]
