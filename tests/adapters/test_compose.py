"""Composition: sums and flows on top, through the one door every method takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

import adapters
from adapters import compose
from adapters.compose import _by_picture, get
from adapters.configure import configure
from adapters.episode import Episode, Text
from adapters.method import Method
from adapters.registry import names
from adapters.selection import Chosen, select
from featcache.errors import MethodError, UnknownNameError
from tests.adapters import synthetic
from tests.entries import make_entry


def test_a_sum_adds_standardised_logits(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    x = adapters.draw(entry, 4, 1).test.x
    both = adapters.fit(entry, "sum:zero-shot+tip-adapter", shots=4).adapter
    alone = [
        adapters.fit(entry, name, shots=4).adapter.logits(x)
        for name in ("zero-shot", "tip-adapter")
    ]
    expected = sum((s - s.mean(1, keepdim=True)) / s.std(1, keepdim=True) for s in alone)
    torch.testing.assert_close(both.logits(x), expected)


def test_a_part_that_tells_no_classes_apart_adds_nothing_to_a_sum() -> None:
    episode, test = synthetic.episode(4)
    both, alone = get("sum:zero-shot+ncm"), get("ncm")

    def scores(method: Method, episode: Episode) -> Tensor:
        chosen = select(method, episode, method.config(), None)
        return method.logits(chosen.state, chosen.config, test.x)

    same = episode.text.prompts[:1].expand_as(episode.text.prompts)
    by_pictures = replace(episode, text=replace(episode.text, prompts=same))
    own = scores(alone, by_pictures)
    expected = (own - own.mean(1, keepdim=True)) / own.std(1, keepdim=True)
    torch.testing.assert_close(scores(both, by_pictures), expected)
    one = replace(episode, support=episode.support.of(range(1)), text=episode.text.of(range(1)))
    assert not scores(both, one).any()
    with_infinity = torch.tensor([[1.0, 2.0, torch.inf], [1.0, 2.0, 3.0]])
    assert compose._standardised(with_infinity).isfinite().all(1).tolist() == [False, True]
    unknown = replace(test, x=test.x.index_fill(0, torch.tensor([2]), torch.nan))
    logits = both.logits(select(both, episode, both.config(), None).state, both.config(), unknown.x)
    assert logits.isfinite().all(1).logical_not().nonzero().flatten().tolist() == [2]


def test_saved_and_loaded_it_scores_the_same(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    x = adapters.draw(entry, 4, 1).test.x
    outcome = adapters.fit(entry, "sum:zero-shot+tip-adapter", shots=4, **{"tip-adapter.beta": 2.0})
    assert outcome.row["config"]["tip_adapter"]["beta"] == 2.0
    again = adapters.load(outcome.adapter.save(tmp_path / "adapter"))
    torch.testing.assert_close(again.logits(x), outcome.adapter.logits(x), rtol=0, atol=0)


def test_a_base_without_a_space_is_refused() -> None:
    with pytest.raises(MethodError, match="sum:tip-adapter"):
        get("fma@tip-adapter")


BASES = [
    n for n in names() if (get(n).features or get(n).class_vectors) is not None and not get(n).needs
]


@pytest.mark.parametrize("base", BASES)
def test_fma_on_every_base(tmp_path: Path, base: str) -> None:
    """At zero steps the flow scores by cosine to the base's class vectors, in its space."""
    entry = make_entry(tmp_path)
    drawn = adapters.draw(entry, 4, 1)
    still = adapters.fit(entry, "fma", shots=4, base=base, inference_steps=0, steps=3)
    assert still.adapter.method == f"fma@{base}"
    again = adapters.load(still.adapter.save(tmp_path / "adapter"))
    torch.testing.assert_close(again.logits(drawn.test.x), still.adapter.logits(drawn.test.x))


def test_an_unknown_method_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="tip-adapter"):
        get("tip-adaptor")
    with pytest.raises(UnknownNameError, match="taskres"):
        get("fma@taskre")


def test_what_a_top_needs_must_be_in_the_space_of_its_base() -> None:
    with pytest.raises(MethodError, match=r"prolip needs pre-projection.*sum:taskres[+]prolip"):
        get("prolip@taskres")


def test_the_whole_reads_needs_and_judges_as_its_parts() -> None:
    both = get("sum:prolip+attn-adapter")
    assert both.needs == get("prolip").needs | get("attn-adapter").needs == {"pre-projection"}
    assert both.extras == {"pre-projection", "patches"}
    assert [*both.parts] == ["prolip", "attn-adapter"]
    assert both.criterion == "accuracy"
    assert get("sum:gda+transclip").transductive
    assert not get("sum:gda+ncm").transductive
    assert get("fma@taskres").criterion == get("fma").criterion
    assert get("fma@taskres") is get("fma@taskres")


def test_parts_are_chosen_one_after_the_other(tmp_path: Path) -> None:
    """The base by itself; the top in its space; the whole tried as many as both."""
    entry = make_entry(tmp_path)
    base = adapters.fit(entry, "taskres", shots=4, epochs=3)
    whole = adapters.fit(entry, "tip-adapter@taskres", shots=4, **{"taskres.epochs": 3})
    assert whole.row["config"]["taskres"] == base.row["config"]
    top = adapters.fit(entry, "tip-adapter", shots=4)
    assert whole.row["tried"] == base.row["tried"] + top.row["tried"]
    assert whole.row["val_score"] is not None
    assert adapters.fit(entry, "sum:gda+ncm", shots=4).row["val_score"] is None


EPISODE, TEST = synthetic.extended(*synthetic.episode(4))
FEW = replace(TEST, x=TEST.x[::10], labels=TEST.labels[::10], ids=TEST.ids[::10])
PROMPTED = {"coop": {"steps": 3}, "cocoop": {"steps": 3}, "clip-adapter": {"steps": 3}}


def flowing(base: str, steps: int, text: Text | None = None) -> tuple[Tensor, Tensor]:
    """Logits of a flow of so many steps on a base and of that base, for other classes too."""
    both, alone = get(f"fma@{base}"), get(base)
    own = {f"{base}.{key}": value for key, value in PROMPTED[base].items()}
    settings = {**own, "fma.steps": 4, "fma.width": 8, "fma.inference_steps": steps}
    config, _ = configure(f"fma@{base}", both, settings)
    state = select(both, EPISODE, config, None).state
    part = getattr(config, base.replace("-", "_"))
    low = select(alone, EPISODE, part, None).state
    if text is not None:
        assert both.with_text is not None
        assert alone.with_text is not None
        state, low = both.with_text(state, config, text), alone.with_text(low, part, text)
    return both.logits(state, config, FEW.x), alone.logits(low, part, FEW.x)


@pytest.mark.parametrize("base", PROMPTED)
@pytest.mark.parametrize("classes", [0, 3])
def test_a_flow_of_no_step_is_its_base_for_other_classes_too(base: str, classes: int) -> None:
    text = EPISODE.text.of(range(classes)) if classes else None
    found, wanted = flowing(base, 0, text)
    assert found.shape == (len(FEW.x), classes or EPISODE.classes)
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-4)
    assert (flowing(base, 5, text)[0] - wanted).norm() > 1e-3


def test_a_flow_goes_to_the_class_as_each_picture_reads_it() -> None:
    base = get("cocoop")
    config = base.config(steps=3, silent=False, position="middle")
    state = base.fit(EPISODE, config, Generator().manual_seed(0))
    assert base.class_vectors_by is not None
    every = base.class_vectors_by(state, config, FEW.x, None)
    own = base.class_vectors_by(state, config, FEW.x, FEW.labels)
    rows = torch.arange(len(FEW.x))
    torch.testing.assert_close(own, every[rows, FEW.labels], atol=1e-5, rtol=1e-5)


def test_steps_of_a_flow_are_chosen_by_classes_as_each_picture_reads_them() -> None:
    both = get("fma@cocoop")
    config, _ = configure("fma@cocoop", both, {"cocoop.steps": 3, "fma.steps": 4, "fma.width": 8})
    chosen = select(both, EPISODE, config, FEW)
    scores = []
    for m in range(11):
        own = replace(chosen.config, fma=replace(chosen.config.fma, inference_steps=m))
        logits = both.logits(chosen.state, own, FEW.x)
        scores.append(float(torch.nn.functional.cross_entropy(logits, FEW.labels)))
    assert scores[chosen.config.fma.inference_steps] == pytest.approx(min(scores), abs=1e-4)


def test_a_method_that_knows_one_vector_a_class_is_not_fitted_on_classes_by_the_picture() -> None:
    with pytest.raises(MethodError, match=r"by the picture, and gda .* sum:cocoop[+]gda"):
        get("gda@cocoop")


def test_hits_of_the_classes_as_they_were_are_none_of_those_by_the_picture() -> None:
    def hits(*asked: Any) -> Any:
        raise AssertionError("these are hits of other classes")

    top, low = replace(get("fma"), hits_over=hits), Chosen(None, {}, None, 0)
    assert _by_picture(top, get("cocoop"), low).hits_over is None
