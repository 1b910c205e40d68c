"""What every task passes by itself: the fit sees no target, and each target can be scored."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from adapters import registry
from adapters.episode import Draw, Episode
from adapters.experiment import Experiment
from adapters.fitting import run
from adapters.targets import draw
from adapters.task import Task
from featcache.errors import UnknownNameError
from featcache.store.entry import Entry
from tests.entries import make_entry

DRAWN = [name for name in registry.task_names() if registry.task(name).solve is None]
TASKS = DRAWN  # problems are solved: see test_bongard_hoi


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    return make_entry(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    return make_entry(tmp_path_factory.mktemp("others"), {"test": 15}, name="beasts")


def on(name: str, other: Entry) -> tuple[Entry, ...]:
    """The other sets that the task is scored on."""
    return (other,) if registry.task(name).others else ()


@pytest.mark.parametrize("name", TASKS)
def test_no_target_is_within_reach_of_a_fit(entry: Entry, other: Entry, name: str) -> None:
    drawn = draw(name, entry, 2, 1, on=on(name, other))
    assert isinstance(drawn, Draw)
    seen = {*drawn.episode.support.ids}
    for held in (drawn.few_shot_val, drawn.full_val):
        seen |= {*held.ids} if held else set()
    assert drawn.targets
    for target in drawn.targets:
        assert not seen & {*target.pictures.ids}
    assert not {"test", "targets"} & {field.name for field in fields(Episode)}


@pytest.mark.parametrize("name", TASKS)
def test_labels_count_in_the_classes_of_their_target(entry: Entry, other: Entry, name: str) -> None:
    drawn = draw(name, entry, 2, 1, on=on(name, other))
    assert drawn.targets[0].text is None
    for target in drawn.targets:
        classes = len((target.text or drawn.episode.text).classnames)
        assert 0 <= int(target.pictures.labels.min()) <= int(target.pictures.labels.max()) < classes
    assert registry.task(name).new_classes == any(target.text for target in drawn.targets)


@pytest.mark.parametrize("name", TASKS)
def test_a_draw_depends_on_its_words_alone(entry: Entry, other: Entry, name: str) -> None:
    first, again, other = (draw(name, entry, 2, seed, on=on(name, other)) for seed in (1, 1, 2))
    assert torch.equal(first.episode.support.views, again.episode.support.views)
    assert first.episode.support.ids != other.episode.support.ids
    assert first.targets[0].pictures.ids == again.targets[0].pictures.ids


@pytest.mark.parametrize("name", TASKS)
def test_an_experiment_has_a_row_for_each_target(entry: Entry, other: Entry, name: str) -> None:
    rows = run(entry, Experiment("zero-shot", shots=2, task=name, on=on(name, other))).rows
    drawn = draw(name, entry, 2, 1, on=on(name, other))
    assert [row["target"] for row in rows] == [target.name for target in drawn.targets]
    assert len({row["target"] for row in rows}) == len(rows)
    assert {row["task"] for row in rows} == {name}
    assert len({row["run"] for row in rows}) == 1
    added = rows[1:] if registry.task(name).others else rows
    summary = registry.task(name).summary({row["target"]: row["accuracy"] for row in added})
    assert all(row | summary == row for row in rows)


def test_few_shot_comes_first_and_scores_its_own_data_set(entry: Entry) -> None:
    assert TASKS[0] == "few-shot"
    row = run(entry, Experiment("zero-shot", shots=2)).row
    assert row["target"] == row["dataset"] == "animals"


def test_an_unknown_task_is_refused() -> None:
    assert isinstance(registry.task("base-to-new"), Task)
    with pytest.raises(UnknownNameError, match="base-to-new"):
        registry.task("base-to-old")
