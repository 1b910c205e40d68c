"""The contract of a task, as a task of one's own sees it."""

from __future__ import annotations

from adapters import task as room
from adapters.drawing import draw
from adapters.task import Task
from tests import frozen


def test_a_task_needs_no_more_than_a_draw() -> None:
    """Then its rows say nothing together, and no target has classes that a fit has not seen."""
    plain = Task(draw)
    assert plain.draw is draw
    assert plain.summary({"a": 1.0, "b": 2.0}) == {}
    assert plain.new_classes is False
    assert plain.others is None
    assert plain.custom == ""


def test_it_stays_as_it_was_made() -> None:
    assert frozen.thawed(room) == []
