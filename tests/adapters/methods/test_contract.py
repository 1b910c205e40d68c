"""What every registered method has to fulfil; a new method is tested by being there."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Generator, Tensor

from adapters import compose, registry
from adapters.choosing.folds import trains
from adapters.configure import configure
from adapters.episode import Episode, Labelled, Query, Support
from adapters.method import Method, State, choices
from adapters.selection import select
from adapters.sweeping.stacking import fit_all
from featcache.errors import ConfigError, MethodError, UnknownNameError
from tests.adapters import synthetic
from tests.adapters.short import short

NAMES = registry.names()
# Smaller than the defaults, where those take seconds on a toy.
PROMPTS = {"steps": 30, "learning_rate": 0.02}
QUICK: dict[str, dict[str, Any]] = {
    "cocoop": {**PROMPTS, "steps": 40, "batch": 0},
    "coop": PROMPTS,
    "fma": {"width": 32, "steps": 150},
    "hoso-adapter": {"hidden": 16, "learning_rate": 0.02},  # the toy is narrow
    "kgcoop": PROMPTS,
    "lathadapter": {
        "steps": 40,
        "attributes": 8,
        "reduction": 1,
        "learning_rate": 0.03,
        "ratio": 0.6,
        "training_ratio": 0.6,
    },
    "node-adapter": {"iterations": 20},
    "proda": {**PROMPTS, "contexts": 4},
    "prograd": PROMPTS,
    "prolip": {"learning_rate": 0.01},
    "tcp": PROMPTS,
    "text-lora": PROMPTS,
    "tmm": PROMPTS,
    "taskres": {"text_norm": 1.0},  # the toy is narrow: Adam moves each coordinate by the rate
}
EPISODE, TEST = synthetic.extended(*synthetic.episode())
UNBALANCED = synthetic.extended(*synthetic.episode(16, lead=True))
WITHOUT_TEXT = {"linear-probe", "ncm"}
RAW = {"linear-probe"}
BY_CHANNEL = {"ape"}  # it chooses among the coordinates
ORDER = torch.tensor([3, 0, 4, 1, 2])

pytestmark = pytest.mark.parametrize("name", NAMES)


def quick(name: str) -> tuple[Method, Any]:
    m = compose.get(name)
    return m, m.config(**QUICK.get(name, {}))


def asked(name: str, pictures: Labelled = TEST) -> Tensor | Query:
    """The test pictures as the method takes them."""
    return compose.get(name).input(pictures.query)


def fit(name: str, episode: Episode, seed: int = 0) -> State:
    m, config = quick(name)
    return m.fit(episode, config, Generator().manual_seed(seed))


def unbalanced(counts: tuple[int, ...], of: Episode = UNBALANCED[0]) -> Episode:
    """The first so many pictures of each class."""
    place = torch.arange(len(of.support.labels)) % 16
    kept = place < torch.tensor(counts)[of.support.labels]
    s = of.support
    ids = tuple(one for one, keep in zip(s.ids, kept.tolist(), strict=True) if keep)
    assert s.pre is not None
    assert s.patches is not None
    few = replace(
        s, views=s.views[:, kept], labels=s.labels[kept], ids=ids, pre=s.pre[:, kept],
        patches=s.patches[kept],
    )  # fmt: skip
    return replace(of, support=few)


def text_alone() -> float:
    zero = compose.get("zero-shot")
    episode, test = UNBALANCED
    state = zero.fit(episode, zero.config(), Generator())
    logits = zero.logits(state, zero.config(), test.x)
    return (logits.argmax(1) == test.labels).double().mean().item()


def own_at_one_shot(name: str) -> float:
    """A method that knows no text, on one picture of each class."""
    m, config = quick(name)
    state = fit(name, unbalanced((1, 1, 1, 1, 1)))
    logits = m.logits(state, config, m.input(UNBALANCED[1].query))
    return (logits.argmax(1) == UNBALANCED[1].labels).double().mean().item()


@cache
def fitted(name: str) -> State:
    return fit(name, EPISODE)


# Short trainings: what is stacked differs by rounding, and that grows with the steps.
SHORT = {"steps": 20, "iterations": 5, "epochs": 5}


def shortened(config: Any) -> Any:
    """The config with few steps, where it trains by any."""
    if not hasattr(config, "learning_rate"):  # a solver says itself when it is done
        return config
    short = {k: min(v, getattr(config, k)) for k, v in SHORT.items() if hasattr(config, k)}
    return replace(config, **{k: v for k, v in short.items() if v})


def variants(config: Any) -> dict[str, Any]:
    """The config with each of its real numbers changed, one at a time."""
    found = {"as it is": config}
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(value, float):
            found[field.name] = replace(config, **{field.name: 0.7 * value or 0.3})
    return found


def accuracy(logits: Tensor) -> float:
    return (logits.argmax(1) == TEST.labels).double().mean().item()


def test_logits_have_a_finite_score_for_each_class(name: str) -> None:
    m, config = quick(name)
    logits = m.logits(fitted(name), config, asked(name))
    assert logits.shape == (len(TEST.x), EPISODE.classes)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()
    assert not logits.requires_grad


def test_same_seed_same_state_whatever_the_global_one(name: str) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    again = fit(name, EPISODE)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert again.keys() == fitted(name).keys()
    for key, value in fitted(name).items():
        assert torch.equal(again[key], value), key


def test_numbering_of_classes_does_not_matter(name: str) -> None:
    m, config = quick(name)
    state = fit(name, synthetic.permuted(EPISODE, ORDER))
    logits = m.logits(state, config, asked(name))[:, ORDER]
    torch.testing.assert_close(
        logits, m.logits(fitted(name), config, asked(name)), atol=1e-2, rtol=1e-3
    )


@settings(deadline=None, max_examples=2)
@given(st.sampled_from([0.25, 4.0, 64.0]), st.sampled_from([0.25, 4.0]))
def test_lengths_of_embeddings_do_not_matter(name: str, pictures: float, texts: float) -> None:
    """Powers of two, so that nothing is rounded; all views of a picture are as much longer."""
    if name in RAW:
        pytest.skip("its penalty is on raw embeddings")
    m = compose.get(name)
    config = m.config(**short(name))

    def answer(k: float, t: float) -> Tensor:
        support, text, negative = EPISODE.support, EPISODE.text, EPISODE.negative
        assert negative is not None
        assert support.patches is not None
        assert TEST.patches is not None
        episode = replace(
            EPISODE,
            support=replace(support, views=k * support.views, patches=k * support.patches),
            text=replace(text, prompts=t * text.prompts),
            negative=replace(negative, prompts=t * negative.prompts),
        )
        state = m.fit(episode, config, Generator().manual_seed(0))
        query = replace(TEST.query, x=k * TEST.x, patches=k * TEST.patches)
        return m.logits(state, config, m.input(query))

    assert torch.equal(answer(pictures, texts), answer(1, 1))


@settings(deadline=None, max_examples=3)
@given(st.integers(0, 999))
def test_algebra_knows_no_order_of_pictures_and_no_axes(name: str, seed: int) -> None:
    """The support shuffled, and pictures and texts turned by one rotation."""
    m, config = quick(name)
    if trains(config):
        pytest.skip("chance goes by row")
    g = Generator().manual_seed(seed)
    s, text = EPISODE.support, EPISODE.text
    order = torch.randperm(len(s.labels), generator=g)
    turn = torch.eye(synthetic.WIDTH)
    if name not in BY_CHANNEL:
        turn = torch.linalg.qr(torch.randn(turn.shape, generator=g)).Q
    ids = tuple(s.ids[row] for row in order.tolist())
    support = Support(s.views[:, order] @ turn, s.labels[order], ids)
    turned = replace(
        EPISODE, support=support, text=replace(text, prompts=text.prompts @ turn, tower=None)
    )
    state = m.fit(turned, config, Generator().manual_seed(0))
    logits = m.logits(state, config, TEST.x @ turn)
    before = m.logits(fitted(name), config, TEST.x)
    torch.testing.assert_close(logits, before, atol=2e-3, rtol=1e-3)


def test_better_than_misleading_text(name: str) -> None:
    m, config = quick(name)
    if m.support_free:
        pytest.skip("it is the text")
    zero = compose.get("zero-shot")
    by_text = zero.logits(fitted("zero-shot"), zero.config(), TEST.x)
    assert accuracy(m.logits(fitted(name), config, asked(name))) > accuracy(by_text) + 0.1


@pytest.mark.parametrize(("shots", "views"), [(1, 1), (1, 3), (2, 1), (4, 3)])
def test_few_shots_and_several_views(name: str, shots: int, views: int) -> None:
    m, config = quick(name)
    config = shortened(config)
    episode, _ = synthetic.extended(*synthetic.episode(shots, views))
    state = m.fit(episode, config, Generator().manual_seed(0))
    assert m.logits(state, config, asked(name)).isfinite().all()


def test_what_it_reads_may_be_missing_but_not_what_it_needs(name: str) -> None:
    m, config = quick(name)
    episode, test = synthetic.episode()
    if m.needs:
        with pytest.raises(MethodError, match="has none"):
            fit(name, episode)
    elif m.reads:
        logits = m.logits(fit(name, episode), config, m.input(test.query))
        assert logits.isfinite().all()
        assert not torch.allclose(logits, m.logits(fitted(name), config, asked(name)))
    else:
        assert isinstance(asked(name), Tensor)


def test_other_classes_or_a_refusal(name: str) -> None:
    m, config = quick(name)
    if m.with_text is None:
        return
    text = EPISODE.text.of(range(3))
    try:
        state = m.with_text(fitted(name), config, text)
    except MethodError:
        return
    assert m.logits(state, config, asked(name)).shape == (len(TEST.x), 3)


# What a method may lose to the text on 42 unbalanced pictures: half of what it would by never
# answering one of the five classes, which is what happened to small and absent classes.
MARGIN = 0.1


@pytest.mark.parametrize("counts", [(16, 1, 6, 3, 16), (16, 0, 6, 3, 16)])
def test_classes_of_different_size_count_alike(name: str, counts: tuple[int, ...]) -> None:
    """Fitted as `select` does; the absent class is scored too, by what its text says."""
    m, config = quick(name)
    state = select(m, unbalanced(counts), config, None).state
    logits = m.logits(state, config, m.input(UNBALANCED[1].query))
    assert logits.shape == (len(UNBALANCED[1].x), EPISODE.classes)
    assert logits.isfinite().all()
    least = text_alone() if name not in WITHOUT_TEXT else own_at_one_shot(name)
    right = logits.argmax(1) == UNBALANCED[1].labels
    assert right.double().mean().item() >= least - MARGIN


def test_a_fit_without_a_stand_in_is_finite(name: str) -> None:
    m, config = quick(name)
    logits = m.logits(fit(name, unbalanced((4, 0, 2, 3, 4))), config, asked(name))
    assert logits.shape == (len(TEST.x), EPISODE.classes)
    assert logits.isfinite().all()


def test_state_survives_its_file(name: str) -> None:
    m, config = quick(name)
    state = fitted(name)
    assert all(isinstance(value, Tensor) and not value.requires_grad for value in state.values())
    read = load(save({name: value.contiguous().clone() for name, value in state.items()}))
    assert torch.equal(m.logits(read, config, asked(name)), m.logits(state, config, asked(name)))


def test_space_names_settings_and_holds_values_they_take(name: str) -> None:
    m, config = quick(name)
    space = m.space(config)
    known = {field.name for field in fields(m.config)}
    assert {*space.fit, *space.logits} <= known
    for axis, values in {**space.fit, **space.logits}.items():
        for value in values:
            assert getattr(replace(config, **{axis: value}), axis) == value


def test_the_grid_is_the_logits_at_each_choice(name: str) -> None:
    m, config = quick(name)
    axes = m.space(config).logits
    wanted = list(choices(axes))
    assert [choice for choice, _ in m.scores(fitted(name), config, asked(name), axes)] == wanted
    scores = m.scores(fitted(name), config, asked(name), axes)
    for choice, logits in itertools.islice(scores, 0, None, max(len(wanted) // 20, 1)):
        direct = m.logits(fitted(name), replace(config, **choice), asked(name))
        torch.testing.assert_close(logits, direct, atol=1e-3, rtol=1e-4)


def test_the_grid_does_without_axes_that_the_user_fixed(name: str) -> None:
    m, config = quick(name)
    axes = m.space(config).logits
    for kept in axes:
        value = axes[kept][-1]
        [(choice, logits)] = m.scores(fitted(name), config, asked(name), {kept: [value]})
        assert choice == {kept: value}
        direct = m.logits(fitted(name), replace(config, **choice), asked(name))
        torch.testing.assert_close(logits, direct, atol=1e-3, rtol=1e-4)


def test_pictures_in_portions_are_answered_and_chosen_on_as_all_at_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    m, config = quick(name)
    fit = replace(m, fit=lambda *_: fitted(name))
    whole = m.logits(fitted(name), config, asked(name))
    chosen = select(fit, EPISODE, config, TEST)
    few = len(TEST.labels) // 3 - 1  # so that there are four portions or more
    monkeypatch.setattr("adapters.maths.kernels.CACHED", few * EPISODE.classes)
    parts = m.answer(fitted(name), config, TEST.query, EPISODE.classes)
    torch.testing.assert_close(parts, whole, atol=1e-4, rtol=1e-4)
    again = select(fit, EPISODE, config, TEST)
    assert (again.config, again.tried) == (chosen.config, chosen.tried)
    assert (again.score is None) == (chosen.score is None)
    if again.score is not None:
        assert again.score == pytest.approx(chosen.score, rel=1e-4)


def test_settings_that_cannot_be_are_refused(name: str) -> None:
    m = compose.get(name)
    with pytest.raises(UnknownNameError):
        configure(name, m, {"no_such_setting": 1})
    for field, info in getattr(m.config, "__pydantic_fields__", {}).items():
        assert info.description, f"{name}: {field} has no description"
        if info.annotation is not str:  # words of one's own are taken as they are
            with pytest.raises(ConfigError, match=field):
                configure(name, m, {field: "no such value"})
        for bound in info.metadata:
            least = getattr(bound, "ge", getattr(bound, "gt", None))
            if least is not None:
                with pytest.raises(ConfigError, match=field):
                    configure(name, m, {field: least - 1})


def test_a_stacked_training_is_the_training_alone(name: str) -> None:
    """Up to rounding: batched products of matrices add in another order, and Adam scales up."""
    m, config = quick(name)
    if m.prepare is None:
        return
    config = shortened(config)
    runs = {(key, seed): each for key, each in variants(config).items() for seed in (1, 2)}
    episodes = {seed: synthetic.episode(4, views=3, seed=seed)[0] for seed in (1, 2)}

    def prepared(key: str, seed: int) -> Any:
        assert m.prepare is not None
        return m.prepare(episodes[seed], runs[key, seed], Generator().manual_seed(seed))

    found = fit_all({run: prepared(*run) for run in runs}, "on", {}).fitted
    assert {("as it is", 1), ("as it is", 2), ("learning_rate", 1), ("learning_rate", 2)} <= {
        *found
    }
    for (key, seed), stacked in found.items():
        own = runs[key, seed]
        alone = m.fit(episodes[seed], own, Generator().manual_seed(seed))
        assert stacked.state.keys() == alone.keys()
        for part, value in alone.items():
            # Attention does not see the biases of its keys, so rounding alone is their gradient.
            if part != "attention.in.bias":
                gap = (stacked.state[part] - value).norm()
                assert gap <= 1e-3 * value.norm() + 1e-6, (key, part)
        logits = [m.logits(state, own, TEST.x) for state in (stacked.state, alone)]
        torch.testing.assert_close(*logits, atol=1e-2, rtol=1e-3)
        assert accuracy(logits[0]) == accuracy(logits[1])


def test_presets_are_configs(name: str) -> None:
    m = compose.get(name)
    for preset in m.presets:
        configure(name, m, {"preset": preset})
