"""Shots left out in turn, where they choose settings: what is too few, and what needs none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters import compose
from adapters.choosing.folds import hold_out
from adapters.configure import configure
from adapters.experiment import Experiment
from adapters.fitting import run
from adapters.registry import LEFT_OUT
from adapters.selection import select
from featcache.errors import EpisodeError
from tests.adapters import synthetic
from tests.entries import make_entry


@pytest.mark.parametrize("policy", LEFT_OUT)
def test_one_shot_is_policy_none_and_says_so(tmp_path: Path, policy: str) -> None:
    entry = make_entry(tmp_path)
    row = run(entry, Experiment("tip-adapter", 1, 1, policy)).row
    none = run(entry, Experiment("tip-adapter", 1, 1, "none")).row
    assert [row[k] for k in ("config", "accuracy")] == [none[k] for k in ("config", "accuracy")]
    assert (row["policy"], row["tried"], row["val_score"]) == (policy, 0, None)
    assert row["reason"] == (
        f"policy {policy} would leave 0 of 1 pictures a class, too few to choose by; settings are "
        "those of policy none"
    )
    # Two shots leave gda one picture, of which it cannot know a spread.
    assert run(entry, Experiment("gda", 2, 1, policy)).row["reason"] is not None
    assert run(entry, Experiment("gda", 3, 1, policy)).row["reason"] is None


def test_a_ridge_regression_is_left_out_exactly_at_one_shot_too(tmp_path: Path) -> None:
    row = run(make_entry(tmp_path), Experiment("proker", 1, 1, "loo")).row
    assert (row["tried"], row["reason"]) == (160, None)


@pytest.mark.parametrize("name", ["ncm@taskres", "sum:gda+ncm", "clip-adapter"])
def test_no_validation_list_is_needed(tmp_path: Path, name: str) -> None:
    """Nor is one looked at, by methods made of methods and trained ones neither."""
    settings = {"steps": 3} if name == "clip-adapter" else {}
    if "taskres" in name:
        settings = {"taskres.epochs": 2, "ncm.search": True}
    experiment = Experiment(name, 3, 1, "loo", settings)
    entry = make_entry(tmp_path, splits={"train": 9, "test": 21})
    row = run(entry, experiment).row
    assert row["tried"] > 1
    with pytest.raises(EpisodeError, match="--policy loo"):
        run(entry, replace(experiment, policy="full-val"))


def test_one_shot_without_an_exact_error_is_told() -> None:
    """`proker` knows its error without a picture where its regression is exact, and only there."""
    proker = compose.get("proker")
    episode, _ = synthetic.episode(1)
    for exact_rows, tried in ((100, True), (1, False)):
        config = proker.config(exact_rows=exact_rows, landmarks=2)
        found = select(proker, episode, config, hold_out(episode, "loo"))
        assert (found.note is None) == tried
        assert (found.tried > 0) == tried


def test_a_base_that_saw_every_picture_is_not_judged_by_the_error_of_its_top(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def called(*asked: Any) -> Any:
        raise AssertionError("an error on pictures that the base was fitted on")

    real = compose.plain
    monkeypatch.setattr(
        compose,
        "plain",
        lambda name: replace(real(name), left_out=called) if name == "proker" else real(name),
    )
    both = compose.over("proker", "taskres")
    config, _ = configure("proker@taskres", both, {"taskres.epochs": 1})
    episode, _ = synthetic.episode(2)
    fixed = frozenset({"learning_rate", "alpha", "taskres.alpha", "proker.beta"})
    assert select(both, episode, config, hold_out(episode, "loo"), fixed).tried > 0
