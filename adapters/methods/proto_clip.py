"""Proto-CLIP: distances to image and text prototypes, mixed as probabilities (2023).

    P(c | q) = a softmax_c(-b |q - m_c|^2) + (1 - a) softmax_c(-b |q - t_c|^2)
    logits = log P                                          (arXiv 2307.03073, eq. 1-3)

Nothing is trained: m_c is the mean of the support of class c, t_c its text, q the query, all unit.
a in 0, 0.1, ..., 1 and b in 0.1, ..., 0.9, 1, ..., 20 are chosen on validation. Uses of the
cache: the views of each support picture (the paper has ten, averaged; one will do), text.

Differs from the source: a and b are the first best of the search, not values given by hand.
"""

from __future__ import annotations

from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from torch.nn.functional import normalize

from adapters.episode import Episode
from adapters.method import Axes, ChoiceLogits, Method, State
from adapters.methods import _prototypes as prototypes


@dataclass(frozen=True)
class Config(prototypes.PrototypeConfig):
    """Proto-CLIP without training has the two settings of its mixture."""


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The prototypes, as they are."""
    return prototypes.start(episode)


def logits(state: State, config: Config, x: Tensor) -> Tensor:
    """Log-probabilities `[q, c]` of raw embeddings `x [q, d]`."""
    q = normalize(x, dim=-1)
    return prototypes.log_probability(
        state["images"], state["text"], config.share, config.sharpness, q
    )


def logits_over(state: State, config: Config, x: Tensor, axes: Axes) -> ChoiceLogits:
    """The whole search at two softmaxes a value of b."""
    return prototypes.logits_over(state, config, normalize(x, dim=-1), axes)


method = Method(
    config=Config,
    fit=fit,
    logits=logits,
    space=prototypes.space,
    logits_over=logits_over,
    without_text="absent",
    source="arXiv 2307.03073",
    status="as published; settings chosen by policy",
)
