"""What learners of prompts share: starts, sentences, recipes, other classes, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Generator
from torch.nn.functional import normalize

from adapters import compose, registry
from adapters.episode import TEXT_TOWER, Episode
from adapters.fitting import fit
from adapters.maths import training
from adapters.maths.prompts import Sentences
from adapters.maths.training import Tensors
from adapters.methods import _prompts as prompts
from adapters.methods._prompts import PAPER, PromptConfig, Step
from featcache import FeatureCache, ViewRecipe, encode_dataset, load_backbone, load_dataset
from featcache.errors import MethodError
from tests.adapters import synthetic
from tests.adapters.speaking import plain

EPISODE, TEST = synthetic.extended(*synthetic.episode(4, views=3))
TEXT = EPISODE.text
CPU = torch.device("cpu")


def generator() -> Generator:
    return Generator().manual_seed(1)


def ran(episode: Episode = EPISODE, **settings: object) -> dict[str, torch.Tensor]:
    config = PromptConfig(**settings)  # type: ignore[arg-type]
    return training.fit(prompts.prepare(episode, config, generator()))


def test_a_photo_of_a_without_a_step_is_the_hand_made_prompt() -> None:
    assert TEXT.tower is not None
    assert TEXT_TOWER in EPISODE.holds
    tower = TEXT.tower.on(CPU)
    ids = TEXT.tower.ids([f"a photo of a {name}." for name in TEXT.classnames])
    wanted = normalize(torch.cat([plain(tower, mine) for mine in ids]), dim=-1)
    config = PromptConfig()
    start = prompts.contexts(tower, TEXT, config, generator())
    found = prompts.class_vectors_of({"contexts": start}, config, TEXT)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_random_starts_are_as_coop_draws_them_and_of_the_given_chance() -> None:
    assert TEXT.tower is not None
    tower, config = TEXT.tower.on(CPU), PromptConfig(words="", context=400)
    drawn = prompts.contexts(tower, TEXT, config, generator())
    assert drawn.shape == (400, tower.width)
    assert drawn.std() == pytest.approx(prompts.START_SPREAD, rel=0.1)
    assert torch.equal(drawn, prompts.contexts(tower, TEXT, config, generator()))


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("position", ["end", "middle", "front"])
def test_parts_that_memory_has_room_for_learn_the_same(position: str, per_class: bool) -> None:
    config = PromptConfig(position=position, steps=3, learning_rate=0.01, words="")  # type: ignore[arg-type]
    seen: list[Sentences] = []

    def speak(those: Sentences, p: Tensors, text: torch.Tensor) -> torch.Tensor:
        seen.append(those)
        return prompts.spoken(those, p, text)

    def learned(config: PromptConfig) -> torch.Tensor:
        found = prompts.prepare(EPISODE, config, generator(), per_class=per_class, speak=speak)
        state = training.fit(found)
        assert (len(seen.pop().parts) > 1) == (config.room < 1e-3)
        return state["contexts"]

    whole, parts = learned(config), learned(replace(config, room=1e-9))
    assert whole.shape == ((synthetic.CLASSES,) if per_class else ()) + (16, synthetic.WIDTH)
    torch.testing.assert_close(parts, whole, atol=1e-4, rtol=1e-3)


def test_a_step_shows_an_objective_what_it_is_made_of() -> None:
    seen: list[Step] = []

    def objective(step: Step) -> torch.Tensor:
        seen.append(step)
        return step.cross_entropy

    config = PromptConfig(steps=2)
    state = training.fit(prompts.prepare(EPISODE, config, generator(), objective))
    plainly = ran(steps=2)
    assert all(torch.equal(state[name], each) for name, each in plainly.items())
    first = seen[0]
    labels = EPISODE.support.labels
    assert first.rows.bincount().tolist() == [2] * len(labels)
    assert torch.equal(first.labels, labels[first.rows])
    torch.testing.assert_close(first.logits, 100 * first.f @ first.classes.T)
    wanted = torch.nn.functional.cross_entropy(first.logits, first.labels)
    torch.testing.assert_close(first.cross_entropy, wanted)
    assert torch.equal(first.data["text"], TEXT.unit())


def test_published_epochs_drop_the_last_partial_batch() -> None:
    config = PromptConfig(**{**PAPER, "batch": 8})
    episode = replace(EPISODE, shots=1)
    rows = [batch["rows"] for batch in prompts.batches(episode, config, generator())]
    count = len(EPISODE.support.labels)
    assert len(rows) == 50 * (count // 8) == len(prompts.schedule(episode, config))
    assert {len(each) for each in rows} == {8}
    factors = prompts.schedule(episode, config)
    assert factors[0] == pytest.approx(1e-5 / 2e-3)
    assert factors[count // 8] == 1.0
    assert min(factors[1 + count // 8 :]) > 0
    many = [len(prompts.schedule(replace(episode, shots=k), config)) for k in (2, 4, 8, 16)]
    assert many == [each * (count // 8) for each in (100, 100, 200, 200)]


def test_steps_end_when_they_are_done_whatever_the_batch() -> None:
    for batch in (0, 7, 500):
        assert ran(steps=5, batch=batch)["text"].isfinite().all()
    start = ran(steps=0, epochs=1, batch=500, warm_up=0.0, optimiser="sgd")["contexts"]
    assert TEXT.tower is not None
    begun = prompts.contexts(TEXT.tower.on(CPU), TEXT, PromptConfig(), generator())
    assert torch.equal(start, begun)  # an epoch of warm-up at no rate


def test_other_classes_are_known_by_their_names() -> None:
    state, config = ran(steps=3), PromptConfig(steps=3)
    fewer = prompts.with_text(state, config, TEXT.of(range(1, 3)))
    torch.testing.assert_close(fewer["text"], state["text"][1:3], atol=1e-5, rtol=1e-5)
    assert torch.equal(fewer["contexts"], state["contexts"])
    each = training.fit(prompts.prepare(EPISODE, config, generator(), per_class=True))
    with pytest.raises(MethodError, match="none for new ones"):
        prompts.with_text(each, config, TEXT.of(range(2)))
    with pytest.raises(MethodError, match="base-to-new scores some"):
        prompts.prepare(replace(EPISODE, task="base-to-new"), config, generator(), per_class=True)


def test_layers_start_as_pytorch_starts_them() -> None:
    net = prompts.new_layers({"net": (32, 512)}, generator())
    assert {k: tuple(v.shape) for k, v in net.items()} == {
        "net.weight": (32, 512),
        "net.bias": (32,),
    }
    for each in net.values():
        assert each.abs().max() <= 512**-0.5
        assert each.std() == pytest.approx((3 * 512) ** -0.5, rel=0.3)


def test_what_cannot_be_is_refused_with_the_way_out() -> None:
    without = replace(EPISODE, text=replace(TEXT, tower=None))
    with pytest.raises(MethodError, match="featcache encode … --extra text-tower"):
        ran(without)
    with pytest.raises(MethodError, match="takes 34 tokens, and the text tower reads 32"):
        ran(words="", context=29)
    state = {"contexts": torch.zeros(2, 3)}
    with pytest.raises(MethodError, match="3 wide"):
        prompts.with_text(state, PromptConfig(), TEXT)


def test_products_are_halved_where_it_is_asked_for() -> None:
    assert prompts.precision(PromptConfig()) == torch.float32
    assert prompts.precision(PromptConfig(precision="bf16")) == torch.bfloat16
    near, exact = ran(steps=5, precision="bf16"), ran(steps=5)
    assert torch.cosine_similarity(near["text"], exact["text"]).min() > 0.99


def test_the_centre_crop_stands_beside_a_random_view() -> None:
    [batch] = prompts.batches(EPISODE, PromptConfig(steps=1), generator())
    rows, views = (each.chunk(2) for each in (batch["rows"], batch["views"]))
    assert torch.equal(*rows)
    assert not views[0].any()
    assert views[1].any()
    [alone] = prompts.batches(EPISODE, PromptConfig(steps=1, centre=False), generator())
    assert torch.equal(alone["rows"], rows[0])
    assert torch.equal(alone["views"], views[1])
    [one] = prompts.batches(synthetic.episode(4)[0], PromptConfig(steps=1), generator())
    assert len(one["rows"]) == len(rows[0])


@pytest.mark.slow
def test_on_the_demo_backbone_no_learner_harms_and_all_gain_by_sixteen_shots(
    tmp_path: Path,
) -> None:
    """On `digits`, mean of three draws: against zero-shot at 4 and 16 shots, and on new classes."""
    cache = FeatureCache(tmp_path)
    digits = load_dataset("digits", None)
    # As `featcache encode` makes them: 20, and no digit is mirrored.
    extras, views = ["text-tower"], ViewRecipe(20, flip=digits.flip)
    report = encode_dataset(digits, load_backbone("demo"), cache, views=views, extras=extras)
    entry = report.entry

    def accuracy(name: str, shots: int) -> float:
        found = [fit(entry, name, shots=shots, seed=seed).row["accuracy"] for seed in (1, 2, 3)]
        return float(sum(found)) / len(found)

    zero = accuracy("zero-shot", 16)
    learners = [n for n in registry.names() if TEXT_TOWER in compose.get(n).needs]
    for name in [*learners, "fma@coop", "fma@cocoop"]:
        assert accuracy(name, 4) >= zero - 3, name
        assert accuracy(name, 16) > zero, name
    new = [
        {row["target"]: row["accuracy"] for row in fit(entry, n, task="base-to-new").rows}["new"]
        for n in ("kgcoop", "zero-shot")
    ]
    assert new[0] >= new[1] - 2
