"""Composition: sums and flows on top, through the one door every method takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import adapters
from adapters.compose import get
from adapters.registry import names
from featcache.errors import MethodError, UnknownNameError
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
