"""CLAP: the zero-shot-started linear probe, held near the texts class by class (CVPR 2024).

    min CE(s cos(f, w)) + mean_c lambda_c |w_c - r t_c|^2                   (arXiv 2312.12730)
    lambda_c = mean of softmax(s f T^T)_c over the support of class c

f is the unit image embedding, t_c the unit class text, s CLIP's logit scale. What the texts already
know is let go the least. SGD with momentum, 300 epochs, no validation, last epoch: nothing is
chosen. Uses of the cache: the views of each support picture, all for lambda and one at random a
picture and epoch to train on (one will do), text. Differs from the released code: the texts are
brought to one norm r, as raw texts of CLIP have it (see `adapters.methods._heads`); the optional
outer step on lambda is left out; where 300 epochs are more than 2,500 steps (above 2,048
pictures), as many whole epochs as that holds (`preset=paper`: all). Nothing lets the constraint
go as shots grow, so that zs-lp is better from two shots on (WHU-RS19).
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from torch.nn.functional import cosine_similarity, normalize

from adapters.episode import Episode
from adapters.maths import training
from adapters.method import Method, State
from adapters.methods import _heads as heads


@dataclass(frozen=True)
class Config(heads.HeadConfig):
    """Settings of CLAP."""

    multipliers: Literal["class", "mean", "one"] = Field(
        "class", description="lambda_c as above, the mean of them for every class, or 1"
    )
    distance: Literal["l2", "cosine"] = Field("l2", description="what lambda multiplies")
    learning_rate: float = Field(0.1, gt=0, description="of SGD, before the cosine")
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD")
    epochs: int = Field(300, ge=0, description="passes over the support")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """Class weights, trained from the texts and held near them."""
    return training.fit(prepare(episode, config, generator))


def prepare(episode: Episode, config: Config, generator: Generator) -> training.Training:
    """The training of the class weights, with the multipliers `[c]` that hold them."""
    text = heads.start(episode, config)  # [c, d]
    data = heads.data(episode.support)
    epochs = heads.passes(episode.support, config, config.epochs)
    return training.Training(
        start={"weights": text},
        loss=partial(_loss, scale=episode.logit_scale, distance=config.distance),
        data={**data, "text": text, "multipliers": _multipliers(episode, config)},
        batches=heads.batches(episode.support, config, epochs, generator),
        optimiser=training.by_sgd(config.learning_rate, config.momentum),
        schedule=heads.schedule(episode.support, config, epochs, config.learning_rate),
        finish=lambda head: heads.state(episode, head["weights"]),
    )


def _loss(
    head: training.Tensors,
    data: training.Tensors,
    batch: training.Tensors,
    scale: float,
    distance: str,
) -> Tensor:
    fitted = heads.loss(scale, head["weights"], data, batch)
    return (
        fitted + (data["multipliers"] * _distance(head["weights"], data["text"], distance)).mean()
    )


def _multipliers(episode: Episode, config: Config) -> Tensor:
    """Multipliers `[c]`: how sure the texts are of the support pictures of each class."""
    text, labels = episode.text.unit(), episode.support.labels
    if config.multipliers == "one":
        return text.new_ones(len(text))
    sums = text.new_zeros(len(text))
    for x in episode.support.views:  # [n, d], view by view: all at once may not fit into memory
        sure = heads.scores(episode.logit_scale, normalize(x, dim=-1), text).softmax(1)
        sums += torch.zeros_like(sums).index_add(0, labels, sure[torch.arange(len(x)), labels])
    counts = torch.bincount(labels, minlength=len(text)).clamp(min=1)
    found = sums / (counts * len(episode.support.views))
    return found if config.multipliers == "class" else found.mean().expand(len(text))


def _distance(weights: Tensor, text: Tensor, kind: str) -> Tensor:
    """How far each class has gone from its text `[c]`."""
    if kind == "cosine":
        return 1 - cosine_similarity(weights, text)
    return (weights - text).square().sum(1)


method = Method(
    config=Config,
    fit=fit,
    logits=heads.logits,
    prepare=prepare,
    class_vectors=heads.class_vectors,
    presets=heads.PRESETS,
    source="Silva-Rodríguez et al. 2024, arXiv 2312.12730",
    status=(
        "as published; texts brought to one norm, multipliers kept as set at the start; 2,500 "
        "steps at most (`preset=paper`: all)"
    ),
)
