"""LP++: its hand-written gradients against autograd's, its start, and its two variants."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, normalize

from adapters.methods.lpplusplus import Config, _batches, fit, logits
from tests.adapters import synthetic
from tests.adapters.methods import settings

EPISODE, TEST = synthetic.episode()


def reference(steps: int, clear: bool) -> Tensor:
    """The same recipe with torch's optimiser and autograd; alpha's gradient cleared or not."""
    f, labels = normalize(EPISODE.support.x, dim=-1), EPISODE.support.labels
    text, n = EPISODE.text.unit(), len(EPISODE.support.labels)
    w = torch.stack([f[labels == c].sum(0) for c in range(EPISODE.classes)]).requires_grad_()
    b = torch.zeros(EPISODE.classes, requires_grad=True)
    own = torch.stack([(f[labels == c] @ text[c]).mean() for c in range(EPISODE.classes)])
    alpha = torch.full((EPISODE.classes,), 250 * float(own.mean()), requires_grad=True)
    largest = torch.linalg.svdvals(f)[0] ** 2
    sgd = torch.optim.SGD([w, b], lr=float(4 * n / largest), momentum=0.9)
    alpha_rate = n / (4 * float(((f @ text.T) ** 2).sum(0).max()))
    for step in range(1, steps + 1):
        sgd.zero_grad()
        if clear:
            alpha.grad = None
        cross_entropy(f @ (w + alpha[:, None] * text).T + b, labels).backward()
        sgd.step()
        if step % 10 == 0:
            assert alpha.grad is not None
            with torch.no_grad():
                alpha -= alpha_rate * alpha.grad
    x = normalize(TEST.x, dim=-1)
    return (x @ (w + alpha[:, None] * text).T + b).detach()


def test_settings() -> None:
    settings.check(
        "lp++",
        {
            "variant": ("paper", ("paper", "code")),
            "steps": (300, "[0, inf)"),
            "alpha_every": (10, "[1, inf)"),
            "alpha_scale": (250.0, "[0, inf)"),
            "momentum": (0.9, "[0, 1)"),
            "batch": (2048, "[0, inf)"),
        },
        {"paper": {"batch": 0}},
    )


def test_both_variants_are_what_autograd_gives() -> None:
    for variant, clear in (("paper", True), ("code", False)):
        config = Config(variant=variant, steps=40)
        found = logits(fit(EPISODE, config, Generator()), config, TEST.x)
        torch.testing.assert_close(found, reference(40, clear), atol=1e-2, rtol=1e-3)
    assert (reference(40, True) - reference(40, False)).abs().max() > 0.01


def test_before_the_first_step_it_is_prototypes_and_texts() -> None:
    config = Config(steps=0, alpha_scale=0.0)
    found = logits(fit(EPISODE, config, Generator()), config, TEST.x)
    f, labels = normalize(EPISODE.support.x, dim=-1), EPISODE.support.labels
    sums = torch.stack([f[labels == c].sum(0) for c in range(EPISODE.classes)])
    torch.testing.assert_close(found, normalize(TEST.x, dim=-1) @ sums.T)


def test_in_parts_it_ends_near_to_where_the_whole_does() -> None:
    """40 pictures in parts of 20 by chance, every picture in turn."""
    whole, parts = (Config(steps=40, batch=batch) for batch in (0, 39))
    rows = list(_batches(40, parts, Generator().manual_seed(0)))
    assert [len(each) for each in rows if each is not None] == [20] * 40
    for one, two in zip(rows[::2], rows[1::2], strict=True):
        assert one is not None
        assert two is not None
        assert torch.cat([one, two]).sort().values.tolist() == [*range(40)]
    assert list(_batches(40, Config(steps=2, batch=40), Generator())) == [None, None]
    found = [logits(fit(EPISODE, each, Generator()), each, TEST.x) for each in (whole, parts)]
    one, two = (each.softmax(1) for each in found)
    assert (one - two).abs().mean() < 0.05
    assert not torch.equal(one, two)
