"""Attn-Adapter: each class text attends to the support of its class; the memory part alone (2025).

    w_c = t_c + alpha sigmoid(g . t_c + b) sum_i a_i v(x_i),   logits = s cos(f, w)
    a = softmax over i in class c of q(t_c) . k(x_i) / sqrt(h),   v(x) = x + mlp(x)
                                     (arXiv 2509.03895; Meta-Adapter, arXiv 2311.03774, eq. 4-6)

t are the unit class texts, x the unit support pictures, f the unit image embedding; q, k and mlp
have one hidden layer and no biases. alpha = 0 is zero-shot. Uses of the cache: the views of each
support picture, their mean for the memory and one at random each time a picture is drawn; text.

Settings were not found: widths, the recipe and alpha, chosen on validation, are ours. Left out:
the local-global part, which needs patch tokens. Meta-Adapter trains on other classes first; here
attention is trained on the support. New classes have no memory and keep their texts.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, tensor
from torch.nn.functional import cross_entropy, linear, normalize, relu

from adapters import bottleneck, training
from adapters.episode import Episode, Text
from adapters.method import Method, Space, State


@dataclass(frozen=True)
class Config:
    """Settings of Attn-Adapter."""

    alpha: float = Field(2.0, ge=0, description="weight of the memory; 0 is zero-shot")
    training_alpha: float = Field(2.0, ge=0, description="alpha while training")
    hidden: int = Field(128, ge=1, description="h, width of the maps")
    batch: int = Field(128, ge=1, description="pictures a step")
    steps: int = Field(200, ge=0, description="training steps")
    learning_rate: float = Field(1e-3, gt=0, description="of AdamW, before the cosine")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """What each class has read from its memory, with trained attention."""
    views, labels = normalize(episode.support.views, dim=-1), episode.support.labels
    text, s, memory = episode.text.unit(), tensor(episode.logit_scale), episode.support.keys()

    def loss(net: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        f = training.one_view(views, rows, generator)  # [b, d]
        w = normalize(text + config.training_alpha * _read(net, text, memory, labels), dim=-1)
        return cross_entropy(s * f @ w.T, labels[rows])

    net = {
        name: p.to(views.device) for name, p in _start(views.shape[-1], config, generator).items()
    }
    batches = [
        training.random_rows(len(labels), config.batch, generator) for _ in range(config.steps)
    ]
    schedule = training.cosine(config.steps)
    net = training.adamw(net, loss, batches, config.learning_rate, schedule, config.weight_decay)
    return {"text": text, "read": _read(net, text, memory, labels), "logit_scale": s}


def _start(d: int, config: Config, generator: Generator) -> State:
    """Maps of queries, keys and values; the values' second map and the gate start at 0."""
    maps = {kind: bottleneck.new(d, config.hidden, generator) for kind in ("query", "key", "value")}
    net = {f"{kind}.{name}": p for kind, of in maps.items() for name, p in of.items()}
    for kind in ("query", "key"):
        net[f"{kind}.up"] = net[f"{kind}.up"][: config.hidden]
    net["value.up"] = torch.zeros_like(net["value.up"])
    return net | {"gate": torch.zeros(d), "gate.bias": torch.zeros(1)}


def _read(net: Mapping[str, Tensor], text: Tensor, memory: Tensor, labels: Tensor) -> Tensor:
    """The gated message of each class `[c, d]`; 0 for a class without pictures."""

    def mlp(kind: str, x: Tensor) -> Tensor:
        return linear(relu(linear(x, net[f"{kind}.down"])), net[f"{kind}.up"])

    query, key = mlp("query", text)[labels], mlp("key", memory)  # [n, h]
    score = (query * key).sum(1) / key.shape[-1] ** 0.5  # [n]
    peak = score.new_zeros(len(text)).scatter_reduce(
        0, labels, score.detach(), "amax", include_self=False
    )
    weight = (score - peak[labels]).exp()
    total = weight.new_zeros(len(text)).index_add(0, labels, weight)
    value = (weight / total[labels])[:, None] * (memory + mlp("value", memory))
    read = torch.zeros_like(text).index_add(0, labels, value)
    return (text @ net["gate"] + net["gate.bias"]).sigmoid()[:, None] * read


def targets(state: State, config: Config) -> Tensor:
    """Refined class vectors `[c, d]`, unit."""
    return normalize(state["text"] + config.alpha * state["read"], dim=-1)


def logits(state: State, config: Config, x: Tensor) -> Tensor:
    """Scores `[q, c]` of raw embeddings `x [q, d]`."""
    return state["logit_scale"] * normalize(x, dim=-1) @ targets(state, config).T


def with_text(state: State, config: Config, text: Text) -> State:
    """Other classes, without a memory: their texts."""
    unit = text.unit()
    return {**state, "text": unit, "read": torch.zeros_like(unit)}


def space(config: Config) -> Space:
    """Weights of the memory, zero-shot (0) among them."""
    return Space(logits={"alpha": (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)})


method = Method(
    config=Config,
    fit=fit,
    logits=logits,
    with_text=with_text,
    space=space,
    targets=targets,
)
