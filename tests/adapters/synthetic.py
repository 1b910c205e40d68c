"""Small episodes with known answers, like CLIP's: all close to one direction, texts misleading."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize

from adapters.episode import Episode, Labelled, Support, Text

CLASSES, WIDTH, SHOTS, PROMPTS = 5, 16, 8, 3


def episode(shots: int = SHOTS, views: int = 1, seed: int = 0) -> tuple[Episode, Labelled]:
    """Support and test pictures of separable classes; a text is between its class and the next."""
    g = Generator().manual_seed(seed)
    common = normalize(torch.randn(WIDTH, generator=g), dim=0)
    classes = torch.linalg.qr(torch.randn(WIDTH, CLASSES, generator=g))[0].T  # [c, d]
    toward_next = 0.35 * classes + 0.33 * classes.roll(-1, 0)
    prompts = common + toward_next[:, None] + _noise((CLASSES, PROMPTS, WIDTH), g)
    names = tuple(f"class {c}" for c in range(CLASSES))
    text = Text(10 * prompts, torch.ones(CLASSES, PROMPTS, dtype=torch.bool), names)

    def pictures(count: int, of: int) -> tuple[Tensor, Tensor]:
        labels = torch.arange(CLASSES).repeat_interleave(count)
        centre = common + 0.5 * classes[labels] + _noise((len(labels), WIDTH), g)
        return 8 * (centre + 0.3 * _noise((of, *centre.shape), g)), labels

    x, labels = pictures(shots, views)
    support = Support(x, labels, tuple(map(str, range(len(labels)))))
    test_x, test_labels = pictures(20, 1)
    test = Labelled(test_x[0], test_labels, tuple(map(str, range(len(test_labels)))))
    return Episode(support, text, 100.0, shots, seed), test


def _noise(shape: tuple[int, ...], g: Generator) -> Tensor:
    return 0.08 * torch.randn(*shape, generator=g)


def permuted(e: Episode, order: Tensor) -> Episode:
    """The same episode with its classes numbered anew: class c becomes `order[c]`."""
    back = order.argsort()
    names = tuple(e.text.classnames[i] for i in back.tolist())
    text = Text(e.text.prompts[back], e.text.mask[back], names)
    support = Support(e.support.views, order[e.support.labels], e.support.ids)
    return Episode(support, text, e.logit_scale, e.shots, e.seed)
