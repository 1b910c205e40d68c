"""Workers decode ahead, results stay in order, and a bad picture is a reason."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featcache import ViewRecipe
from featcache.datasets.dataset import Item
from featcache.encoding.decoding import crops as crops_room
from featcache.encoding.decoding.crops import (
    Maker,
    Wanted,
    crops_ahead,
    crops_for,
    crops_of,
    wanted_of,
)
from featcache.encoding.plan import Unit
from featcache.pictures.preprocess import Preprocess
from tests.featcache.encoding.noise import Noise, noise

PREPROCESS = Preprocess(16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
RECIPE = ViewRecipe(2, seed=1)
MAKER = Maker(RECIPE, PREPROCESS)


class Slow:
    """A picture that takes its time, and says who asked for it."""

    asked: list[int] = []  # noqa: RUF012

    def __init__(self, number: int) -> None:
        self.number = number

    def pixels(self) -> NDArray[np.uint8]:
        Slow.asked.append(self.number)
        time.sleep(0.02 if self.number % 2 else 0)
        return np.full((20, 20, 3), self.number, np.uint8)


@pytest.mark.parametrize(("workers", "ahead"), [(1, 13), (3, 29), (6, 78)])
def test_crops_come_in_order_and_not_all_at_once(
    workers: int, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crops_room, "WAITING", 0)  # as where crops are large
    Slow.asked.clear()
    pictures = ((Wanted(Item(str(i), Slow(i), 0), True, False),) for i in range(80))
    with crops_ahead(pictures, [MAKER], workers) as crops:
        first = next(crops)
        assert len(Slow.asked) <= ahead
        rest = list(crops)
    centres = [each.centre for (each,) in (first, *rest) if each is not None]
    values = [int(centre[0, 0, 0]) for centre in centres if centre is not None]
    assert values == list(range(80))
    assert threading.active_count() < 40


def test_while_a_model_is_at_a_batch_small_crops_are_made_for_the_next() -> None:
    Slow.asked.clear()
    pictures = ((Wanted(Item(str(i), Slow(2 * i), 0), True, False),) for i in range(2000))
    with crops_ahead(pictures, [MAKER], 1) as crops:
        next(crops)
        deadline = time.monotonic() + 30
        while len(Slow.asked) < 256 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert 256 <= len(Slow.asked) <= crops_room.MOST_AHEAD + crops_room.TOGETHER


def test_a_caller_that_leaves_early_waits_for_no_more(tmp_path: Path) -> None:
    Slow.asked.clear()
    pictures = ((Wanted(Item(str(i), Slow(2 * i + 1), 0), True, False),) for i in range(100))
    with crops_ahead(pictures, [MAKER], 1) as crops:
        next(crops)
    assert len(Slow.asked) <= 2 * crops_room.TOGETHER + 1


def test_only_the_crops_that_are_wanted_are_made() -> None:
    item = Item("x", Noise(3), 0)
    both = crops_of(Wanted(item, True, True), RECIPE, PREPROCESS)
    assert both.centre is not None
    assert both.centre.shape == (16, 16, 3)
    assert [view.shape for view in both.views] == [(16, 16, 3)] * 2
    assert both.reason == ""
    assert both.decode > 0
    centre = crops_of(Wanted(item, True, False), RECIPE, PREPROCESS)
    views = crops_of(Wanted(item, False, True), RECIPE, PREPROCESS)
    assert (centre.views, views.centre) == ([], None)
    np.testing.assert_array_equal(views.views, both.views)


def test_a_bad_picture_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"")
    empty = crops_of(Wanted(Item("x", tmp_path / "x.png", 0), True, True), RECIPE, PREPROCESS)
    assert (empty.centre, empty.views, empty.reason) == (None, [], "the picture is empty.")
    missing = crops_of(Wanted(Item("y", tmp_path / "y.png", 0), True, True), RECIPE, PREPROCESS)
    assert (missing.centre, missing.views) == (None, [])
    assert missing.reason == "No such file or directory"


def test_pictures_are_those_of_the_units() -> None:
    data = noise()
    one = [
        Unit("train", 2, 4, ("embedding",), ("embedding",), (3,)),
        Unit("train", 2, 4, (), ("embedding",), (3,)),
        None,
    ]
    digests = [{"train": {3: "ab", 5: "cd"}}, {"train": {3: "ef"}, "val": {0: "gh"}}, {}]
    found = [
        [each and (each.item.id, each.centre, each.views, each.digest) for each in asked]
        for asked in wanted_of(one, data, digests)
    ]
    assert found == [
        [("train/2", True, False, ""), None, None],
        [("train/3", True, True, "ab"), ("train/3", False, True, "ef"), None],
    ]
    (only,) = wanted_of([Unit("test", 0, 1, ("patches",), (), ())], data, [{}])
    assert [each and each.item.id for each in only] == ["test/0"]


def test_a_picture_is_read_and_decoded_once_for_all_that_want_it(tmp_path: Path) -> None:
    Slow.asked.clear()
    item, large = Item("x", Slow(2), 0), Maker(ViewRecipe(1), Preprocess(24, *(2 * [(0.5,) * 3])))
    asked = (Wanted(item, True, True), None, Wanted(item, True, False))
    small, none, other = crops_for(asked, [MAKER, MAKER, large])
    assert Slow.asked == [2]
    assert none is None
    assert small is not None
    assert other is not None
    assert small.centre is not None
    assert other.centre is not None
    assert (small.centre.shape, len(small.views), other.centre.shape) == (
        (16, 16, 3),
        2,
        (24, 24, 3),
    )
    gone = Item("y", tmp_path / "y.png", 0)
    both = crops_for((Wanted(gone, True, False), Wanted(gone, True, True)), [MAKER, large])
    assert [each and each.reason for each in both] == ["No such file or directory"] * 2


def test_a_pipe_in_place_of_a_picture_is_a_bad_picture(tmp_path: Path) -> None:
    """Put there after the folder was listed; to read it would never end."""
    os.mkfifo(tmp_path / "a.jpg")
    wanted = Wanted(Item("a.jpg", tmp_path / "a.jpg", 0), centre=True, views=False)
    found = crops_of(wanted, ViewRecipe(0), Preprocess(8, (0.5,) * 3, (0.5,) * 3))
    assert (found.centre, found.reason) == (None, "is a pipe, socket or device.")


def test_of_a_picture_with_a_box_only_what_lies_in_it_is_seen(tmp_path: Path) -> None:
    inner = tmp_path / "inner.png"
    Image.fromarray(Noise(4).pixels()[3:19, 4:20]).save(inner)
    whole, inside = Item("x", Noise(4), 0, (4, 3, 20, 19)), Item("x", inner, 0)
    boxed, cut = (
        crops_of(Wanted(item, True, True), RECIPE, PREPROCESS) for item in (whole, inside)
    )
    for ours, theirs in zip([boxed.centre, *boxed.views], [cut.centre, *cut.views], strict=True):
        assert ours is not None
        np.testing.assert_array_equal(ours, theirs)
    outside = Item("x", Noise(4), 0, (40, 0, 50, 10))
    crops = crops_of(Wanted(outside, True, False), RECIPE, PREPROCESS)
    assert crops.centre is None
    assert crops.reason == "is 24 x 24 and has nothing in its box 40, 0, 50, 10."
