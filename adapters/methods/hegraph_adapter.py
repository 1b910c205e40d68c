"""HeGraphAdapter (unofficial): messages between texts, their negatives and pictures (2024).

    N' = N / 2 + (A(N,P) P W_p + A(N,V) V W_v + A(N,N) N W_n) / 6
    P' = P + .06 A(P,P) P W_p + .24 A(P,V) V W_v + a A(P,N') N' W_n
    logits = s r f (P' - N')^T + alpha exp(-beta (1 - f X'^T)) Y,   X' = X + gamma (P'_y - P_y)
                                                                  (arXiv 2410.07854)

P are the unit class texts, N their negatives, V the unit class means of the support, A signed
cosines of centred nodes, their sizes summing to 1; P', N' and X' are normalised. W start at the
identity and are trained on the text part; a is .2 in training and .1 after; alpha and beta are
searched as Tip-Adapter's are. Uses of the cache: the views of each support picture, their mean for
V and the keys X; text.

No official code and no values were found. Ours are: the nodes of one class are joined at full
strength (text and pictures alone match classes badly), cosines are cubed before they are weighed
(else messages smear), and r is 1/2, so that positive less negative has CLIP's scale. Whether W are
trained at all is chosen with alpha and beta, by cross-entropy: from one picture a class they learn
too much (on seeds 11 to 13 of WHU-RS19, RN50 84.5 untrained to 81.8, at 16 shots 93.7 to 96.8).

N are the class means of negative prompts ("a photo without a cat") where such a bank is cached
(`featcache encode --prompts negative`, of our wording). Else N is made from the positive texts, a
choice of ours: `reflected` at the mean of all texts, or the mean of the `others`. A row of this
method is therefore no row of the paper's; its `extras` say whether negative prompts were used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from torch.nn.functional import normalize

from adapters.episode import Episode
from adapters.maths import graphs, training
from adapters.method import Method, Space, State
from adapters.methods import _cache_model as cache_model
from adapters.methods import _prototypes as prototypes

KINDS = ("positive", "negative", "image")  # of nodes


@dataclass(frozen=True)
class Config(cache_model.CacheConfig):
    """Settings of HeGraphAdapter."""

    negatives: Literal["prompts", "reflected", "others"] = Field(
        "prompts", description="what N is; prompts: those cached, reflected where there are none"
    )
    from_text: float = Field(0.06, ge=0, description="weight of messages from positive texts")
    from_image: float = Field(0.24, ge=0, description="weight of messages from class means")
    training_negative: float = Field(0.2, ge=0, description="a while training")
    negative: float = Field(0.1, ge=0, description="a, weight of messages from negatives, after")
    power: float = Field(3.0, gt=0, description="of the cosines' sizes; 1 smears the messages")
    contrast: float = Field(0.5, gt=0, description="r, factor on positive less negative")
    own_edges: bool = Field(True, description="nodes of one class are joined at full strength")
    gamma: float = Field(1.0, ge=0, description="how far a key moves with the text of its class")
    batch: int = Field(128, ge=1, description="pictures a step")
    steps: int = Field(200, ge=0, description="training steps")
    learning_rate: float = Field(1e-3, gt=0, description="of AdamW, before the cosine")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW, towards the first weights")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """A cache model whose text and keys have heard the trained messages."""
    views, labels = normalize(episode.support.views, dim=-1), episode.support.labels
    weights = episode.support.weights
    cache = cache_model.start(episode)
    nodes = _nodes(episode, cache, config)
    edges = _known_edges(nodes, config)

    def loss(net: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        f = training.one_view(views, rows, generator)  # [b, d]
        positive, negative = _heard(nodes, edges, net, config, config.training_negative)
        scores = cache["logit_scale"] * f @ (config.contrast * (positive - negative)).T
        return training.cross_entropy(scores, labels, rows, weights)

    d = views.shape[-1]
    net = {kind: torch.zeros(d, d).to(views) for kind in nodes}
    batches = training.random_batches(len(labels), config.batch, config.steps, generator)
    schedule = training.cosine(config.steps)
    net = training.adamw(net, loss, batches, config.learning_rate, schedule, config.weight_decay)
    positive, negative = _heard(nodes, edges, net, config, config.negative)
    moved = cache["keys"] + config.gamma * (positive - nodes["positive"])[labels]
    return {
        **cache,
        "text": config.contrast * (positive - negative),
        "keys": normalize(moved, dim=-1),
    }


def _nodes(episode: Episode, cache: State, config: Config) -> State:
    """The three kinds of nodes, `[c, d]` each."""
    images = prototypes.means(cache["keys"], episode.support.labels, episode.classes)
    negative = _negatives(episode, cache["text"], config)
    return {"positive": cache["text"], "negative": negative, "image": images}


def _negatives(episode: Episode, text: Tensor, config: Config) -> Tensor:
    if config.negatives == "prompts" and episode.negative is not None:
        return episode.negative.unit()
    mean, classes = text.mean(0), len(text)
    others = (classes * mean - text) / max(classes - 1, 1)
    return normalize(others if config.negatives == "others" else 2 * mean - text, dim=-1)


def _edges(to: Tensor, of: Tensor, config: Config, own: float = 1.0) -> Tensor:
    """How nodes `to` hear the nodes `of` `[c, c]`; `own` is what joins those of one class."""
    near = graphs.likeness(to, of, to, of)
    if config.own_edges:
        same = torch.eye(len(to)).to(near)
        near = near * (1 - same) + own * same
    return graphs.signed_edges(near, config.power)


def _known_edges(nodes: State, config: Config) -> dict[str, Tensor]:
    """The edges into negative and into positive nodes that no training changes, `[2 c, c]`."""
    p, n, v = (nodes[kind] for kind in KINDS)
    return {
        "positive": torch.cat(
            [_edges(n, p, config, -1) / 6, config.from_text * _edges(p, p, config)]
        ),
        "image": torch.cat(
            [_edges(n, v, config, -1) / 6, config.from_image * _edges(p, v, config)]
        ),
        "negative": _edges(n, n, config) / 6,
    }


def _heard(
    nodes: State, edges: State, net: Mapping[str, Tensor], config: Config, a: float
) -> tuple[Tensor, Tensor]:
    """Positive and negative nodes `[c, d]` after their messages."""

    def said(kind: str, of: Tensor) -> Tensor:
        return torch.addmm(of, of, net[kind])  # the identity and what training added to it

    p, n, v = (nodes[kind] for kind in KINDS)
    both = edges["positive"] @ said("positive", p) + edges["image"] @ said("image", v)  # [2 c, d]
    to_negative, to_positive = both.chunk(2)
    negative = normalize(n / 2 + to_negative + edges["negative"] @ said("negative", n), dim=-1)
    last = _edges(p, negative, config, -1) @ said("negative", negative)
    return normalize(p + to_positive + a * last, dim=-1), negative


def space(config: Config) -> Space:
    """Tip-Adapter's search, with and without training."""
    return Space(
        fit={"steps": tuple(dict.fromkeys((0, config.steps)))},
        logits=cache_model.space(config).logits,
    )


method = Method(
    config=Config,
    fit=fit,
    logits=cache_model.logits,
    space=space,
    logits_over=cache_model.logits_over,
    criterion="cross-entropy",
    reads=frozenset({"negative prompts"}),
    source="arXiv 2410.07854",
    status=(
        "**unofficial**: one reading; negative prompts of our wording where they are cached, else"
        " their nodes are made from the positive texts"
    ),
)
