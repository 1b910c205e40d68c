"""Problems solved as one are problems solved one by one, and labels come last."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from adapters import registry
from adapters.compose import get
from adapters.configure import configure
from adapters.maths import training
from adapters.method import Space, State, choices
from adapters.problems import solving
from adapters.problems.reading import Listed, Problems, episode
from adapters.problems.solving import Solver, answers, right, settle, solve
from featcache.errors import MethodError
from tests.adapters.short import short

ABLE = [name for name in registry.names() if get(name).without_text]


def listed(problems: int, width: int = 16, seed: int = 0) -> Listed:
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(problems, 2, 7, width, generator=g)
    x = x + torch.randn(problems, 2, 1, width, generator=g)
    labels = torch.arange(2).expand(problems, 2).clone()
    concept = torch.zeros(problems, dtype=torch.long)
    return Listed("made", Problems(x[:, :, :-1], x[:, :, -1], concept), labels)


def solver(name: str, seed: int = 1) -> tuple[Solver, Any]:
    method = get(name)
    config, _ = configure(name, method, short(name))
    return Solver(name, method, 100.0, seed), config


@pytest.mark.parametrize("width", [16, 40])  # samples more and fewer than half the dimensions
@pytest.mark.parametrize("name", ABLE)
def test_many_as_one_are_each_alone(name: str, width: int) -> None:
    one, config = solver(name)
    problems = listed(3, width).problems
    axes = one.method.space(config).logits
    axes = {key: values[:3] for key, values in axes.items()}
    found = torch.cat([*answers(one, config, problems, axes)])
    for place, each in enumerate(one.episodes(problems)):
        prepared = one.method.prepare(each, config, one.chance()) if one.method.prepare else None
        state = training.fit(prepared) if prepared else one.method.fit(each, config, one.chance())
        for m, choice in enumerate(choices(axes)):
            x = one.method.input(problems.query[place])
            alone = one.method.logits(state, replace(config, **choice), x)
            torch.testing.assert_close(found[place, m], alone, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("name", ABLE)
def test_answers_do_not_depend_on_other_problems(name: str) -> None:
    one, config = solver(name)
    problems = listed(4, 40).problems
    every = torch.cat([*answers(one, config, problems, {})])
    few = Problems(problems.support[2:], problems.query[2:], problems.concept[2:])
    some = torch.cat([*answers(one, config, few, {})])
    torch.testing.assert_close(every[2:], some, rtol=1e-3, atol=2e-3)


def test_ncm_is_a_count_by_hand() -> None:
    one, config = solver("ncm")
    made = listed(40)
    found = solve(one, config, made)
    x, q = made.problems.support.double().numpy(), made.problems.query.double().numpy()
    each = []
    for support, queries in zip(x, q, strict=True):
        unit = support / np.linalg.norm(support, axis=-1, keepdims=True)
        means = unit.mean(1)
        means /= np.linalg.norm(means, axis=-1, keepdims=True)
        each.append(100 * np.mean((queries @ means.T).argmax(1) == [0, 1]))
    assert found.accuracy == pytest.approx(np.mean(each))
    assert found.standard_error == pytest.approx(np.std(each, ddof=1) / np.sqrt(40))
    assert found.queries == 80


def test_settings_have_the_best_mean_over_lists() -> None:
    one, config = solver("tip-adapter")
    held = [listed(4, seed=1), listed(9, seed=2)]
    found = settle(one, config, {"alpha", "alpha_scale"}, held)
    betas = one.method.space(config).logits["beta"]
    assert found.tried == len(betas)
    tried = [replace(config, beta=beta) for beta in betas]
    scores = [np.mean([solve(one, each, a).accuracy for a in held]) for each in tried[::20]]
    assert found.score is not None
    assert found.score >= max(scores) - 1e-9
    again = np.mean([solve(one, found.config, a).accuracy for a in held])
    assert again == pytest.approx(found.score)


def test_cross_entropy_is_the_least() -> None:
    one, config = solver("node-adapter")
    held = [listed(3, seed=1), listed(2, seed=2)]
    found = settle(one, config, frozenset(), held)
    values = {}
    for horizon in one.method.space(config).logits["horizon"]:
        losses = []
        for each in held:
            logits = torch.cat([*answers(one, replace(config, horizon=horizon), each.problems, {})])
            losses.append(
                torch.nn.functional.cross_entropy(logits[:, 0].flatten(0, 1), each.labels.flatten())
            )
        values[horizon] = float(torch.stack(losses).mean())
    assert found.score == pytest.approx(min(values.values()), rel=1e-3, abs=1e-4)


def test_settings_whose_scores_are_no_numbers_are_not_the_best() -> None:
    one, config = solver("node-adapter")

    def logits(state: State, config: Any, x: Any) -> torch.Tensor:
        return (config.horizon or torch.nan) * plain(state, config, x)

    plain, space = one.method.logits, Space(logits={"horizon": (0.0, 0.5, 1.0)})
    method = replace(one.method, logits=logits, logits_over=None, space=lambda _: space)
    found = settle(replace(one, method=method), config, frozenset(), [listed(3)])
    assert found.config.horizon
    assert found.score is not None
    assert found.score >= 0
    assert found.tried == 3


def test_labels_are_looked_at_when_all_answers_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    one, config = solver("ncm")
    made = listed(600)  # several portions
    answered = []
    real = solving.answers

    def counted(*asked: Any) -> Any:
        for logits in real(*asked):
            answered.append(len(logits))
            yield logits

    def looked(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        assert sum(answered) == 600
        return right(logits, labels)

    monkeypatch.setattr(solving, "answers", counted)
    monkeypatch.setattr(solving, "right", looked)
    before = solve(one, config, made).accuracy
    answered.clear()
    flipped = solve(one, config, replace(made, labels=1 - made.labels)).accuracy
    assert before + flipped == pytest.approx(100)


def test_scores_that_are_not_finite_have_no_accuracy() -> None:
    one, config = solver("ncm")
    made = listed(3)
    made.problems.query[1, 0, 0] = float("nan")
    with pytest.raises(MethodError, match="in 1 of 3 problems of made"):
        solve(one, config, made)


def test_a_fit_sees_its_support_and_a_text_that_adds_nothing() -> None:
    made = listed(2).problems
    prompts, mask = made.texts(None, "absent")
    seen = episode(made.support[0], prompts[0], mask[0], 100.0, 1)
    assert not seen.text.unit().any()
    assert torch.equal(seen.support.x, made.support[0].flatten(0, 1))
    assert seen.support.labels.tolist() == [0] * 6 + [1] * 6
