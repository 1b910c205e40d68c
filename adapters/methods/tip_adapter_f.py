"""Tip-Adapter-F: the cache of Tip-Adapter with keys trained by cross-entropy (Zhang et al. 2022).

    logits = s f T^T + alpha exp(-beta (1 - f X^T)) Y      (arXiv 2207.09519, section 3.2)

X starts as Tip-Adapter's keys and is trained (AdamW 1e-3, eps 1e-4, cosine, 20 epochs, batch 256)
at fixed alpha and beta; then alpha and beta are searched as Tip-Adapter's are. Uses of the cache:
the views of each support picture, their mean for the keys and one at random a picture and epoch
to train on; text. Differs from the released code: the last epoch is kept, not the best on test;
cached views stand for fresh crops; EuroSAT's 100 epochs are a setting; where 20 epochs are more
than 320 steps (above 4,096 pictures) as many whole epochs as that holds, at a rate as many times
higher as they are fewer (`preset=paper`: all).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from torch.nn.functional import normalize

from adapters.episode import Episode
from adapters.maths import training
from adapters.method import Method, State
from adapters.methods import _cache_model as cache_model


@dataclass(frozen=True)
class Config(cache_model.CacheConfig):
    """Settings of Tip-Adapter-F."""

    training_alpha: float = Field(2.0, ge=0, description="alpha while the keys are trained")
    training_beta: float = Field(1.0, ge=0, description="beta while the keys are trained")
    learning_rate: float = Field(1e-3, gt=0, description="of AdamW, before the cosine")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")
    eps: float = Field(1e-4, gt=0, description="of AdamW")
    epochs: int = Field(20, ge=0, description="passes over the support")
    batch: int = Field(256, ge=1, description="pictures a step")
    most_steps: int = Field(
        320, ge=0, description="where all epochs are more steps, as many whole ones; 0: all"
    )


# The published number of epochs, however large the support.
PRESETS = {"paper": {"most_steps": 0}}


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The cache with trained keys."""
    cache = cache_model.start(episode)
    views, labels, weights = episode.support.views, episode.support.labels, episode.support.weights

    epochs = training.whole_epochs(len(labels), config.batch, config.epochs, config.most_steps)

    def loss(keys: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        f = normalize(training.one_view(views, rows, generator), dim=-1)  # [b, d]
        alpha, beta = config.training_alpha, config.training_beta
        scores = cache_model.blend({**cache, **keys}, alpha, beta, f)
        return training.cross_entropy(scores, labels, rows, weights)

    batches = training.shuffled(len(labels), config.batch, epochs, generator)
    trained = training.adamw(
        {"keys": cache["keys"]},
        loss,
        batches,
        training.hurried(config.learning_rate, config.epochs, epochs),
        training.cosine(epochs * math.ceil(len(labels) / config.batch)),
        config.weight_decay,
        config.eps,
    )
    return {**cache, **trained}


method = Method(
    config=Config,
    fit=fit,
    logits=cache_model.logits,
    space=cache_model.space,
    logits_over=cache_model.logits_over,
    hits_over=cache_model.hits_over,
    presets=PRESETS,
    without_text="absent",
    source="Zhang et al. 2022, arXiv 2207.09519",
    status=(
        "last epoch instead of the best test epoch; cached views instead of live ones; 320 steps "
        "at most (`preset=paper`: all)"
    ),
)
