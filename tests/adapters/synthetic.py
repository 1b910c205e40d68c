"""Small episodes with known answers, like CLIP's: all close to one direction, texts misleading."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize

from adapters.episode import Episode, Labelled, Projection, Support, Text
from tests.adapters.speaking import speaking

CLASSES, WIDTH, SHOTS, PROMPTS = 5, 16, 8, 3
PRE, PATCHES = 24, 4


def episode(
    shots: int = SHOTS, views: int = 1, seed: int = 0, lead: bool = False
) -> tuple[Episode, Labelled]:
    """Support and test pictures of separable classes; a text is between its class and the next.

    With `lead` it is nearer to its own, so that it is right more often than not.
    """
    g = Generator().manual_seed(seed)
    common = normalize(torch.randn(WIDTH, generator=g), dim=0)
    classes = torch.linalg.qr(torch.randn(WIDTH, CLASSES, generator=g))[0].T  # [c, d]
    toward_next = 0.35 * classes + (0.2 if lead else 0.33) * classes.roll(-1, 0)
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

    def moved(text: Text | None) -> Text | None:
        return text and replace(
            text, prompts=text.prompts[back], mask=text.mask[back], classnames=names
        )

    text = moved(e.text)
    assert text is not None
    support = replace(e.support, labels=order[e.support.labels])
    return replace(e, support=support, text=text, negative=moved(e.negative))


def extended(e: Episode, test: Labelled) -> tuple[Episode, Labelled]:
    """The same with all that may be cached beside embeddings, which says nothing new of them.

    The projection gives the embeddings back from wider features, which have noise where it looks
    at nothing; patches lie around the embedding; negative prompts are of the second next class. The
    text tower knows the classes, and takes everything for the first.
    """
    g = Generator().manual_seed(7)
    weight, bias = torch.randn(PRE, WIDTH, generator=g) / PRE**0.5, torch.randn(WIDTH, generator=g)
    unseen = torch.eye(PRE) - weight @ weight.pinverse()  # [p, p], onto what the weight maps to 0

    def pre(x: Tensor) -> Tensor:
        noise = torch.randn(*x.shape[:-1], PRE, generator=g)
        return (x - bias) @ weight.pinverse() + noise @ unseen

    def patches(x: Tensor) -> Tensor:
        return (x[:, None] + _noise((len(x), PATCHES, WIDTH), g)).half()

    support = replace(e.support, pre=pre(e.support.views), patches=patches(e.support.x))
    negative = replace(e.text, prompts=e.text.prompts.roll(-2, 0))
    own = normalize(torch.stack([support.x[support.labels == c].mean(0) for c in range(CLASSES)]))
    tower = speaking(e.text.classnames, own + 3 * (own[:1] - own.mean(0)))
    text = replace(e.text, tower=tower)
    episode = replace(
        e, support=support, text=text, projection=Projection(weight, bias), negative=negative
    )
    return episode, replace(test, pre=pre(test.x), patches=patches(test.x))
