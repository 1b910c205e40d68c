"""ProDA is CoOp with one context; its bound is that of a Gaussian with their covariance."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize

from adapters import compose
from adapters.configure import configure
from adapters.methods import _prompts as prompts
from adapters.methods import proda
from tests.adapters import synthetic
from tests.adapters.methods import settings

EPISODE, _ = synthetic.extended(*synthetic.episode())
PRODA, COOP = compose.get("proda"), compose.get("coop")


def learned(**overrides: Any) -> dict[str, Tensor]:
    return PRODA.fit(EPISODE, PRODA.config(**overrides), Generator().manual_seed(0))


def test_settings() -> None:
    settings.check(
        "proda",
        {
            **settings.PROMPTS,
            "contexts": (8, "[1, inf)"),
            "chosen": (0, "[0, inf)"),
            "spread": (0.01, "[0, inf)"),
            "orthogonality": (0.1, "[0, inf)"),
            "mixed": (True, (True, False)),
        },
        {"paper": {**settings.COOP_CODE, "words": "", "contexts": 32, "chosen": 4}},
    )


def test_one_context_is_coop() -> None:
    coop = COOP.fit(EPISODE, COOP.config(steps=10), Generator().manual_seed(0))
    found = learned(steps=10, contexts=1, spread=0.0)
    torch.testing.assert_close(found["contexts"][0], coop["contexts"], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found["text"], coop["text"], atol=1e-5, rtol=1e-4)


def test_the_bound_is_that_of_a_gaussian() -> None:
    """By whole covariances: s f (mu_c - mu_y) + s^2 f (S_yy + S_cc - S_yc - S_cy) f / 2."""
    g = Generator().manual_seed(1)
    p, c, d, s = 3, 4, 6, 5.0
    vectors = normalize(torch.randn(p, c, d, generator=g, dtype=torch.float64), dim=-1)
    f = normalize(torch.randn(7, d, generator=g, dtype=torch.float64), dim=-1)
    labels = torch.randint(c, (7,), generator=g)
    found = proda.bound(f, labels, vectors, s)
    mean = vectors.mean(0)
    apart = vectors - mean
    a = torch.einsum("pid,pjd->ijd", apart, apart) / (p + 1)
    for row, (x, y) in enumerate(zip(f, labels.tolist(), strict=True)):
        for k in range(c):
            spread = (x**2 * (a[y, y] + a[k, k] - 2 * a[y, k])).sum()
            torch.testing.assert_close(found[row, k], s * x @ mean[k] + s**2 / 2 * spread)


def test_contexts_without_a_name_are_kept_apart() -> None:
    x = torch.tensor([[1.0, 0], [0.6, 0.8], [0, -1]])
    assert float(proda.alike(x)) == pytest.approx((0.6 + 0 + 0.8) / 3)
    near, far = (
        learned(steps=30, learning_rate=0.02, contexts=3, orthogonality=w)["contexts"]
        for w in (0.0, 50.0)
    )
    [stop] = prompts.ids_of(EPISODE.text, ["."])
    tower = prompts.tower_of(EPISODE.text)
    bare = proda.sentences.sentences(tower, [[]], [stop], 4)
    cosines = [
        float(proda.alike(normalize(proda.sentences.encode(bare, v)[:, 0], dim=-1)))
        for v in (near, far)
    ]
    assert cosines[1] < cosines[0]


def test_half_stand_at_the_end_and_a_step_takes_some_of_each_place() -> None:
    config, _ = configure("proda", PRODA, {"preset": "paper"})
    assert {k: len(r) for k, r in proda.places(config).items()} == {
        "front": 8, "middle": 8, "end": 16
    }  # fmt: skip
    batch = next(proda._batches(EPISODE, config, Generator().manual_seed(0)))
    assert {k: len(batch[k]) for k in ("front", "middle", "end")} == {
        "front": 1, "middle": 1, "end": 2
    }  # fmt: skip
    for position, each in proda.places(config).items():
        assert {*batch[position].tolist()} <= {*each}
    assert proda.places(PRODA.config(contexts=3)) == {"end": range(3)}
    assert proda.places(PRODA.config(mixed=False, position="front")) == {"front": range(8)}


def test_the_mean_is_what_classes_are() -> None:
    state, config = learned(steps=2, contexts=4), PRODA.config(contexts=4)
    apart = [
        prompts.class_vectors_of({"contexts": v}, PRODA.config(position=position), EPISODE.text)
        for v, position in zip(state["contexts"], ("front", "middle", "end", "end"), strict=True)
    ]
    torch.testing.assert_close(state["text"], torch.stack(apart).mean(0), atol=1e-5, rtol=1e-4)
    again = proda.with_text(state, config, EPISODE.text)["text"]
    assert torch.equal(again, state["text"])
