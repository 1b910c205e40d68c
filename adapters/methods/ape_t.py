"""APE-T: APE with one trained residual a class, shared by text and keys (Zhu et al. 2023).

    T_c <- unit(T_c + r_c),   F'_i <- unit(F'_i + r_{y_i}),   logits as APE's with v trained
                                                                           (arXiv 2304.01195)

r `[c, Q]` starts at 0 and lives on APE's channels, the weights v `[n]` of the pictures start at 1;
both are trained by cross-entropy (AdamW, weight decay 0.1, cosine) at fixed alpha, beta and gamma,
which are then searched as APE's are. Uses of the cache: the views of each support picture, their
mean for the keys and one at random a picture and epoch to train on; text.

Differs from the released code: the last epoch is kept, not the best on test; cached views stand for
fresh crops; learning rate, epochs and batch are Tip-Adapter-F's, as the source's differ by data
set; rows may come in any order and number a class; where 20 epochs are more than 640 steps (above
8,192 pictures) as many whole epochs as that holds (`preset=paper`: all).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from torch.nn.functional import normalize

from adapters.episode import Episode
from adapters.maths import moving_keys, training
from adapters.method import Method, State
from adapters.methods import _channel_cache as channel_cache


@dataclass(frozen=True)
class Config(channel_cache.ChannelConfig):
    """Settings of APE-T; alpha, beta and gamma are those of training where nothing is searched."""

    learning_rate: float = Field(1e-3, gt=0, description="of AdamW, before the cosine")
    weight_decay: float = Field(0.1, ge=0, description="of AdamW")
    eps: float = Field(1e-4, gt=0, description="of AdamW")
    epochs: int = Field(20, ge=0, description="passes over the support")
    batch: int = Field(256, ge=1, description="pictures a step")
    most_steps: int = Field(
        640, ge=0, description="where all epochs are more steps, as many whole ones; 0: all"
    )


# The published number of epochs, however large the support.
PRESETS = {"paper": {"most_steps": 0}}


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """APE's cache with trained residuals and weights."""
    cache = channel_cache.start(episode, config)
    support = episode.support
    views, labels, counted = normalize(support.views, dim=-1), support.labels, support.weights

    squares = cache["keys"].square().sum(1)  # [n], the same in every step
    epochs = training.whole_epochs(len(labels), config.batch, config.epochs, config.most_steps)

    def loss(learned: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        f = training.one_view(views, rows, generator)  # [b, d]
        scores = _scores(cache, squares, learned, config, f)
        return training.cross_entropy(scores, labels, rows, counted)

    learned = training.adamw(
        {
            "residual": cache["text"].new_zeros(episode.classes, len(cache["channels"])),  # [c, k]
            "weights": cache["weights"],  # [n]
        },
        loss,
        training.shuffled(len(labels), config.batch, epochs, generator),
        config.learning_rate,
        training.cosine(epochs * math.ceil(len(labels) / config.batch)),
        config.weight_decay,
        config.eps,
    )
    return _moved(cache, learned)


def _scores(
    cache: State, squares: Tensor, learned: Mapping[str, Tensor], config: Config, f: Tensor
) -> Tensor:
    """The scores `[b, c]` of `_moved(cache, learned)` for unit embeddings `f [b, d]`.

    `squares [n]` are those of the keys' lengths.
    The keys of a class move together, so that f F'^T needs no gradient, which is most of the work:
    f unit(F'_i + r_c) = (f F'_i + f r_c) / |F'_i + r_c|.
    """
    residual, keys, labels = learned["residual"], cache["keys"], cache["labels"]
    few = channel_cache.restrict(cache, f)  # [b, k]
    along = moving_keys.own_products(keys, residual, labels)  # [n]
    ways = residual.square().sum(1).index_select(0, labels)  # [n]
    lengths = (squares + 2 * along + ways).sqrt()
    now = {**cache, "text": _moved_text(cache, residual), "weights": learned["weights"]}
    weights = channel_cache.weights(now, config.gamma)
    by_keys = moving_keys.class_affinity(
        keys @ few.T, residual @ few.T, lengths, weights, labels, config.beta
    )
    return channel_cache.from_text(now, f) + config.alpha * by_keys.T


def _moved_text(cache: State, residual: Tensor) -> Tensor:
    return normalize(cache["text"].index_add(1, cache["channels"], residual), dim=-1)


def _moved(cache: State, learned: Mapping[str, Tensor]) -> State:
    """The cache with the residual added to texts and keys."""
    residual = learned["residual"]
    keys = cache["keys"] + residual[cache["labels"]]
    return {
        **cache,
        "text": _moved_text(cache, residual),
        "keys": normalize(keys, dim=-1),
        "weights": learned["weights"],
    }


method = Method(
    config=Config,
    fit=fit,
    logits=channel_cache.logits,
    space=channel_cache.space,
    logits_over=channel_cache.logits_over,
    hits_over=channel_cache.hits_over,
    presets=PRESETS,
    source="arXiv 2304.01195",
    status=(
        "last epoch instead of the best test epoch; cached views instead of live ones; 640 steps "
        "at most (`preset=paper`: all)"
    ),
)
