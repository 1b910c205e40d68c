"""NODE-Adapter-R: its identities, and its training written out an episode at a time."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, normalize
from torchdiffeq import odeint

from adapters import compose
from adapters.episode import Episode, Text
from adapters.maths import local_flow, mixture, odes, training
from tests.adapters import synthetic, whurs19
from tests.adapters.episodes import alike, make_episode
from tests.adapters.methods import settings

NODE = compose.get("node-adapter")
EPISODE, TEST = synthetic.episode()
# Classes of unequal size, one of them without pictures; 3 views, 4 classes in 16 dimensions.
RAGGED = make_episode((5, 0, 3, 4), views=3)
SMALL: dict[str, Any] = {"iterations": 6, "heads": 2, "head_width": 4, "learning_rate": 0.01}


def fit(episode: Episode = EPISODE, **settings: Any) -> tuple[Any, dict[str, Tensor]]:
    config = NODE.config(**{"iterations": 10, **settings})
    return config, NODE.fit(episode, config, Generator().manual_seed(0))


def prepared(episode: Episode = EPISODE, **settings: Any) -> training.Training:
    assert NODE.prepare is not None
    found = NODE.prepare(episode, NODE.config(**settings), Generator().manual_seed(0))
    assert found is not None
    return found


def test_settings() -> None:
    settings.check(
        "node-adapter",
        {
            "horizon": (1.0, "[0, 1]"),
            "mix": ("feature", ("feature", "class", "fixed")),
            "mix_value": (0.15, "[0, 1]"),
            "odds": (1.0, "[0, inf)"),
            "field": ("attention", ("attention", "local", "mlp")),
            "heads": (8, "[1, inf)"),
            "head_width": (8, "[1, inf)"),
            "rivals": (4, "[0, inf)"),
            "estimates": (4, "[1, inf)"),
            "fusion": ("variance", ("variance", "mean")),
            "talk": (True, (False, True)),
            "pull": (True, (False, True)),
            "solver": ("rk4", ("euler", "midpoint", "rk4", "dopri5")),
            "steps": (2, "[1, inf)"),
            "tolerance": (0.001, "(0, inf)"),
            "adjoint": (False, (False, True)),
            "renormalise": (True, (False, True)),
            "queries": (0.75, "(0, 1)"),
            "least_shots": (3, "[2, inf)"),
            "iterations": (60, "[0, inf)"),
            "episodes": (4, "[1, inf)"),
            "most_queries": (2048, "[1, inf)"),
            "learning_rate": (0.001, "(0, inf)"),
            "weight_decay": (0.01, "[0, inf)"),
            "text_weight": (0.0, "[0, inf)"),
            "move_new": (False, (False, True)),
        },
        {"local": {"field": "local"}},
    )
    assert NODE.criterion == "cross-entropy"


@pytest.mark.parametrize("field", ["attention", "mlp", "local"])
def test_untrained_the_prototypes_stay(field: str) -> None:
    _, state = fit(iterations=0, field=field, steps=3)
    assert state["prototypes"].shape == (4, 5, 16)
    for p in state["prototypes"]:
        assert torch.equal(p, state["prototypes"][0])


def test_lambda_0_is_zero_shot() -> None:
    config, state = fit(iterations=0, mix="fixed", mix_value=0.0)
    zero = compose.get("zero-shot")
    wanted = zero.logits(zero.fit(EPISODE, zero.config(), Generator()), zero.config(), TEST.x)
    torch.testing.assert_close(NODE.logits(state, config, TEST.x), wanted)


def test_lambda_1_is_the_nearest_class_mean() -> None:
    config, state = fit(iterations=0, mix="fixed", mix_value=1.0)
    x = normalize(EPISODE.support.x, dim=-1)
    means = torch.stack([x[EPISODE.support.labels == c].mean(0) for c in range(EPISODE.classes)])
    wanted = 100 * normalize(TEST.x, dim=-1) @ normalize(means, dim=-1).T
    torch.testing.assert_close(NODE.logits(state, config, TEST.x), wanted)


def starts(f: Tensor, rest: Tensor, parameters: Any, config: Any) -> tuple[Tensor, Tensor]:
    """p(0) and v of the ragged episode, class by class, from the pictures of the mask `rest`."""
    text, labels = RAGGED.text.unit(), RAGGED.support.labels
    p, v = [], []
    for c, t in enumerate(text):
        own = f[rest & (labels == c)]
        if not len(own):  # nothing but the text is known
            p.append(t)
            v.append(t)
            continue
        mean = own.mean(0)
        if config.renormalise:
            mean = mean / mean.norm()
        share = {
            "fixed": lambda mean: torch.tensor(config.mix_value),
            "class": lambda mean, c=c: parameters["mix"][c].sigmoid(),
            "feature": lambda mean: (mean @ parameters["mix"]).sigmoid(),
        }[config.mix](mean)
        p.append(share * mean + (1 - share) * t)
        v.append(mean)
    return torch.stack(p), torch.stack(v)


def flown(f: Tensor, rest: Tensor, parameters: Any, config: Any) -> Tensor:
    """The prototypes along the flow `[steps + 1, c, d]`, by torchdiffeq."""
    p, v = starts(f, rest, parameters, config)
    text, labels = RAGGED.text.unit(), RAGGED.support.labels
    # Each class's pictures after its text; what is missing or asked is zero and not there.
    own, there = torch.zeros(4, 6, 16), torch.zeros(4, 6, dtype=torch.bool)
    for c in range(4):
        samples = torch.cat([text[c : c + 1], f[rest & (labels == c)]])
        own[c, : len(samples)], there[c, : len(samples)] = samples, True
    near = local_flow.Neighbours(own, there, local_flow.nearest(p, config.rivals))

    def field(t: Tensor, p: Tensor) -> Tensor:
        if config.field == "local":
            heads = config.heads if config.talk else 0
            fused = config.fusion == "variance"
            return local_flow.velocity(parameters, p, near, t, heads, fused, config.pull)
        weight, bias = parameters["support.weight"], parameters["support.bias"]
        return odes.velocity(parameters, p, v @ weight.T + bias, t, config.heads)

    times, limit = torch.linspace(0, 1, config.steps + 1), config.tolerance
    found: Tensor = odeint(field, p, times, method=config.solver, rtol=limit, atol=limit)
    return found


def trained_by_hand(config: Any, warm: int) -> tuple[dict[str, Tensor], Tensor]:
    """Parameters and prototypes of the ragged episode after a plain loop of AdamW."""
    g = Generator().manual_seed(0)
    views, labels = normalize(RAGGED.support.views, dim=-1), RAGGED.support.labels
    width = config.heads * config.head_width
    if config.field == "local":
        net = local_flow.new(16, width, config.estimates, g)
    else:
        net = odes.new_velocity(16, width, config.field == "attention", g)
    if config.mix == "feature":
        net["mix"] = torch.randn(16, generator=g) / 100
    if config.mix == "class":
        net["mix"] = torch.zeros(4)
    net = {name: p.requires_grad_() for name, p in net.items()}
    adam = torch.optim.AdamW(
        net.values(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    for i in range(config.iterations):
        masks = [training.held_out(labels, 4, config.queries, g) for _ in range(config.episodes)]
        view = torch.randint(3, (config.episodes, 12), generator=g)
        losses = []
        for e, asked in enumerate(masks):
            f = views[view[e], torch.arange(12)]
            p = flown(f, ~asked, net, config)[-1]
            scores = 100 * f[asked] @ normalize(p, dim=-1).T
            # A class of one picture is nobody's rival, one of more counts as much as any other.
            scores[:, labels.bincount(minlength=4) < 2] = -math.inf
            each = cross_entropy(scores, labels[asked], reduction="none")
            losses.append((alike(labels)[asked] * each).mean())
        fall = (i - warm) / (config.iterations - warm)
        factor = (i + 1) / warm if i < warm else (1 + math.cos(math.pi * fall)) / 2
        adam.param_groups[0]["lr"] = config.learning_rate * factor
        adam.zero_grad()
        torch.stack(losses).mean().backward()
        adam.step()
    with torch.no_grad():
        prototypes = flown(views.mean(0), torch.ones(12, dtype=torch.bool), net, config)
    return {name: p.detach() for name, p in net.items()}, prototypes


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"mix": "class", "episodes": 1, "steps": 3, "solver": "midpoint"},
        {"mix": "fixed", "mix_value": 0.2, "queries": 0.4, "solver": "euler"},
        {"renormalise": False, "field": "mlp", "weight_decay": 0.5},
        {"iterations": 21, "heads": 1},  # two steps of warm-up
        {"field": "local", "heads": 2, "rivals": 2},
        {"field": "local", "estimates": 2, "fusion": "mean", "rivals": 1},
        {"field": "local", "talk": False, "rivals": 0},
        {"field": "local", "pull": False, "solver": "euler", "steps": 4},
    ],
)
def test_training_is_the_episodes_written_out(overrides: dict[str, Any]) -> None:
    config, state = fit(RAGGED, **(SMALL | overrides))
    net, prototypes = trained_by_hand(config, warm=2 if config.iterations > 20 else 1)
    assert state.keys() == {*net, "prototypes", "text", "logit_scale", "share"}
    assert state["share"].shape == (4, 1)
    for name, value in net.items():
        if name != "attention.in.bias":  # of keys: attention does not see it, rounding moves it
            torch.testing.assert_close(state[name], value, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(state["prototypes"], prototypes, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(state["text"], RAGGED.text.unit())
    assert torch.equal(state["prototypes"][0, 1], RAGGED.text.unit()[1])  # no pictures: its text
    assert state["logit_scale"] == 100
    assert not torch.allclose(prototypes[-1], prototypes[0], atol=1e-4)  # it does move


def test_dopri5_keeps_to_the_tolerance_it_is_given() -> None:
    rest, f = torch.ones(12, dtype=torch.bool), normalize(RAGGED.support.views, dim=-1).mean(0)
    for tolerance in (0.1, 1e-6):
        config = NODE.config(**(SMALL | {"solver": "dopri5", "tolerance": tolerance}))
        _, trained = fit(RAGGED, **(SMALL | {"solver": "dopri5", "tolerance": tolerance}))
        with torch.no_grad():
            wanted = flown(f, rest, trained, config)
        torch.testing.assert_close(trained["prototypes"], wanted, atol=1e-5, rtol=1e-4)


def test_rk4_and_dopri5_agree() -> None:
    ends = [fit(solver=solver)[1]["prototypes"][-1] for solver in ("rk4", "dopri5")]
    torch.testing.assert_close(*ends, atol=1e-3, rtol=0)


@pytest.mark.parametrize("field", ["attention", "local"])
def test_adjoint_trains_as_back_propagation_does(
    field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[bool] = []
    whole = odes.odeint_adjoint
    monkeypatch.setattr(odes, "odeint_adjoint", lambda *a, **k: used.append(True) or whole(*a, **k))
    ends = []
    for adjoint in (False, True):
        assert not used
        _, state = fit(adjoint=adjoint, steps=8, iterations=3, field=field)
        ends.append(state["prototypes"][-1])
    assert used
    torch.testing.assert_close(*ends, atol=1e-2, rtol=0)


def test_what_stacks_are_fixed_steps_without_the_adjoint_equation() -> None:
    fixed: list[odes.Solver] = ["euler", "midpoint", "rk4"]
    assert all(prepared(solver=solver).stacks for solver in fixed)
    assert not prepared(solver="dopri5").stacks
    assert not prepared(adjoint=True).stacks
    assert not prepared(solver="dopri5", adjoint=True).stacks


def test_runs_that_differ_in_what_the_loss_does_not_read_can_be_stacked() -> None:
    loss = prepared().loss.keywords
    unread = {"horizon": 0.5, "queries": 0.3, "weight_decay": 0.3, "text_weight": 0.5}
    unread |= {"odds": 2.0, "most_queries": 500, "move_new": True}
    for field, value in {**unread, "learning_rate": 0.5}.items():
        assert prepared(**{field: value}).loss.keywords == loss, field
    for field, value in {"steps": 3, "renormalise": False, "solver": "euler"}.items():
        assert prepared(**{field: value}).loss.keywords != loss, field


@pytest.mark.parametrize("shots", [1, 2])
def test_too_few_pictures_keep_their_prototypes(shots: int) -> None:
    episode, _ = synthetic.episode(shots)
    state = NODE.fit(episode, NODE.config(), Generator().manual_seed(0))
    assert torch.equal(state["prototypes"][-1], state["prototypes"][0])


@pytest.mark.parametrize(("least", "steps"), [(4, 7), (5, 7), (6, 0)])
def test_the_largest_class_says_whether_there_are_enough(least: int, steps: int) -> None:
    found = prepared(RAGGED, least_shots=least, iterations=7)
    assert len(found.schedule) == len(list(found.batches)) == steps


@pytest.mark.parametrize(("steps", "warm"), [(5, 1), (18, 1), (20, 2), (60, 6)])
def test_a_tenth_of_the_steps_is_warm_up(steps: int, warm: int) -> None:
    found = prepared(iterations=steps).schedule
    fall = [(1 + math.cos(math.pi * i / (steps - warm))) / 2 for i in range(steps - warm)]
    assert found == pytest.approx([(i + 1) / warm for i in range(warm)] + fall)


def test_the_mix_starts_near_a_half() -> None:
    wide, _ = synthetic.episode()
    start = prepared(wide).start["mix"]
    assert start.shape == (16,)
    assert 0.005 < start.std() < 0.02
    by_class = prepared(wide, mix="class").start["mix"]
    assert by_class.shape == (5,)
    assert not by_class.any()
    assert "mix" not in prepared(wide, mix="fixed").start


def test_the_network_is_as_wide_as_its_heads_together() -> None:
    start = prepared(heads=3, head_width=5).start
    assert start["prototype.weight"].shape == (15, 16)
    assert start["attention.in.weight"].shape == (45, 15)
    assert "attention.in.weight" not in prepared(field="mlp").start
    local = prepared(field="local", heads=3, head_width=5, estimates=2).start
    assert local["local.prototype"].shape == (15, 16)
    assert local["local.weight"].shape == (2, 15)


@pytest.mark.parametrize(("horizon", "step"), [(0, 0), (0.25, 1), (0.5, 2), (0.7, 3), (1, 4)])
def test_logits_are_cosines_at_the_horizon_and_the_text_beside_them(
    horizon: float, step: int
) -> None:
    config, state = fit(steps=4, horizon=horizon, text_weight=0.3)
    f = normalize(TEST.x, dim=-1)
    wanted = 100 * f @ normalize(state["prototypes"][step], dim=-1).T
    wanted = wanted + 0.3 * 100 * f @ EPISODE.text.unit().T
    torch.testing.assert_close(NODE.logits(state, config, TEST.x), wanted, atol=1e-3, rtol=1e-5)


def test_the_search_is_over_every_step_and_lambdas_around_its_own() -> None:
    found = NODE.space(NODE.config(steps=4))
    assert found.logits["horizon"] == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert found.logits["odds"] == (1.0, 0.0, 0.25, 0.5, 2.0, 4.0, 8.0)
    assert found.fit == {}
    assert "odds" not in NODE.space(NODE.config(mix="fixed")).logits


@pytest.mark.parametrize("shots", [1, 2])
@pytest.mark.parametrize("odds", [0.0, 0.3, 4.0])
def test_odds_mix_p0_anew_and_leave_the_flow_alone(shots: int, odds: float) -> None:
    episode, _ = synthetic.episode(shots)
    config, state = fit(episode, odds=odds, horizon=0)
    x, text, share = episode.support.keys(), episode.text.unit(), state["share"]
    v = normalize(torch.stack([x[episode.support.labels == c].mean(0) for c in range(5)]), dim=-1)
    grown = odds * share / (1 - share + odds * share)
    p = normalize(grown * v + (1 - grown) * text, dim=-1)
    wanted = 100 * normalize(TEST.x, dim=-1) @ p.T
    torch.testing.assert_close(NODE.logits(state, config, TEST.x), wanted, atol=1e-3, rtol=1e-4)
    far = replace(config, horizon=1.0)
    assert torch.equal(
        NODE.logits(state, far, TEST.x), NODE.logits(state, replace(far, odds=1.0), TEST.x)
    )


def test_untrained_lambda_is_what_leaving_out_says() -> None:
    one, two = (synthetic.episode(shots)[0] for shots in (1, 2))
    assert fit(one, mix="class")[1]["share"].flatten() == pytest.approx(0.15)
    assert fit(one, mix="class", mix_value=0.4)[1]["share"].flatten() == pytest.approx(0.4)
    support = two.support
    wanted = mixture.by_leaving_out(
        support.keys(), support.unit_views[0], support.labels, two.text.unit(), 100, 0.15, None
    )
    assert fit(two, mix="class")[1]["share"].flatten() == pytest.approx(float(wanted))
    assert fit(two, mix="feature")[1]["share"].flatten() == pytest.approx(float(wanted), abs=0.02)


def test_with_more_queries_than_the_most_there_are_fewer_episodes_then_fewer_of_one() -> None:
    # 40 pictures, of which 30 are asked about an episode.
    for most, episodes, asked in ((120, 4, 30), (119, 3, 30), (30, 1, 30), (29, 1, 29), (7, 1, 7)):
        batch = next(iter(prepared(most_queries=most).batches))
        assert batch["asked"].shape == (episodes, 40)
        assert batch["queries"].shape == (episodes, asked)
        for held, some in zip(batch["asked"], batch["queries"], strict=True):
            assert held.sum() == 30
            assert held[some].all()
            assert len(some.unique()) == asked


def test_the_trajectory_is_that_of_the_prototypes() -> None:
    config, state = fit(steps=3)
    assert NODE.trajectory is not None
    assert torch.equal(NODE.trajectory(state, config, TEST.x), state["prototypes"])


@pytest.mark.parametrize("field", ["attention", "mlp", "local"])
def test_new_classes_start_from_their_text_and_move_by_the_same_field(field: str) -> None:
    config, state = fit(field=field, rivals=2, move_new=True)
    assert NODE.with_text is not None
    one = EPISODE.text
    text = Text(one.prompts[:3], one.mask[:3], one.classnames[:3])
    found = NODE.with_text(state, config, text)
    start = text.unit()
    near = local_flow.Neighbours(
        start[:, None], torch.ones(3, 1, dtype=torch.bool), local_flow.nearest(start, 2)
    )

    def velocity(t: Tensor, p: Tensor) -> Tensor:
        if field == "local":
            return local_flow.velocity(state, p, near, t, 8, True, True)
        support = start @ state["support.weight"].T + state["support.bias"]
        return odes.velocity(state, p, support, t, 8)

    wanted = odeint(velocity, start, torch.linspace(0, 1, 3), method="rk4")
    torch.testing.assert_close(found["prototypes"], wanted, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found["prototypes"][-1], start)
    assert not found["prototypes"].requires_grad
    torch.testing.assert_close(found["text"], start)
    same = {name for name in state if torch.equal(state[name], found[name])}
    assert same == {*state} - {"prototypes", "text", "share"}


@pytest.mark.parametrize("odds", [1.0, 4.0])
def test_new_classes_stay_at_their_texts(odds: float) -> None:
    config, state = fit(odds=odds, horizon=0.5 if odds == 1 else 0.0)
    assert NODE.with_text is not None
    one = EPISODE.text
    text = Text(one.prompts[[3, 1]], one.mask[[3, 1]], ("d", "b"))
    found = NODE.logits(NODE.with_text(state, config, text), config, TEST.x)
    wanted = 100 * normalize(TEST.x, dim=-1) @ text.unit().T
    torch.testing.assert_close(found, wanted)


def test_permuting_the_classes_permutes_the_logits() -> None:
    order = torch.tensor([3, 0, 4, 1, 2])
    config, state = fit(iterations=0)
    again = NODE.fit(synthetic.permuted(EPISODE, order), config, Generator().manual_seed(0))
    found = NODE.logits(again, replace(config, horizon=1.0), TEST.x)[:, order]
    torch.testing.assert_close(found, NODE.logits(state, config, TEST.x), atol=1e-3, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("shots", "least"), [(4, 94.0), (16, 97.5)])
def test_measured(shared_data: Path, shots: int, least: float) -> None:
    assert whurs19.mean_accuracy(shared_data, "node-adapter", shots) >= least
