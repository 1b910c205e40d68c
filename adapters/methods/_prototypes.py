"""Classes as distributions around image and text prototypes, as Proto-CLIP mixes them.

    P(c | q) = a softmax_c(-b |q - m_c|^2) + (1 - a) softmax_c(-b |q - t_c|^2)

m `[c, d]` and t `[c, d]` are unit prototypes of images and texts, q `[q, d]` unit queries.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, zeros
from torch.nn.functional import normalize

from adapters.episode import Episode
from adapters.method import Axes, ChoiceLogits, Space, State

SHARES = tuple(i / 10 for i in range(11))
SHARPNESSES = (*(i / 10 for i in range(1, 10)), *(float(i) for i in range(1, 21)))


@dataclass(frozen=True)
class PrototypeConfig:
    """Settings that both versions have."""

    share: float = Field(0.5, ge=0, le=1, description="alpha, share of the image prototypes")
    sharpness: float = Field(20.0, gt=0, description="beta, factor on squared distances")


def start(episode: Episode) -> State:
    """Support means `[c, d]` and texts `[c, d]`, both unit; a class without pictures has 0."""
    keys = episode.support.keys()
    return {
        "images": means(keys, episode.support.labels, episode.classes),
        "text": episode.text.unit(),
    }


def means(x: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Unit class means `[c, d]` of `x [n, d]`."""
    return normalize(zeros(classes, x.shape[-1]).to(x).index_add(0, labels, x), dim=-1)


def log_probability(
    images: Tensor, text: Tensor, share: float, sharpness: float, q: Tensor
) -> Tensor:
    """Log of P `[q, c]` for unit queries `q [q, d]`."""
    by_image, by_text = (by_distance(p, sharpness, q) for p in (images, text))
    return mix(by_image, by_text, share)


def by_distance(prototypes: Tensor, sharpness: float, q: Tensor) -> Tensor:
    """Log-softmax over classes of the negative squared distance, `[q, c]`."""
    # The norm of q is the same for every class; that of a prototype is 1.
    return (2 * sharpness * q @ prototypes.T).log_softmax(-1)


def mix(by_image: Tensor, by_text: Tensor, share: float) -> Tensor:
    """Log of the weighted sum of two probabilities given by their logs."""
    if share in (0, 1):  # log 0 would do, but for its gradient
        return by_image if share else by_text
    return torch.logaddexp(by_image + math.log(share), by_text + math.log1p(-share))


def space(config: PrototypeConfig) -> Space:
    """The released search: alpha from 0 to 1, beta 0.1 to 0.9 and 1 to 20."""
    return Space(logits={"sharpness": SHARPNESSES, "share": SHARES})


def logits_over(state: State, config: PrototypeConfig, q: Tensor, axes: Axes) -> ChoiceLogits:
    """Log P of every setting, two softmaxes a beta."""
    for sharpness in axes.get("sharpness", [config.sharpness]):
        by_image, by_text = (by_distance(state[name], sharpness, q) for name in ("images", "text"))
        for share in axes.get("share", [config.share]):
            choice = {"sharpness": sharpness, "share": share}
            yield {name: choice[name] for name in axes}, mix(by_image, by_text, share)
