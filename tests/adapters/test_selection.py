"""Policies: what each may look at, and that the first best wins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from adapters.drawing import draw
from adapters.episode import Draw, Episode, Labelled, Target
from adapters.experiment import Experiment
from adapters.fitting import run
from adapters.method import Axes, ChoiceLogits, Method, Space, State
from adapters.registry import POLICIES
from adapters.selection import select, validation
from featcache.errors import ConfigError, EpisodeError, UnknownNameError
from tests.entries import make_entry


@dataclass(frozen=True)
class Config:
    bias: float = 0.0
    depth: int = 1


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    return {"text": episode.text.unit(), "noise": torch.rand(2, generator=generator)}


def logits(state: State, config: Config, x: Tensor) -> Tensor:
    """Class 0 gets a bias, so that the number of right answers depends on it."""
    scores = x @ state["text"].T
    scores[:, 0] += config.bias * config.depth
    return scores


def space(config: Config) -> Space:
    return Space(fit={"depth": [1, 2]}, logits={"bias": [9.0, 0.0, -9.0, 1e-9]})


TOY = Method(config=Config, fit=fit, logits=logits, space=space)


@pytest.fixture
def drawn(tmp_path: Path) -> Draw:
    return draw(make_entry(tmp_path), shots=2, seed=1)


def test_each_policy_sees_its_own_list(drawn: Draw) -> None:
    seen = {policy: validation(drawn, policy) for policy in POLICIES}
    assert seen["none"] is None
    assert seen["transfer"] is None
    assert seen["few-shot-val"] is drawn.few_shot_val
    assert seen["full-val"] is drawn.full_val
    assert seen["oracle-test"] is drawn.test
    with pytest.raises(UnknownNameError):
        validation(drawn, "best")


def test_a_missing_list_is_refused(drawn: Draw) -> None:
    with pytest.raises(EpisodeError, match="--policy none"):
        validation(replace(drawn, full_val=None), "full-val")


def test_the_first_best_wins(drawn: Draw) -> None:
    chosen = select(TOY, drawn.episode, Config(), drawn.full_val)
    assert chosen.config == Config(bias=0.0, depth=1)
    assert chosen.tried == 8
    assert chosen.score is not None


def test_fixed_fields_are_left_alone(drawn: Draw) -> None:
    fixed = frozenset({"bias"})
    chosen = select(TOY, drawn.episode, Config(bias=9.0), drawn.full_val, fixed)
    assert chosen.config.bias == 9.0
    assert chosen.tried == 2


def test_without_validation_the_config_stands(drawn: Draw) -> None:
    chosen = select(TOY, drawn.episode, Config(bias=3.0), None)
    assert (chosen.config, chosen.tried, chosen.score) == (Config(bias=3.0), 0, None)


def test_cross_entropy_is_minimised(drawn: Draw) -> None:
    assert drawn.full_val is not None
    method = replace(TOY, criterion="cross-entropy")
    chosen = select(method, drawn.episode, Config(), drawn.full_val)
    everything = [
        torch.nn.functional.cross_entropy(found, drawn.full_val.labels).item()
        for depth in (1, 2)
        for _, found in method.scores(
            fit(drawn.episode, Config(), Generator()),
            Config(depth=depth),
            drawn.full_val.x,
            space(Config()).logits,
        )
    ]
    assert chosen.score == pytest.approx(min(everything))


def test_every_fit_draws_the_same_numbers(drawn: Draw) -> None:
    one = select(TOY, drawn.episode, Config(), drawn.full_val, frozenset({"depth"}))
    two = select(TOY, drawn.episode, Config(depth=2), drawn.full_val, frozenset({"depth"}))
    torch.testing.assert_close(one.state["noise"], two.state["noise"], rtol=0, atol=0)


def test_a_methods_own_grid_is_used(drawn: Draw) -> None:
    def logits_over(state: State, config: Any, x: Tensor, axes: Axes) -> ChoiceLogits:
        assert list(axes) == ["bias"]
        yield {"bias": 5.0}, logits(state, config, x)

    chosen = select(replace(TOY, logits_over=logits_over), drawn.episode, Config(), drawn.full_val)
    assert chosen.config.bias == 5.0


class _Guard(torch.Tensor):
    """Labels that must not be read."""

    @classmethod
    def __torch_function__(cls, *_: Any, **__: Any) -> Any:
        raise AssertionError("test labels were read")


def guarded(drawn: Draw) -> Iterator[Draw]:
    labels = drawn.test.labels.as_subclass(_Guard)
    watched = Labelled(drawn.test.x, labels, drawn.test.ids)
    yield replace(drawn, targets=(Target(drawn.targets[0].name, watched),))


@pytest.mark.parametrize("policy", [p for p in POLICIES if p not in ("oracle-test", "transfer")])
def test_selection_never_reads_test_labels(drawn: Draw, policy: str) -> None:
    for watched in guarded(drawn):
        select(TOY, watched.episode, Config(), validation(watched, policy))
        with pytest.raises(AssertionError, match="test labels"):
            select(TOY, watched.episode, Config(), validation(watched, "oracle-test"))


def test_transfer_takes_the_settings_of_another_set(tmp_path: Path) -> None:
    entry, other = make_entry(tmp_path / "a"), make_entry(tmp_path / "b", name="others")
    experiment = Experiment("tip-adapter", 4, 1, "transfer", transfer=other)
    moved = run(entry, experiment).row
    own = run(other, Experiment("tip-adapter", 4, 1, "few-shot-val")).row
    assert moved["config"] == own["config"]
    assert moved["policy"] == "transfer"
    with pytest.raises(ConfigError, match="--transfer"):
        run(entry, replace(experiment, transfer=None))
