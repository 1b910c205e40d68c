"""Composition: sums and flows on top, through the one door every method takes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

import adapters
from adapters.compose import get
from adapters.configure import configure
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


def test_settings_reach_their_part() -> None:
    name = "sum:zero-shot+tip-adapter"
    config, fixed = configure(name, get(name), {"tip-adapter.alpha": 3})
    assert config.tip_adapter.alpha == 3
    assert fixed == {"tip_adapter.alpha"}
    again, _ = configure(name, get(name), asdict(config))
    assert again == config
    with pytest.raises(UnknownNameError, match="tip-adapter"):
        configure(name, get(name), {"gda.alpha": 3})


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
