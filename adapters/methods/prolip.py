"""ProLIP: fine-tunes the visual projection, held near its first weights (Fahes et al. 2024).

    logits = s cos(g W + b, t),   loss = CE + lambda |W - W0|^2,   lambda = 1 / N or 1 / N^2
                                                                         (arXiv 2410.05270)

g are the features that the visual projection takes, W0 `[p, d]` and b `[d]` that projection, t the
unit class texts, N the number of support pictures. All pictures in each step, each by one of its
views, 300 steps of Adam (eps 1e-4) under a cosine; of more than 1,024 pictures a step takes so many
by chance, all before any again (`preset=paper`: all in each step). At no steps, or an endless
lambda, it is zero-shot. Uses of the cache: pre-projection features of each support picture's views
and of the queries (`featcache encode --extra pre-projection`), the projection, text.

Differs from the source: cached views (20 by default) for its 300 views; the learning rate is ours,
the one of three of least cross-entropy on validation, for the source's was not found; the bias
stays as it is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, tensor
from torch.nn.functional import normalize

from adapters.episode import Episode, Query, Text
from adapters.maths import training
from adapters.method import Method, Space, State
from featcache.errors import MethodError


@dataclass(frozen=True)
class Config:
    """Settings of ProLIP."""

    power: float = Field(1.0, ge=0, description="lambda is weight / N^power; published 1 and 2")
    weight: float = Field(1.0, ge=0, description="factor on lambda")
    steps: int = Field(300, ge=0, description="training steps")
    learning_rate: float = Field(1e-4, gt=0, description="of Adam, before the cosine")
    eps: float = Field(1e-4, gt=0, description="of Adam")
    batch: int = Field(1024, ge=0, description="most pictures a step; 0: all")


# Every picture in each step, however many there are.
PRESETS = {"paper": {"batch": 0}}


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The projection, trained on the support."""
    support, first = episode.support, episode.projection
    if support.pre is None or first is None:
        raise MethodError("prolip is fitted on pre-projection features and this episode has none.")
    pre, labels, weights = support.pre, support.labels, support.weights  # [v, n, p]
    pull: float = config.weight / len(labels) ** config.power
    fixed = {
        "bias": first.bias,
        "text": episode.text.unit(),
        "logit_scale": tensor(episode.logit_scale),
    }

    def loss(net: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        g = training.one_view(pre, rows, generator)  # [n, p]
        scores = _scores({**fixed, **net}, g)
        way = (net["weight"] - first.weight).square().sum()
        return training.cross_entropy(scores, labels, rows, weights) + pull * way

    net = training.adamw(
        {"weight": first.weight},
        loss,
        _batches(len(labels), config, generator),
        config.learning_rate,
        training.cosine(config.steps),
        weight_decay=0.0,
        eps=config.eps,
    )
    return {**fixed, **net}


def _batches(rows: int, config: Config, generator: Generator) -> Iterator[Tensor]:
    """Row numbers of each step: all, or `batch` of them by chance."""
    if not config.batch or rows <= config.batch:
        return itertools.repeat(torch.arange(rows), config.steps)
    epochs = math.ceil(config.steps * config.batch / rows)
    return itertools.islice(training.shuffled(rows, config.batch, epochs, generator), config.steps)


def _embedded(state: Mapping[str, Tensor], pre: Tensor) -> Tensor:
    """Unit embeddings `[..., d]` of pre-projection features `[..., p]`."""
    return normalize(pre @ state["weight"] + state["bias"], dim=-1)


def _scores(state: Mapping[str, Tensor], pre: Tensor) -> Tensor:
    return state["logit_scale"] * _embedded(state, pre) @ state["text"].T


def features(state: State, config: Config, x: Query) -> Tensor:
    """Unit embeddings `[..., d]` by the tuned projection."""
    assert x.pre is not None
    return _embedded(state, x.pre)


def logits(state: State, config: Config, x: Query) -> Tensor:
    """Scores `[q, c]` of pictures with pre-projection features."""
    assert x.pre is not None
    return _scores(state, x.pre)


def with_text(state: State, config: Config, text: Text) -> State:
    """The same projection with other classes."""
    return {**state, "text": text.unit()}


def space(config: Config) -> Space:
    """Learning rates, from hardly moving to moving far."""
    return Space(fit={"learning_rate": (1e-5, 1e-4, 1e-3)})


method = Method(
    config=Config,
    fit=fit,
    logits=logits,
    with_text=with_text,
    space=space,
    features=features,
    presets=PRESETS,
    criterion="cross-entropy",
    needs=frozenset({"pre-projection"}),
    source="arXiv 2410.05270",
    status=(
        "**needs pre-projection features**; cached views for its 300, our learning rates; 1,024 "
        "pictures a step at most (`preset=paper`: all)"
    ),
)
