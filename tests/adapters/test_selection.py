"""Policies: what each may look at, and that the first best wins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from adapters import selection
from adapters.drawing import draw
from adapters.episode import Draw, Episode, Labelled, Target
from adapters.experiment import Experiment
from adapters.fitting import run
from adapters.maths import leave_one_out
from adapters.method import Axes, ChoiceLogits, Method, Space, State
from adapters.registry import LEFT_OUT, POLICIES
from adapters.selection import Chosen, candidates, chance, score, select, validation
from featcache.errors import ConfigError, EpisodeError, UnknownNameError
from tests import frozen
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


def test_what_no_picture_changes_is_done_once_a_setting(
    drawn: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.method.portion", lambda x: 1)  # a picture a portion
    made: list[Config] = []

    def scorer(state: State, config: Config) -> Any:
        made.append(config)
        return lambda x: logits(state, config, x)

    held = drawn.full_val
    assert held is not None
    assert len(held.labels) > 1
    plain = select(TOY, drawn.episode, Config(), held)
    found = select(replace(TOY, scorer=scorer), drawn.episode, Config(), held)
    assert (found.config, found.score, found.tried) == (plain.config, plain.score, plain.tried)
    assert len(made) == len({*made}) == found.tried


def test_a_missing_list_is_refused(drawn: Draw) -> None:
    says = (
        "animals has no pictures for policy full-val; take --policy loo, which needs none, or "
        "few-shot-val where training pictures are left over."
    )
    assert drawn.full_val is not None
    for held in (None, drawn.full_val.of(range(0))):
        with pytest.raises(EpisodeError) as refusal:
            validation(replace(drawn, full_val=held), "full-val")
        assert str(refusal.value) == says
    assert validation(replace(drawn, full_val=None), "few-shot-val") is drawn.few_shot_val


def test_the_first_best_wins(drawn: Draw) -> None:
    chosen = select(TOY, drawn.episode, Config(), drawn.full_val)
    assert chosen.config == Config(bias=0.0, depth=1)
    assert chosen.tried == 8
    assert chosen.score is not None


def held_of(drawn: Draw) -> Labelled:
    assert drawn.full_val is not None
    return drawn.full_val


def right(drawn: Draw, bias: float) -> float:
    """Per cent of the held-out pictures that are right, counted here."""
    held = held_of(drawn)
    scores = held.x @ drawn.episode.text.unit().T + torch.tensor([bias, 0, 0])
    return 100 * float((scores.argmax(1) == held.labels).double().mean())


def test_the_score_is_accuracy_in_per_cent(drawn: Draw) -> None:
    chosen = select(TOY, drawn.episode, Config(), held_of(drawn))
    assert chosen.score == pytest.approx(right(drawn, 0.0))
    worse = select(TOY, drawn.episode, Config(bias=9.0), held_of(drawn), frozenset({"bias"}))
    assert worse.score == pytest.approx(right(drawn, 9.0))
    assert worse.score < chosen.score
    logits = torch.eye(3)[held_of(drawn).labels]
    assert score(TOY, logits, held_of(drawn)) == 100.0
    wrong = logits.clone()
    wrong[:2] = -wrong[:2]
    assert score(TOY, wrong, held_of(drawn)) == pytest.approx(100 * 13 / 15)
    entropy = torch.nn.functional.cross_entropy(wrong, held_of(drawn).labels)
    found = score(replace(TOY, criterion="cross-entropy"), wrong, held_of(drawn))
    assert found == pytest.approx(float(entropy))


def test_the_best_is_found_wherever_it_stands(drawn: Draw) -> None:
    """Of biases in any order the one that decides nothing wins, with the state of its fit."""
    for order in ([0.0, 9.0, -9.0], [9.0, 0.0, -9.0], [9.0, -9.0, 0.0]):
        method = replace(TOY, space=lambda _, order=order: Space(fit={"bias": order}))
        chosen = select(method, drawn.episode, Config(), held_of(drawn))
        assert (chosen.config, chosen.tried) == (Config(bias=0.0), 3)


def test_settings_are_tried_in_the_order_of_the_space(drawn: Draw) -> None:
    fitted: list[Config] = []

    def noted(episode: Episode, config: Config, generator: Generator) -> State:
        fitted.append(config)
        return fit(episode, config, generator)

    def wide(config: Config) -> Space:
        return Space(fit={"depth": [3, 1], "bias": [1.0, 0.0]})

    method = replace(TOY, fit=noted, space=wide)
    select(method, drawn.episode, Config(), held_of(drawn))
    assert fitted == [Config(1.0, 3), Config(0.0, 3), Config(1.0, 1), Config(0.0, 1)]
    assert fitted == candidates(method, Config(), held_of(drawn))
    assert candidates(method, Config(), held_of(drawn), {"depth"}) == [Config(1.0), Config(0.0)]
    assert candidates(method, Config(5.0, 7), None) == [Config(5.0, 7)]


@pytest.mark.parametrize("criterion", ["accuracy", "cross-entropy"])
def test_a_portion_at_a_time_is_all_at_once(
    drawn: Draw, monkeypatch: pytest.MonkeyPatch, criterion: Any
) -> None:
    method = replace(TOY, criterion=criterion)
    whole = select(method, drawn.episode, Config(), held_of(drawn))
    monkeypatch.setattr("adapters.method.portion", lambda x: 24)  # rows x 2 x classes: 4 of 15
    parts = select(method, drawn.episode, Config(), held_of(drawn))
    assert (parts.config, parts.tried) == (whole.config, whole.tried)
    assert parts.score == pytest.approx(whole.score)


def test_a_portion_with_other_choices_is_an_error(
    drawn: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.method.portion", lambda x: 48)

    def fewer(state: State, config: Any, x: Tensor, axes: Axes) -> ChoiceLogits:
        for bias in axes["bias"][: 4 if len(x) == 8 else 2]:
            yield {"bias": bias}, logits(state, config, x)

    with pytest.raises(ValueError, match="zip"):
        select(replace(TOY, logits_over=fewer), drawn.episode, Config(), held_of(drawn))


def test_a_method_of_parts_chooses_by_itself(drawn: Draw) -> None:
    seen: list[Any] = []
    own = Chosen(Config(), {}, 1.0, 5)

    def choose(*asked: Any) -> Chosen:
        seen.extend(asked)
        return own

    held = held_of(drawn)
    found = select(replace(TOY, choose=choose), drawn.episode, Config(), held, {"depth"})
    assert found is own
    assert seen == [drawn.episode, Config(), held, {"depth"}]


def test_a_space_that_is_fixed_as_a_whole_is_not_judged(drawn: Draw) -> None:
    chosen = select(TOY, drawn.episode, Config(2.0, 2), held_of(drawn), {"bias", "depth"})
    assert (chosen.config, chosen.score, chosen.tried) == (Config(2.0, 2), None, 0)


def test_chance_is_the_episodes_seed_anew(drawn: Draw) -> None:
    wanted = torch.rand(3, generator=Generator().manual_seed(drawn.episode.seed))
    for _ in range(2):
        assert torch.equal(torch.rand(3, generator=chance(drawn.episode)), wanted)
    other = chance(replace(drawn.episode, seed=2))
    assert not torch.equal(torch.rand(3, generator=other), wanted)


def test_nothing_is_learned_from_held_out_pictures(drawn: Draw) -> None:
    """They are scored where torch keeps no graph."""
    seen: list[bool] = []

    def noted(state: State, config: Config, x: Tensor) -> Tensor:
        seen.append(torch.is_inference_mode_enabled())
        return logits(state, config, x)

    select(replace(TOY, logits=noted), drawn.episode, Config(), held_of(drawn))
    assert seen == [True] * 8


def test_what_was_chosen_stays_as_it_was() -> None:
    assert frozen.thawed(selection) == []


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


@pytest.mark.parametrize("criterion", ["accuracy", "cross-entropy"])
@pytest.mark.parametrize("policy", ["full-val", "loo"])
@pytest.mark.parametrize("axis", ["fit", "logits"])
def test_a_setting_whose_scores_are_no_numbers_wins_nowhere_in_the_order(
    drawn: Draw, criterion: Any, policy: str, axis: str
) -> None:
    orders: list[list[float]] = [[0.0, 1.0], [torch.nan, 0.0, 1.0], [0.0, torch.nan, 1.0]]
    found = []
    for biases in orders:
        tried = Space(**{axis: {"bias": biases}})
        method = replace(TOY, criterion=criterion, space=lambda _, tried=tried: tried)
        found.append(select(method, drawn.episode, Config(), validation(drawn, policy)))
    assert found[1].tried == found[2].tried == 3
    assert [each.config for each in found] == [found[0].config] * 3
    assert [each.score for each in found] == [found[0].score] * 3


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


def test_without_training_pictures_there_is_nothing_to_choose(tmp_path: Path) -> None:
    drawn = draw(make_entry(tmp_path, splits={"test": 9}), 1, 1)
    assert [validation(drawn, policy) for policy in POLICIES] == [None] * len(POLICIES)


def left_out(method: Method, drawn: Draw, policy: str, config: Any) -> Chosen:
    return select(method, drawn.episode, config, validation(drawn, policy, config))


@pytest.mark.parametrize("policy", LEFT_OUT)
def test_left_out_shots_choose_and_all_shots_fit(drawn: Draw, policy: str) -> None:
    """Of biases in any order the one that decides nothing wins, and every setting is tried."""
    seen: list[int] = []

    def noted(episode: Episode, config: Config, generator: Generator) -> State:
        seen.append(len(episode.support.labels))
        return fit(episode, config, generator)

    for order in ([0.0, 9.0, -9.0], [9.0, 0.0, -9.0], [9.0, -9.0, 0.0]):
        seen.clear()
        method = replace(TOY, fit=noted, space=lambda _, o=order: Space(fit={"bias": o}))
        chosen = left_out(method, drawn, policy, Config())
        assert (chosen.config, chosen.tried, chosen.note) == (Config(0.0), 3, None)
        assert chosen.score is not None
        folds = 2 if policy == "loo" else 1
        assert seen == [3] * (3 * folds) + [6]


def test_the_score_of_shots_left_out_is_pooled_over_folds(drawn: Draw) -> None:
    chosen = left_out(TOY, drawn, "loo", Config())
    support, text = drawn.episode.support, drawn.episode.text.unit()
    sums = leave_one_out.losses(support.x @ text.T, support.labels)
    assert chosen.score == pytest.approx(float(leave_one_out.least(sums)) / 6, rel=1e-5)
