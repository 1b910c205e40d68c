"""A long training says how long it takes once its first step is done; a short one says nothing."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import torch

from adapters.maths import training
from adapters.watching.waiting import Waiting, said, shown, waiting


@pytest.mark.parametrize(("seconds", "told"), [(0.01, ""), (0.5, "about 50 s")])
def test_it_is_told_by_the_first_step(
    seconds: float, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    times = iter([0.0, seconds])
    with ExitStack() as stack:
        watch = Waiting(stack, lambda: next(times))
        for done in range(101):
            watch(done, 100)
    error = capsys.readouterr().err
    assert (told in error) if told else not error


def test_minutes_are_told_as_such() -> None:
    assert said(100, 9.0) == "100 steps of 9 s: this takes about 15 min."


def test_every_training_meanwhile_tells_its_steps() -> None:
    seen: list[tuple[int, int]] = []
    start = {"x": torch.ones(1)}

    def train() -> None:
        training.adamw(start, lambda p, _: p["x"].sum(), range(2), 0.1, [1.0, 1.0])

    with waiting():
        train()
    with training.watched(lambda done, total: seen.append((done, total))):
        train()
    train()
    assert seen == [(0, 2), (1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("progress", "notebook", "told"),
    [(None, False, False), (None, True, True), (True, False, True), (False, True, False)],
)
def test_a_bar_is_there_where_it_is_asked_for_or_in_a_notebook(
    progress: bool | None, notebook: bool, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Waiting] = []
    monkeypatch.setattr("featcache.notebook.here", lambda: notebook)
    monkeypatch.setattr(Waiting, "__call__", lambda watch, done, total: heard.append(watch))
    with shown(progress):
        training.adamw({"x": torch.ones(1)}, lambda p, _: p["x"].sum(), range(1), 0.1, [1.0])
    assert bool(heard) == told
    assert {watch.long for watch in heard} <= {1.0 if progress else 10.0}
