"""ProGrad's steps go against hand-made prompts in nothing; without mending it is CoOp."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.nn.functional import kl_div

from adapters import compose
from adapters.methods import prograd
from adapters.methods._prompts import Step
from tests.adapters import synthetic
from tests.adapters.methods import settings

EPISODE, _ = synthetic.extended(*synthetic.episode())
PROGRAD, COOP = compose.get("prograd"), compose.get("coop")


def learned(**overrides: Any) -> dict[str, Tensor]:
    return PROGRAD.fit(EPISODE, PROGRAD.config(**overrides), Generator().manual_seed(0))


def test_settings() -> None:
    settings.check(
        "prograd",
        {
            **settings.PROMPTS,
            "steps": (200, "[0, inf)"),
            "learning_rate": (5e-3, "(0, inf)"),
            "weight": (1.0, "[0, inf)"),
            "temperature": (1.0, "(0, inf)"),
            "padded": (False, (True, False)),
        },
        {"paper": {**settings.COOP_CODE, "padded": True}},
    )


def test_without_mending_it_is_coop() -> None:
    coop = COOP.fit(EPISODE, COOP.config(steps=10), Generator().manual_seed(0))
    found = learned(steps=10, weight=0.0, learning_rate=COOP.config().learning_rate)
    for name, each in coop.items():
        torch.testing.assert_close(found[name], each, atol=1e-4, rtol=1e-3)


def test_what_is_left_is_not_against_the_other_and_what_agrees_stays() -> None:
    g = Generator().manual_seed(2)
    b = torch.randn(3, 4, generator=g)
    for _ in range(10):
        a = torch.randn(3, 4, generator=g)
        found = prograd.mended(a, b, 1.0)
        if (a * b).sum() >= 0:
            assert torch.equal(found, a)
        else:
            assert float((found * b).sum()) == pytest.approx(0, abs=1e-5)
            torch.testing.assert_close(((a - found) * b).sum(), (a * b).sum())  # along b alone
    assert torch.equal(prograd.mended(a, torch.zeros_like(a), 1.0), a)


def test_what_is_distilled_differs_from_the_divergence_by_a_constant() -> None:
    g = Generator().manual_seed(2)
    f, text, logits = (torch.randn(n, 4, generator=g) for n in (5, 4, 5))
    nothing = torch.zeros(())
    rows = torch.arange(5)
    step = Step(text, f, rows, rows, logits, nothing, {}, {"text": text})
    config = prograd.Config(temperature=2.0)
    found = prograd.distilled(step, config, 3.0)
    known = (3 * f @ text.T / 2).softmax(1)
    wanted = kl_div((logits / 2).log_softmax(1), known, reduction="batchmean")
    entropy = -(known * known.log()).sum(1).mean()
    torch.testing.assert_close(found, 4 * (wanted + entropy))
    weighted = step._replace(data={"text": text, "weights": torch.tensor([5.0, 0, 0, 0, 0])})
    first = prograd.distilled(step._replace(f=f[:1], rows=rows[:1], logits=logits[:1]), config, 3.0)
    torch.testing.assert_close(prograd.distilled(weighted, config, 3.0), first)


def test_zeros_stand_before_the_words_of_the_released_start() -> None:
    plain, padded = (learned(steps=0, epochs=1, padded=p, warm_up=0.0, optimiser="sgd")["contexts"]
                     for p in (False, True))  # fmt: skip
    assert padded.shape == (16, synthetic.WIDTH)
    assert torch.equal(padded[-4:], plain)
    assert not padded[:-4].any()
