"""Proto-CLIP-F: Proto-CLIP with its memories and a query adapter trained in episodes (2023).

    P(c | q) = a softmax_c(-b |q - m_c|^2) + (1 - a) softmax_c(-b |q - t_c|^2)
    loss = -log P(y | q) + InfoNCE(m, t) both ways          (arXiv 2307.03073, section III)

The visual memory `[n, d]`, whose class means are m, the text memory t `[c, d]` and a residual
bottleneck on q start at the support, the texts and near the identity. Each step draws a share of
the classes and a half of their pictures as queries; the other halves are the prototypes (with one
picture a class, queries are prototypes). Then a and b are searched as Proto-CLIP's are. Uses of
the cache: the views of each support picture, text.

Differs from the source: only the fully connected query adapter; prototypes are the means of
the whole memory of a class less the queries; the last step, not the best epoch; InfoNCE at a
temperature of our choice, the paper's being CLIP's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, nll_loss, normalize

from adapters.episode import Episode
from adapters.maths import residual_adapter, training
from adapters.method import Axes, ChoiceLogits, Method, State
from adapters.methods import _prototypes as prototypes


@dataclass(frozen=True)
class Config(prototypes.PrototypeConfig):
    """Settings of Proto-CLIP-F."""

    training_share: float = Field(0.5, ge=0, le=1, description="alpha while training")
    training_sharpness: float = Field(20.0, gt=0, description="beta while training")
    adapter: Literal["fc", "none"] = Field("fc", description="what queries pass through")
    ratio: float = Field(0.2, ge=0, le=1, description="share of the query adapter")
    alignment: float = Field(1.0, ge=0, description="weight of InfoNCE between the prototypes")
    temperature: float = Field(0.05, gt=0, description="of InfoNCE")
    classes: float = Field(0.4, gt=0, le=1, description="share of the classes in an episode")
    steps: int = Field(300, ge=0, description="episodes")
    learning_rate: float = Field(1e-3, gt=0, description="of AdamW, before the cosine")
    weight_decay: float = Field(0.05, ge=0, description="of AdamW")
    eps: float = Field(1e-4, gt=0, description="of AdamW")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """Trained prototypes and query adapter."""
    views, labels = normalize(episode.support.views, dim=-1), episode.support.labels
    weights = episode.support.weights

    def loss(net: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        return _loss(net, views, labels, weights, rows, config, generator)

    net = {"memory": episode.support.keys(), "text": episode.text.unit()}
    if config.adapter == "fc":
        d = views.shape[-1]
        maps = residual_adapter.new(d, max(d // 4, 1), generator)
        net |= {name: p.to(views.device) for name, p in maps.items()}
    episodes = [_rows(labels, config.classes, generator) for _ in range(config.steps)]
    schedule = training.cosine(config.steps)
    net = training.adamw(
        net, loss, episodes, config.learning_rate, schedule, config.weight_decay, config.eps
    )
    images = prototypes.means(normalize(net.pop("memory"), dim=-1), labels, episode.classes)
    return {**net, "images": images, "text": normalize(net["text"], dim=-1)}


def _rows(labels: Tensor, share: float, generator: Generator) -> Tensor:
    """Rows of the support whose classes are in the episode: a share of the classes by chance."""
    # Chance is drawn a row, not a class, so that the numbering of classes does not matter.
    chance = torch.rand(len(labels), generator=generator, device=generator.device).to(labels.device)
    _, label = torch.unique(labels, return_inverse=True)
    best = chance.new_zeros(int(label.max()) + 1).scatter_reduce(0, label, chance, "amax")
    count = max(round(share * len(best)), min(2, len(best)))
    return (best[label] >= best.topk(count).values[-1]).nonzero().squeeze(1)


def _loss(
    net: Mapping[str, Tensor],
    views: Tensor,
    labels: Tensor,
    weights: Tensor | None,
    rows: Tensor,
    config: Config,
    generator: Generator,
) -> Tensor:
    classes, label = torch.unique(labels[rows], return_inverse=True)
    asked = training.held_out(label, len(classes), 0.5, generator).to(label.device)
    kept = torch.where(torch.bincount(label)[label] > 1, ~asked, True)
    memory = normalize(net["memory"][rows[kept]], dim=-1)
    images = prototypes.means(memory, label[kept], len(classes))
    text = normalize(net["text"][classes], dim=-1)
    q = _queries(net, config, training.one_view(views, rows[asked], generator))
    scores = prototypes.log_probability(
        images, text, config.training_share, config.training_sharpness, q
    )
    pairs, own = images @ text.T / config.temperature, torch.arange(len(classes)).to(label)
    aligned = (cross_entropy(pairs, own) + cross_entropy(pairs.T, own)) / 2
    found = nll_loss(scores, label[asked], reduction="none" if weights is not None else "mean")
    if weights is not None:
        found = (weights[rows[asked]] * found).mean()
    return found + config.alignment * aligned


def _queries(state: Mapping[str, Tensor], config: Config, x: Tensor) -> Tensor:
    """Adapted unit queries `[q, d]`."""
    adapted = residual_adapter.adapt(state, x, config.ratio) if "down" in state else x
    return normalize(adapted, dim=-1)


def logits(state: State, config: Config, x: Tensor) -> Tensor:
    """Log-probabilities `[q, c]` of raw embeddings `x [q, d]`."""
    q = _queries(state, config, x)
    return prototypes.log_probability(
        state["images"], state["text"], config.share, config.sharpness, q
    )


def logits_over(state: State, config: Config, x: Tensor, axes: Axes) -> ChoiceLogits:
    """The whole search at two softmaxes a value of b."""
    return prototypes.logits_over(state, config, _queries(state, config, x), axes)


method = Method(
    config=Config,
    fit=fit,
    logits=logits,
    space=prototypes.space,
    logits_over=logits_over,
    source="arXiv 2307.03073",
    status="fully connected query adapter only; last step; our InfoNCE temperature",
)
