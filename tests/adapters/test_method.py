"""The contract of a method: what its functions are handed, and what holds where it is silent."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from torch import Generator, Tensor

from adapters import compose, registry
from adapters import method as room
from adapters.episode import Episode, Query
from adapters.maths.winners import hits
from adapters.method import (
    Axes,
    ChoiceLogits,
    Method,
    Scorer,
    Space,
    State,
    choices,
    query_of,
    refuse_new_classes,
)
from tests import frozen
from tests.adapters import synthetic


@dataclass(frozen=True)
class Config:
    shift: float = 0.0
    scale: float = 1.0


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    return {}


def logits(state: State, config: Config, x: Any) -> Tensor:
    x = x.x if isinstance(x, Query) else x
    return config.scale * x + config.shift


PLAIN = Method(Config, fit, logits)
QUERY = Query(torch.arange(14.0).reshape(7, 2), torch.rand(7, 3), torch.rand(7, 4, 2))


def test_a_method_needs_no_more_than_a_config_and_two_functions() -> None:
    assert PLAIN.space(Config()) == Space() == Space({}, {})
    assert (PLAIN.criterion, PLAIN.transductive) == ("accuracy", False)
    assert PLAIN.extras == frozenset()
    assert (PLAIN.status, PLAIN.source, PLAIN.new_classes) == ("as published", "", "")
    optional = ("scorer", "with_text", "logits_over", "features", "class_vectors", "trajectory")
    assert {getattr(PLAIN, name) for name in (*optional, "choose", "prepare")} == {None}
    assert (PLAIN.parts, PLAIN.presets) == ({}, {})


def test_a_method_without_extras_takes_bare_embeddings() -> None:
    assert PLAIN.input(QUERY) is QUERY.x
    assert PLAIN.input(QUERY.x) is QUERY.x


@pytest.mark.parametrize("word", ["reads", "needs"])
def test_a_method_that_looks_further_takes_a_query(word: str) -> None:
    further: Method = replace(PLAIN, **{word: frozenset({"patches", "views", "negative prompts"})})
    assert further.extras == {"patches"}  # views and prompts are no feature of a query
    assert further.input(QUERY) is QUERY
    bare = further.input(QUERY.x)
    assert isinstance(bare, Query)
    assert (bare.x, bare.pre, bare.patches) == (QUERY.x, None, None)
    both = replace(PLAIN, reads=frozenset({"patches"}), needs=frozenset({"pre-projection"}))
    assert both.extras == {"patches", "pre-projection"}


@given(some.integers(0, 9), some.integers(1, 40), some.integers(1, 9))
def test_portions_are_all_the_pictures_in_their_order(
    pictures: int, budget: int, classes: int
) -> None:
    """However many there is room for, and never fewer than one at a time."""
    query = Query(torch.arange(2.0 * pictures).reshape(pictures, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "portion", lambda x: budget)
        found = [*PLAIN.portions(query, classes)]
    most = max(budget // classes, 1)
    assert torch.equal(torch.cat([x for _, x in found]), query.x)
    assert all(torch.equal(query.x[rows], x) for rows, x in found)
    assert [len(x) for _, x in found[:-1]] == [most] * (len(found) - 1)
    assert len(found) == max(1, -(-pictures // most))


def test_a_transductive_method_gets_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "portion", lambda x: 4)
    whole = replace(PLAIN, transductive=True)
    assert len([*PLAIN.portions(QUERY, 2)]) == 4
    [(rows, x)] = whole.portions(QUERY, 2)
    assert torch.equal(x, QUERY.x)
    assert QUERY.x[rows].shape == QUERY.x.shape
    [(_, none)] = whole.portions(QUERY[:0], 2)
    assert len(none) == 0


def test_an_answer_does_not_depend_on_the_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = PLAIN.answer({}, Config(1.0, 2.0), QUERY, 2)
    assert torch.equal(whole, 2 * QUERY.x + 1)
    monkeypatch.setattr(room, "portion", lambda x: 4)
    assert torch.equal(PLAIN.answer({}, Config(1.0, 2.0), QUERY, 2), whole)
    assert PLAIN.answer({}, Config(), QUERY[:0], 2).shape == (0, 2)


def test_what_no_picture_changes_is_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    def scorer(state: State, config: Config) -> Scorer:
        begun.append(config)
        return lambda x: logits(state, config, x)

    quick = replace(PLAIN, scorer=scorer)
    monkeypatch.setattr(room, "portion", lambda x: 4)
    assert torch.equal(quick.answer({}, Config(2.0), QUERY, 2), QUERY.x + 2)
    assert begun == [Config(2.0)]
    assert torch.equal(PLAIN.scored_by({}, Config(2.0))(QUERY.x), QUERY.x + 2)


AXES: Axes = {"shift": [0.0, 1.0], "scale": [2.0, 3.0]}


def test_each_choice_has_its_logits_in_order() -> None:
    found = [*PLAIN.scores({}, Config(), QUERY.x, AXES)]
    assert [choice for choice, _ in found] == [*choices(AXES)]
    for choice, scores in found:
        assert torch.equal(scores, logits({}, Config(**choice), QUERY.x))
    [(none, scores)] = PLAIN.scores({}, Config(5.0), QUERY.x, {})
    assert none == {}
    assert torch.equal(scores, QUERY.x + 5)


def test_a_method_that_knows_a_shorter_way_takes_it_where_there_are_choices() -> None:
    def over(state: State, config: Config, x: Tensor, axes: Axes) -> ChoiceLogits:
        yield {"shift": 9.0}, x

    short = replace(PLAIN, logits_over=over)
    assert [choice for choice, _ in short.scores({}, Config(), QUERY.x, AXES)] == [{"shift": 9.0}]
    assert [choice for choice, _ in short.scores({}, Config(), QUERY.x, {})] == [{}]


@given(some.dictionaries(some.sampled_from("abcd"), some.lists(some.integers(), max_size=3)))
def test_choices_are_every_combination_the_first_axis_outermost(axes: Axes) -> None:
    found = [*choices(axes)]
    assert [tuple(choice.values()) for choice in found] == [*itertools.product(*axes.values())]
    assert all([*choice] == [*axes] for choice in found)


def test_a_query_is_taken_as_it_is() -> None:
    assert query_of(QUERY) is QUERY
    assert query_of(QUERY.x).x is QUERY.x


def test_the_refusal_of_new_classes_names_the_method_and_a_way_out() -> None:
    assert str(refuse_new_classes("gda")).startswith("gda has parameters for the classes it was")
    assert "zero-shot" in str(refuse_new_classes("gda"))


def test_a_contract_stays_as_it_was_made() -> None:
    assert frozen.thawed(room) == []


def _named(has: str) -> list[str]:
    return [name for name in registry.names() if getattr(compose.get(name), has) is not None]


@pytest.mark.parametrize("name", _named("hits_over"))
def test_hits_over_the_grid_are_those_of_its_logits(name: str) -> None:
    m = compose.get(name)
    episode, test = synthetic.episode(shots=2)
    x = test.x + 3 * torch.randn(test.x.shape, generator=torch.Generator().manual_seed(0))
    config = m.config(**({"epochs": 2} if hasattr(m.config, "epochs") else {}))
    state = m.fit(episode, config, torch.Generator().manual_seed(0))
    axes = m.space(config).logits
    assert m.hits_over is not None
    for kept in [axes, *({key: values} for key, values in axes.items())]:
        wanted = [(c, hits(each, test.labels)) for c, each in m.scores(state, config, x, kept)]
        assert [*m.hits_over(state, config, kept)(x, test.labels)] == wanted
    assert len({hit for _, hit in wanted}) > 1


@pytest.mark.parametrize("name", _named("fit_over"))
def test_fits_together_are_the_fits_alone(name: str) -> None:
    m = compose.get(name)
    episode, _ = synthetic.episode(shots=3)
    config = m.config()
    axes = {key: [*values][::-1] for key, values in m.space(config).fit.items()}
    assert m.fit_over is not None
    together = [*m.fit_over(episode, config, axes, torch.Generator().manual_seed(0))]
    assert [choice for choice, _ in together] == [*choices(axes)]
    for choice, state in together:
        alone = m.fit(episode, replace(config, **choice), torch.Generator().manual_seed(0))
        assert state.keys() == alone.keys()
        assert all(torch.equal(state[key], alone[key]) for key in state)
