"""Few-shot classification: the draw as it is, among all classes."""

from __future__ import annotations

from pathlib import Path

import torch

from adapters import registry
from adapters.drawing import draw
from adapters.tasks.few_shot import task
from tests.entries import make_entry


def test_it_is_the_draw_of_the_entry(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    drawn, whole = task.draw(entry, 4, 2), draw(entry, 4, 2)
    assert registry.task("few-shot") is task
    assert drawn.episode.task == "few-shot"
    assert drawn.episode.text.classnames == entry.classnames
    assert torch.equal(drawn.episode.support.views, whole.episode.support.views)
    [target] = drawn.targets
    assert (target.name, target.text) == (entry.dataset, None)
    assert target.pictures.ids == tuple(f"test/{row:06d}" for row in range(21))


def test_its_row_stands_by_itself() -> None:
    assert not task.new_classes
    assert task.summary({"animals": 90.0}) == {}
