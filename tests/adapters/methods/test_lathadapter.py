"""LatHAdapter-R: the identities of its parts, its mining and its hierarchy written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypotheses
from hypothesis import strategies as st
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, normalize

from adapters.compose import get
from adapters.episode import Episode, Text
from adapters.maths import text_tower, training
from adapters.method import State
from adapters.methods import _prompts as prompts
from adapters.methods import lathadapter
from adapters.methods.lathadapter import Config
from tests.adapters import synthetic
from tests.adapters.methods import lathadapter_by_hand as by_hand
from tests.adapters.methods import settings

EPISODE, TEST = synthetic.episode()
# So many views that a batch hardly has one twice, which would tie distances.
VIEWS, _ = synthetic.episode(shots=4, views=300)
QUICK: dict[str, Any] = {"steps": 15, "attributes": 8, "batch": 20, "reduction": 1}
# The hierarchy loud enough to be heard, the bottleneck not square (5 by 16).
LOUD: dict[str, Any] = {
    "steps": 5,
    "attributes": 6,
    "batch": 12,
    "reduction": 3,
    "neighbours": 3,
    "triplets": 3,
    "weight": 0.8,
    "every": 1,
    "training_ratio": 0.4,
    "learning_rate": 0.01,
    "margin": 0.3,
}


def fit(episode: Episode = EPISODE, **overrides: Any) -> tuple[State, Config]:
    config = Config(**(QUICK | overrides))
    return lathadapter.fit(episode, config, Generator().manual_seed(0)), config


def logits(**overrides: Any) -> Tensor:
    state, config = fit(**overrides)
    return lathadapter.method.logits(state, config, TEST.x)


def zero_shot() -> Tensor:
    zero = get("zero-shot")
    return zero.logits(zero.fit(EPISODE, zero.config(), Generator()), zero.config(), TEST.x)


def test_settings() -> None:
    settings.check(
        "lathadapter",
        {
            "ratio": (0.1, "[0, 1]"),
            "training_ratio": (0.1, "[0, 1]"),
            "sides": ("both", ("both", "image", "text")),
            "reduction": (4, "[1, inf)"),
            "last_relu": (False, (False, True)),
            "weight": (0.1, "[0, inf)"),
            "every": (3, "[1, inf)"),
            "keep": (3.0, "[0, inf)"),
            "attributes": (64, "[2, inf)"),
            "start": ("k-means", ("k-means", "random")),
            "attention": (False, (False, True)),
            "model": ("poincare", ("poincare", "lorentz")),
            "curvature": (0.1, "(0, inf)"),
            "learn_curvature": (False, (False, True)),
            "scale": (2.0, "(0, inf)"),
            "radius": (2.3, "(0, inf)"),
            "neighbours": (20, "[1, inf)"),
            "one_sided": (False, (False, True)),
            "triplets": (4, "[1, inf)"),
            "temperature": (0.1, "(0, inf)"),
            "margin": (0.1, "[0, inf)"),
            "learning_rate": (0.001, "(0, inf)"),
            "weight_decay": (0.01, "[0, inf)"),
            "batch": (80, "[1, inf)"),
            "steps": (300, "[0, inf)"),
            "attribute_prompts": (0, "[0, inf)"),
        },
        {
            "default": {},
            "plain": {"weight": 0.0},
            "each-step": {"every": 1},
            "prompts": {"attribute_prompts": 4},
        },
    )
    assert lathadapter.LLOYD == 20  # small supports converge sooner, large ones do not
    assert lathadapter.space(Config()).logits == {"ratio": (0.0, 0.05, 0.1)}
    assert lathadapter.space(Config(training_ratio=0.6)).logits == {"ratio": (0.0, 0.3, 0.6)}
    assert lathadapter.space(Config()).fit == {}
    assert lathadapter.method.criterion == "cross-entropy"


def two_branches(config: Config) -> Tensor:
    """Two bottleneck adapters trained by cross-entropy, written out."""
    generator = Generator().manual_seed(0)
    views = normalize(EPISODE.support.views, dim=-1)
    text, labels = EPISODE.text.unit(), EPISODE.support.labels
    rows = [training.random_rows(len(labels), config.batch, generator) for _ in range(config.steps)]
    weights: dict[str, Tensor] = {}
    for name in ("image.0", "image.1", "text.0", "text.1"):
        bound = views.shape[-1] ** -0.5  # square layers, as `reduction` is 1
        uniform = torch.rand(views.shape[-1], views.shape[-1], generator=generator)
        weights[name] = bound * (2 * uniform - 1)

    def scores(p: Any, x: Tensor, r: float) -> Tensor:
        def branch(x: Tensor, side: str) -> Tensor:
            moved = ((x @ p[f"{side}.0"].T).relu() @ p[f"{side}.1"].T).relu()
            return normalize((1 - r) * x + r * moved, dim=-1)

        return EPISODE.logit_scale * branch(x, "image") @ branch(text, "text").T

    def loss(p: Any, rows: Tensor) -> Tensor:
        return cross_entropy(scores(p, views[0, rows], config.training_ratio), labels[rows])

    schedule = training.cosine(config.steps)
    trained = training.adamw(weights, loss, rows, config.learning_rate, schedule)
    return scores(trained, normalize(TEST.x, dim=-1), config.ratio)


def test_without_the_hierarchy_it_is_two_adapters_to_the_bit() -> None:
    settings = {"weight": 0.0, "keep": 0.0, "last_relu": True, "training_ratio": 0.3}
    plain = logits(**settings)
    assert torch.equal(plain, two_branches(Config(**QUICK, **settings)))
    others = {"attributes": 3, "model": "lorentz", "curvature": 1.0}
    assert torch.equal(plain, logits(**settings, **others))


def test_the_hierarchy_changes_what_is_learned() -> None:
    assert not torch.allclose(logits(), logits(weight=0.0))


def test_ratio_0_is_zero_shot() -> None:
    torch.testing.assert_close(logits(ratio=0.0), zero_shot())


@pytest.mark.parametrize("side", ["image", "text"])
def test_one_side_leaves_the_other_as_it_was(side: str) -> None:
    state, config = fit(sides=side)
    texts_moved = not torch.allclose(lathadapter.class_vectors(state, config), state["class"])
    f = normalize(TEST.x, dim=-1)
    pictures_moved = not torch.allclose(lathadapter.features(state, config, TEST.x), f)
    assert (pictures_moved, texts_moved) == (side == "image", side == "text")


def test_attention_starts_from_nothing() -> None:
    torch.testing.assert_close(
        logits(attention=True, steps=0), logits(attention=False, steps=0), atol=1e-4, rtol=1e-4
    )
    assert not torch.allclose(logits(attention=True), logits(attention=False))


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"model": "lorentz", "keep": 0.0, "weight_decay": 0.4},
        {"learn_curvature": True, "curvature": 0.7, "start": "random"},
        {"one_sided": True, "neighbours": 2, "last_relu": True},
        {"attention": True, "steps": 4, "every": 2},
        {"sides": "image", "scale": 2.99, "radius": 3.0},
        {"sides": "text", "temperature": 0.5, "triplets": 2, "margin": 0.0},
        {"neighbours": 99, "scale": 0.5},
    ],
)
def test_training_is_the_hierarchy_written_out(overrides: dict[str, Any]) -> None:
    state, config = fit(VIEWS, **(LOUD | overrides))
    wanted = by_hand.trained(VIEWS, config)
    assert state.keys() == {*wanted, "class", "logit_scale"}
    for name, value in wanted.items():
        torch.testing.assert_close(state[name], value, atol=1e-4, rtol=1e-3)
    assert torch.equal(state["class"], VIEWS.text.unit())
    assert state["logit_scale"] == 100


def test_without_a_part_its_parameters_are_not_there() -> None:
    layers = {f"{side}.{i}" for side in ("image", "text") for i in (0, 1)}
    attention = {"image.attention", "text.attention"}

    def names(**overrides: Any) -> set[str]:
        config = Config(**overrides)
        return {*lathadapter.new_parameters(EPISODE.support.keys(), config, Generator())}

    assert names(weight=0) == layers
    assert names() == layers | {"attributes", "scale", "curvature"}
    assert names(weight=0, attention=True) == layers | {"attributes"} | attention


@pytest.mark.parametrize(("reduction", "width"), [(4, 4), (16, 1), (99, 1), (3, 5)])
def test_the_bottleneck_is_a_part_of_the_width_and_one_at_least(reduction: int, width: int) -> None:
    config = Config(reduction=reduction)
    found = lathadapter.new_parameters(EPISODE.support.keys(), config, Generator())
    assert found["image.0"].shape == (width, 16)
    assert found["text.1"].shape == (16, width)


def test_k_means_finds_the_groups_that_are_there() -> None:
    corners = torch.eye(3, 7)
    f = normalize(corners.repeat_interleave(20, 0) + 0.01, dim=1)
    found = lathadapter._attributes(f, Config(attributes=30), Generator().manual_seed(0))
    torch.testing.assert_close(found.norm(dim=1), torch.ones(30))
    apart = torch.cdist(f, found)
    assert apart.min(1).values.max() < 1e-3


def test_classes_are_numbered_as_pictures_show_them() -> None:
    text, labels = torch.eye(5), torch.tensor([3, 1, 3, 0, 1])
    moved, numbers = lathadapter._by_appearance(text, labels)
    assert numbers.tolist() == [0, 1, 0, 2, 1]
    assert moved.argmax(1).tolist() == [3, 1, 0, 2, 4]  # those without pictures last


@pytest.mark.parametrize(
    "overrides",
    [
        {"model": "lorentz"},
        {"learn_curvature": True},
        {"one_sided": True},
        {"start": "random"},
        {"keep": 0.0},
        {"last_relu": True},
        {"batch": 1},
        {"batch": 2},
        {"scale": 100.0, "radius": 100.0},
        {"attributes": 2},
    ],
)
def test_every_choice_trains(overrides: dict[str, Any]) -> None:
    state, config = fit(**overrides)
    assert all(p.isfinite().all() for p in state.values())
    assert lathadapter.method.logits(state, config, TEST.x).isfinite().all()


def test_keeping_moves_less() -> None:
    f = normalize(TEST.x, dim=-1)

    def moved(keep: float) -> float:
        state, config = fit(keep=keep, steps=60)
        return (lathadapter.adapt(state, "image", f, config) - f).norm().item()

    assert moved(100.0) < moved(0.0)


@pytest.mark.parametrize("sides", ["both", "image", "text"])
@pytest.mark.parametrize("attention", [False, True])
def test_logits_are_cosines_of_what_the_adapters_make(sides: str, attention: bool) -> None:
    state, config = fit(sides=sides, attention=attention, ratio=0.3, reduction=3)
    f = normalize(TEST.x[:7], dim=-1)
    g = torch.stack([by_hand.moved(state, "image", x, 0.3, config) for x in f])
    t = torch.stack([by_hand.moved(state, "text", x, 0.3, config) for x in EPISODE.text.unit()])
    wanted = 100 * normalize(g, dim=1) @ normalize(t, dim=1).T
    found = lathadapter.method.logits(state, config, TEST.x[:7])
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-5)
    unit = lathadapter.features(state, config, TEST.x[:7])
    torch.testing.assert_close(unit, normalize(g, dim=1))


@pytest.mark.parametrize("attention", [False, True])
def test_features_of_several_views_are_those_of_each(attention: bool) -> None:
    state, config = fit(attention=attention, ratio=0.3)
    views = torch.stack([TEST.x[:6], TEST.x[6:12], TEST.x[12:18]])  # [v, n, d]
    found = lathadapter.features(state, config, views)
    for one, x in zip(found, views, strict=True):
        torch.testing.assert_close(one, lathadapter.features(state, config, x))


@hypotheses(deadline=None)
@given(
    n=st.integers(1, 12),
    k=st.integers(1, 30),
    one_sided=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_triplets_are_near_and_far_and_never_the_anchor(
    n: int, k: int, one_sided: bool, seed: int
) -> None:
    generator = Generator().manual_seed(seed)
    x = torch.rand(n, 2, generator=generator)
    labels = torch.randint(3, (n,), generator=generator)
    d = torch.cdist(x, x)
    config = Config(neighbours=k, triplets=3, one_sided=one_sided)
    i, j, far = lathadapter.triplets(d, labels, config, generator.manual_seed(seed))
    assert len(i) == len(j) == len(far)
    assert not (i == j).any()
    assert not (i == far).any()
    assert not (j == far).any()
    # A near point of the anchor's class never gives way to a far one of another class.
    assert not ((labels[i] == labels[far]) & (labels[i] != labels[j])).any()
    wanted = by_hand.triplets(d, labels, config, generator.manual_seed(seed))
    assert [*zip(i.tolist(), j.tolist(), far.tolist(), strict=True)] == wanted


def test_triplets_of_five_points_on_a_line() -> None:
    """At 0, 1, 3, 7 and 15, with a neighbour each: 0 and 1 have each other, the rest nobody."""
    at = torch.tensor([0.0, 1.0, 3.0, 7.0, 15.0])
    d, labels = (at[:, None] - at).abs(), torch.arange(5)
    found = lathadapter.triplets(d, labels, Config(neighbours=1, triplets=60), Generator())
    near_and_far: dict[int, tuple[set[int], set[int]]] = {}
    for i, j, k in zip(*(x.tolist() for x in found), strict=True):
        near, far = near_and_far.setdefault(i, (set(), set()))
        near.add(j)
        far.add(k)
    # 2 looks up to 1, so it is neither near nor far from it.
    assert near_and_far == {0: ({1}, {2, 3, 4}), 1: ({0}, {3, 4})}
    config = Config(neighbours=1, triplets=60, one_sided=True)
    i, _, k = lathadapter.triplets(d, labels, config, Generator())
    assert {*k[i == 1].tolist()} == {2, 3, 4}


def test_points_of_a_class_are_nearer_than_any_others() -> None:
    at = torch.tensor([0.0, 0.1, 5.0, 5.1, 9.0])
    labels = torch.tensor([0, 1, 0, 1, 2])
    d = (at[:, None] - at).abs()
    i, j, _ = lathadapter.triplets(d, labels, Config(neighbours=1, triplets=5), Generator())
    assert {*zip(i.tolist(), j.tolist(), strict=True)} == {(0, 2), (2, 0), (1, 3), (3, 1)}


def test_draws_are_of_the_true_columns_alike() -> None:
    mask = torch.tensor([[False, True, False, True, True], [True, False, False, False, False]])
    drawn = lathadapter._draw(mask, 6000, Generator().manual_seed(0))
    shares = torch.bincount(drawn[0], minlength=5) / 6000
    torch.testing.assert_close(shares, torch.tensor([0, 1, 0, 1, 1]) / 3, atol=0.03, rtol=0)
    assert not drawn[1].any()


def test_ancestors_are_drawn_by_their_softmax_and_have_its_gradient() -> None:
    """The Gumbel-max theorem: P(a) is the softmax of -d / tau."""
    config = Config(temperature=0.5)
    d = torch.tensor([0.2, 0.7, 0.4]).expand(20000, 3).clone().requires_grad_()
    found = lathadapter._choose(d, config, Generator().manual_seed(0))
    assert {*found.detach().round(decimals=4).unique().tolist()} == {0.0, 1.0}
    shares, wanted = found.detach().mean(0), (-d[0] / 0.5).softmax(0).detach()
    torch.testing.assert_close(shares, wanted, atol=0.015, rtol=0)
    gumbel = -(-torch.rand(20000, 3, generator=Generator().manual_seed(0)).log()).log()
    weights = torch.tensor([1.0, -2.0, 0.5])
    [slope] = torch.autograd.grad((found @ weights).sum(), d)
    soft = (gumbel - d / 0.5).softmax(1)
    [same] = torch.autograd.grad((soft @ weights).sum(), d)
    torch.testing.assert_close(slope, same)


def test_where_there_are_no_triplets_the_level_is_nothing() -> None:
    config, x = Config(), torch.eye(2)

    def apart(x: Tensor, y: Tensor) -> Tensor:
        return torch.cdist(x, y)

    found = lathadapter._level(x, torch.eye(2), torch.arange(2), apart, config, Generator())
    assert found == 0


def test_new_classes_go_through_the_text_adapter() -> None:
    state, config = fit()
    one = EPISODE.text
    text = Text(one.prompts[[3, 1]], one.mask[[3, 1]], ("d", "b"))
    renamed = lathadapter.with_text(state, config, text)
    found = lathadapter.method.logits(renamed, config, TEST.x)
    torch.testing.assert_close(found, lathadapter.method.logits(state, config, TEST.x)[:, [3, 1]])


def test_attributes_may_be_prompts_that_the_text_tower_reads() -> None:
    episode, _ = synthetic.extended(*synthetic.episode())
    short = {"steps": 3, "attributes": 4, "attribute_prompts": 2, "learning_rate": 0.01}
    method = get("lathadapter")
    start, learned = (
        method.fit(episode, method.config(**(short | more)), Generator().manual_seed(0))
        for more in ({"steps": 0}, {"weight": 1.0})
    )
    assert learned["prompts"].shape == (4, 2, synthetic.WIDTH)
    assert not torch.equal(learned["prompts"], start["prompts"])
    tower = prompts.tower_of(episode.text)
    for vectors, found in zip(learned["prompts"], learned["attributes"], strict=True):
        words = text_tower.embed(tower, torch.tensor([tower.start, tower.stop]))
        x = torch.cat([words[:1], vectors, words[1:]])[None, None]
        wanted = text_tower.encode(tower, x, torch.tensor([3]))[0, 0]
        torch.testing.assert_close(found, normalize(wanted, dim=0), atol=1e-5, rtol=1e-4)
