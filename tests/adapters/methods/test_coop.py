"""CoOp learns what its pictures tell apart, for names it has not seen too."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, normalize

from adapters import compose
from adapters.configure import configure
from adapters.maths import text_tower
from tests.adapters import synthetic
from tests.adapters.methods import settings

EPISODE, TEST = synthetic.extended(*synthetic.episode())
COOP = compose.get("coop")


def fit(**overrides: Any) -> tuple[dict[str, Tensor], Any]:
    config, _ = configure("coop", COOP, overrides)
    return COOP.fit(EPISODE, config, Generator().manual_seed(0)), config


def loss(state: dict[str, Tensor]) -> float:
    f = normalize(EPISODE.support.x, dim=-1)
    return float(cross_entropy(100 * f @ state["text"].T, EPISODE.support.labels))


def test_settings() -> None:
    settings.check(
        "coop",
        {**settings.PROMPTS, "per_class": (False, (True, False))},
        {
            "paper": {**settings.COOP_CODE, "words": "", "context": 16},
            "paper-words": settings.COOP_CODE,
        },
    )


def test_published_steps_are_sgd_on_the_plain_sentences() -> None:
    """By hand: whole padded sequences, momentum and decay, an epoch of warm-up, the cosine."""
    assert EPISODE.text.tower is not None
    tower = EPISODE.text.tower.on(torch.device("cpu"))
    names = EPISODE.text.tower.ids([f"{name}." for name in EPISODE.text.classnames])
    [words] = EPISODE.text.tower.ids(["a photo of a"])
    rows = [[tower.start, *[0] * len(words), *name, tower.stop] for name in names]
    ids = torch.zeros(len(rows), tower.context, dtype=torch.long)
    for row, mine in zip(ids, rows, strict=True):
        row[: len(mine)] = torch.tensor(mine)
    fixed = text_tower.embed(tower, ids)
    v = text_tower.embed(tower, torch.tensor(words)).clone().requires_grad_()
    f, labels = normalize(EPISODE.support.x, dim=-1), EPISODE.support.labels
    sgd = torch.optim.SGD([v], lr=1, momentum=0.9, weight_decay=5e-4)
    rate = 0.05
    for factor in (1e-5 / rate, 1.0, 0.75):
        sgd.param_groups[0]["lr"] = rate * factor
        sgd.zero_grad()
        x = torch.cat([fixed[:, :1], v.expand(len(ids), -1, -1), fixed[:, 1 + len(v) :]], 1)
        ends = torch.tensor([len(row) - 1 for row in rows])
        g = normalize(text_tower.encode(tower, x[None], ends)[0], dim=-1)
        cross_entropy(100 * f @ g.T, labels).backward()
        sgd.step()
    every = len(labels)
    state, _ = fit(preset="paper-words", batch=every, epochs=3, learning_rate=rate)
    torch.testing.assert_close(state["contexts"], v.detach(), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("words", ["a photo of a", ""])
@pytest.mark.parametrize("per_class", [False, True])
def test_learning_goes_down_and_more_so_with_a_context_for_each_class(
    words: str, per_class: bool
) -> None:
    begun, learned = (
        fit(words=words, per_class=per_class, steps=steps, learning_rate=rate)[0]
        for steps, rate in ((1, 1e-9), (60, 0.01))
    )
    assert loss(learned) < 0.7 * loss(begun)
    shape = (4 if words else 16, synthetic.WIDTH)
    assert learned["contexts"].shape == ((synthetic.CLASSES, *shape) if per_class else shape)


def test_a_view_is_drawn_for_each_picture() -> None:
    episode, _ = synthetic.extended(*synthetic.episode(2, views=3))
    config = COOP.config(steps=4)
    one, other = (COOP.fit(episode, config, Generator().manual_seed(s)) for s in (1, 2))
    assert not torch.equal(one["text"], other["text"])
