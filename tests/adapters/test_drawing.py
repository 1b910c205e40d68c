"""Draws: CoOp's to the bit, the pool's as its rule says, and the test split out of reach."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapters import drawing
from adapters.drawing import (
    classes_of,
    draw,
    of_task,
    pictures_of,
    short_classes,
    text_of,
)
from adapters.episode import Draw, Episode
from featcache.drawn import Drawn
from featcache.draws import ALL, BALANCED, NATURAL, pool_indices
from featcache.errors import (
    CacheError,
    ConfigError,
    DamagedShardError,
    EpisodeError,
    UnknownNameError,
)
from featcache.store import index as indexing
from featcache.store.entry import Entry, reload
from featcache.store.reducing import reduce
from featcache.store.writing import amend, put_text
from tests import frozen
from tests.enriched import VIEWS, enriched
from tests.entries import make_entry

BOTH = ("pre-projection", "patches")


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    """An entry that holds all there can be; row 0 of training could not be read."""
    return enriched(make_entry(tmp_path_factory.mktemp("rich"), bad={"train": [0], "test": [2]}))


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


def test_impossible_shots_and_seeds_are_refused(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    short = "the largest class of animals has 10 training pictures, fewer than the 11 shots"
    with pytest.raises(EpisodeError, match=short):
        draw(entry, shots=11, seed=1)
    for shots, seed, word in ((0, 1, "shots"), (4, -1, "seed")):
        with pytest.raises(ConfigError, match=f"{word} must be whole numbers of at least"):
            draw(entry, shots, seed)


def test_a_class_that_is_short_gives_all_it_has_and_is_counted(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, bad={"train": [1]})
    nine, ten = (draw(entry, shots, 1).episode for shots in (9, 10))
    assert (nine.shots, ten.shots) == (9, 10)
    assert torch.bincount(ten.support.labels).tolist() == [10, 9, 10]
    assert (short_classes(nine, 9), short_classes(ten, 10)) == (0, 1)


def test_all_is_every_training_picture(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, bad={"train": [1]})
    every = draw(entry, "all", 1)
    assert sorted(every.episode.support.ids) == [f"train/{r:06d}" for r in range(30) if r != 1]
    assert every.episode.shots == 10
    assert every.few_shot_val is not None
    assert torch.bincount(every.few_shot_val.labels).tolist() == [4, 4, 4]
    assert draw(entry, "all", 1, kind="natural").episode.support.ids == every.episode.support.ids
    assert short_classes(every.episode, "all") == 0


def test_all_without_a_val_list_leaves_none(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, splits={"train": 30, "test": 9})
    assert draw(entry, "all", 1).few_shot_val is None
    assert draw(entry, "all", 1, kind="natural").few_shot_val is None


@pytest.mark.parametrize("splits", [{"train": 30, "val": 15, "test": 9}, {"train": 30, "test": 9}])
def test_a_natural_draw_is_a_sample_of_the_whole_list(
    tmp_path: Path, splits: dict[str, int]
) -> None:
    entry = make_entry(tmp_path, splits=splits)
    drawn = draw(entry, 2, 7, kind="natural")
    rng = random.Random(7)
    rows = rng.sample(range(30), 6)
    assert drawn.episode.support.ids == tuple(f"train/{row:06d}" for row in rows)
    assert drawn.episode.shots == 2
    held = rng.sample(range(15 if "val" in splits else 24), 6)
    left = [f"train/{row:06d}" for row in range(30) if row not in rows]
    names = [f"val/{row:06d}" for row in range(15)] if "val" in splits else left
    assert drawn.few_shot_val is not None
    assert drawn.few_shot_val.ids == tuple(names[row] for row in held)
    counts = torch.bincount(drawn.episode.support.labels, minlength=3)
    assert short_classes(drawn.episode, 2, "natural") == int((counts == 0).sum())


def test_a_natural_draw_of_more_than_there_is_names_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(EpisodeError, match=r"fewer than 11 shots x 3 classes; .* --shots all"):
        draw(make_entry(tmp_path), 11, 1, kind="natural")
    with pytest.raises(UnknownNameError, match="natrual"):
        draw(make_entry(tmp_path), 1, 1, kind="natrual")


def test_a_pool_gives_what_it_keeps_to_train(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, splits={"pool": 90})
    train, val, _ = pool_indices(entry.images("pool").label, 3)
    every, some = draw(entry, "all", 3), draw(entry, 2, 3, kind="natural")
    names = {f"pool/{row:06d}" for row in train.ravel()}
    assert {*every.episode.support.ids} == names
    assert {*some.episode.support.ids} < names
    assert len(some.episode.support.ids) == 6
    assert some.few_shot_val is not None
    assert {*some.few_shot_val.ids} < {f"pool/{row:06d}" for row in val.ravel()}
    assert {*some.test.ids} == {*draw(entry, 2, 3).test.ids}


def test_pictures_without_views_are_drawn_without_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def few(*_: object) -> None:
        raise CacheError("encode with --views-for all")

    entry = enriched(make_entry(tmp_path))
    assert len(draw(entry, "all", 1).episode.support.views) == 1 + VIEWS
    monkeypatch.setattr(Entry, "views", few)
    assert len(draw(entry, "all", 1).episode.support.views) == 1
    with pytest.raises(CacheError, match="--views-for all"):
        draw(entry, "all", 1, views=2)
    with pytest.raises(CacheError, match="--views-for all"):
        draw(entry, 10, 1)


def test_one_shot_is_enough_and_all_can_be_drawn(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    one, every = draw(entry, 1, 1), draw(entry, 10, 1)
    assert len(one.episode.support.ids) == 3
    assert one.few_shot_val is not None
    assert len(one.few_shot_val.ids) == 3
    assert sorted(every.episode.support.ids) == [f"train/{row:06d}" for row in range(30)]


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


def test_a_pool_is_drawn_by_its_rule(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, splits={"pool": 90})
    drawn, images = draw(entry, 3, 4), entry.images("pool")
    train, val, test = pool_indices(images.label, 4)
    assert drawn.few_shot_val is not None
    assert drawn.full_val is not None
    for part, rows in (
        (drawn.episode.support, train[:, :3].ravel()),
        (drawn.few_shot_val, val[:, :3].ravel()),
        (drawn.full_val, val.ravel()),
        (drawn.test, test),
    ):
        assert part.ids == tuple(images.id[row] for row in rows)
        assert part.x.tolist() == images.embedding[rows].tolist()
        assert part.labels.tolist() == images.label[rows].tolist()
    most = draw(entry, 16, 4)
    assert most.few_shot_val is not None
    assert len(most.episode.support.ids) == 3 * 16
    assert len(most.few_shot_val.ids) == 3 * 4
    says = (
        "animals has no splits, so at most 16 shots can be drawn from its pool; 17 were asked for"
    )
    with pytest.raises(EpisodeError, match=says):
        draw(entry, shots=17, seed=1)


def test_few_shot_validation_is_never_more_than_four(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    for shots, held in ((1, 1), (3, 3), (4, 4), (5, 4)):
        few = draw(entry, shots, 1).few_shot_val
        assert few is not None
        assert torch.bincount(few.labels).tolist() == [held] * 3


def test_without_a_val_list_validation_is_held_out(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, splits={"train": 30, "test": 9})
    drawn = draw(entry, shots=4, seed=1)
    assert drawn.full_val is None
    assert drawn.few_shot_val is not None
    assert not {*drawn.few_shot_val.ids} & {*drawn.episode.support.ids}
    assert torch.bincount(drawn.few_shot_val.labels).tolist() == [4, 4, 4]
    nine = draw(entry, shots=9, seed=1).few_shot_val
    assert nine is not None
    assert {*nine.ids} == {f"train/{row:06d}" for row in range(30)} - {
        *draw(entry, shots=9, seed=1).episode.support.ids
    }
    assert draw(entry, shots=10, seed=1).few_shot_val is None


def test_validation_that_lacks_a_class_is_none(tmp_path: Path) -> None:
    """One class has no picture left over, the others have one."""
    entry = make_entry(tmp_path, splits={"train": 30, "test": 9}, bad={"train": [0]})
    assert draw(entry, shots=9, seed=1).few_shot_val is None
    assert draw(entry, shots=8, seed=1).few_shot_val is not None


WAYS: list[tuple[int | str, str | Drawn]] = [
    *((shots, BALANCED) for shots in (1, 3, 9, 10)),
    *((shots, NATURAL) for shots in (1, 7)),
    (ALL, BALANCED),
    (2, Drawn("mine", "0", ("train/000007", "train/000001"))),
]


@pytest.mark.parametrize("splits", [{"train": 30, "val": 15, "test": 9}, {"train": 30, "test": 9}])
@pytest.mark.parametrize("bad", [[], [0, 4, 27]])
def test_a_draw_of_a_large_split_is_the_draw_of_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, splits: dict[str, int], bad: list[int]
) -> None:
    """The same rows, bit by bit, when they alone are read; shots that are not there refused."""
    entry = enriched(make_entry(tmp_path, splits, bad={"train": bad} if bad else None))
    for shots, kind in WAYS:
        monkeypatch.setattr(indexing, "LARGE", 1 << 26)
        before = draw(entry, shots, 2, extras=BOTH, kind=kind)
        monkeypatch.setattr(indexing, "LARGE", 0)
        assert is_same(draw(entry, shots, 2, extras=BOTH, kind=kind), before)
    with pytest.raises(EpisodeError, match="fewer than the 11 shots asked for"):
        draw(entry, 11, 1)


def is_same(one: Any, other: Any) -> bool:
    """Whether two draws are equal in every tensor and word."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if is_dataclass(one):
        return all(is_same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, tuple):
        return all(is_same(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other)


def test_few_pictures_of_a_large_split_are_drawn_without_reading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = make_entry(tmp_path, {"train": 90, "test": 9})
    before = draw(entry, 1, 1)
    monkeypatch.setattr(indexing, "LARGE", 0)
    read: list[str] = []
    images = Entry.images
    monkeypatch.setattr(Entry, "images", lambda self, s: read.append(s) or images(self, s))
    assert is_same(draw(entry, 1, 1), before)
    assert read == ["test"]
    draw(entry, 8, 1)  # more than a quarter comes faster with all the others
    assert read == ["test", "train", "test"]


def test_damage_is_refused_where_it_is_drawn_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "LARGE", 0)
    entry = make_entry(tmp_path, {"train": 90, "test": 9})
    drawn = draw(entry, 1, 1)
    assert drawn.few_shot_val is not None
    used = {*drawn.episode.support.ids, *drawn.few_shot_val.ids}
    path = entry.folder / "images-train-00000.h5"
    whole, x = path.read_bytes(), entry.images("train")
    for row in [*range(0, 90, 9), *map(row_of, used)]:
        at = whole.index(x.embedding[row].astype(np.float16).tobytes())
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert entry.problems()
        if x.id[row] not in used:
            assert is_same(draw(entry, 1, 1), drawn)
            continue
        with pytest.raises(DamagedShardError, match=f"row {row} is another"):
            draw(entry, 1, 1)


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


def test_a_split_that_is_not_encoded_is_refused(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    shards = {k: v for k, v in entry.manifest["shards"].items() if "test" not in k}
    with pytest.raises(CacheError, match="0 of 21 rows of split 'test'"):
        draw(Entry(entry.folder, {**entry.manifest, "shards": shards}), 2, 1)


def test_its_own_records_stay_as_they_were_made() -> None:
    assert frozen.thawed(drawing) == []


def test_without_test_pictures_there_is_no_target(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, splits={"train": 30, "val": 15})
    drawn = draw(entry, 2, 1)
    assert drawn.targets == ()
    whole = draw(make_entry(tmp_path / "whole"), 2, 1)
    assert drawn.episode.support.ids == whole.episode.support.ids
    with pytest.raises(EpisodeError, match="animals has no test split"):
        _ = drawn.test


def test_without_training_pictures_the_support_is_empty(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, splits={"test": 21}, bad={"test": [4]})
    drawn = draw(entry, 16, 1, extras=["patches"])
    assert len(drawn.episode.support.labels) == len(drawn.episode.support.ids) == 0
    assert drawn.episode.support.views.shape == (1, 0, 8)
    assert (drawn.few_shot_val, drawn.full_val) == (None, None)
    assert len(drawn.test.labels) == 20
    assert drawn.episode.text.classnames == entry.classnames


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


def index(path: Path, train: Sequence[str], val: Sequence[str] = ()) -> str:
    content = {"train": [f"./data/{i}" for i in train], **({"val": list(val)} if val else {})}
    path.write_text(json.dumps(content))
    return str(path)


def same(one: Draw, other: Draw) -> None:
    """Two draws give the same numbers."""
    for x, y in (
        (one.episode.support, other.episode.support), (one.few_shot_val, other.few_shot_val),
        (one.full_val, other.full_val), (one.test, other.test),
        (one.episode.text, other.episode.text),
    ):  # fmt: skip
        assert (x is None) == (y is None)
        for field in fields(x) if x is not None else ():  # type: ignore[arg-type]
            mine, theirs = getattr(x, field.name), getattr(y, field.name)
            if isinstance(mine, torch.Tensor):
                assert torch.equal(mine, theirs)
            else:
                assert mine == theirs


def test_a_file_that_lists_coops_draw_gives_it(rich: Entry, tmp_path: Path) -> None:
    usual = draw(rich, 4, 2, extras=BOTH)
    assert usual.few_shot_val is not None
    listed = index(tmp_path / "a.json", usual.episode.support.ids, usual.few_shot_val.ids)
    found = draw(rich, ALL, 9, extras=BOTH, kind=listed)
    same(found, usual)
    assert found.episode.shots == 4
    held = Drawn("a", "b", usual.episode.support.ids, usual.few_shot_val.ids)
    same(draw(rich, 1, 9, extras=BOTH, kind=held), usual)


def test_a_file_may_leave_it_to_the_seed_what_validates(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    ids = entry.images("train").id
    found = draw(entry, ALL, 3, kind=index(tmp_path / "a.json", ids[:7]))
    assert found.episode.support.ids == ids[:7]
    assert found.episode.shots == 3  # pictures of the largest class
    assert found.few_shot_val is not None
    assert found.few_shot_val.labels.bincount().tolist() == [3, 3, 3]
    again, other = (draw(entry, ALL, s, kind=str(tmp_path / "a.json")).few_shot_val for s in (3, 4))
    assert again is not None
    assert other is not None
    assert again.ids == found.few_shot_val.ids != other.ids


def test_without_a_val_list_a_file_validates_with_training_pictures(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, {"train": 30, "test": 6})
    ids = entry.images("train").id
    found = draw(entry, ALL, 1, kind=index(tmp_path / "a.json", ids[:6], ids[9:12]))
    assert (found.few_shot_val and found.few_shot_val.ids) == ids[9:12]
    assert found.full_val is None
    left = draw(entry, ALL, 1, kind=index(tmp_path / "b.json", ids[:6])).few_shot_val
    assert left is not None
    assert not set(left.ids) & set(ids[:6])


def test_pictures_of_a_file_that_cannot_be_drawn_are_refused(rich: Entry, tmp_path: Path) -> None:
    test, train = rich.images("test").id, rich.images("train").id
    for wanted in (test[1], train[0], "nowhere.jpg"):  # of the test split; unreadable; none
        path = index(tmp_path / "a.json", [train[1], wanted])
        with pytest.raises(EpisodeError, match="1 of 2 pictures of the draw are not there"):
            draw(rich, ALL, 1, kind=path)
    with pytest.raises(UnknownNameError, match="Or give a file that lists pictures"):
        draw(rich, 1, 1, kind="ballanced")
    pool = make_entry(tmp_path, {"pool": 90})
    with pytest.raises(EpisodeError, match="has no splits"):
        draw(pool, ALL, 1, kind=index(tmp_path / "b.json", pool.images("pool").id[:3]))


@pytest.mark.parametrize("splits", [{"train": 30, "val": 15, "test": 21}, {"train": 30, "test": 9}])
def test_an_entry_of_some_draws_gives_them_as_the_whole_does(
    tmp_path: Path, splits: dict[str, int]
) -> None:
    whole = make_entry(tmp_path, splits, bad={"train": [0], "test": [2]})
    whole = enriched(whole) if "val" in splits else whole
    some = reduce(whole, [1, 4], [1, 2], tmp_path / "some")
    for shots in (1, 4):
        for seed in (2,):
            same(draw(some, shots, seed, extras=BOTH), draw(whole, shots, seed, extras=BOTH))
    others = ((2, 1, BALANCED), (1, 3, BALANCED), (1, 1, NATURAL), (ALL, 1, BALANCED))
    for shots, seed, kind in others:
        with pytest.raises(EpisodeError, match="shots-seed: 1-1, 1-2, 4-1, 4-2"):
            draw(some, shots, seed, kind=kind)  # type: ignore[arg-type]
    ids = draw(whole, 1, 2).episode.support.ids
    found = draw(some, ALL, 1, kind=index(tmp_path / "a.json", ids))
    assert found.episode.support.ids == ids


def test_draws_that_an_entry_lacks_pictures_of_are_refused(tmp_path: Path) -> None:
    some = reduce(make_entry(tmp_path), [1], [1], tmp_path / "some")
    with amend(some) as manifest:
        manifest["draws"]["1-1"]["train"][0] = 99
    with pytest.raises(CacheError, match="lacks pictures of its own draws"):
        draw(reload(some), 1, 1)
