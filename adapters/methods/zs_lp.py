"""ZS-LP: a linear probe on cosines that starts at the class texts (Silva-Rodriguez et al. 2024).

    logits = s cos(f, w_c),   min CE,   w_c from r t_c                        (arXiv 2312.12730)

f is the unit image embedding, t_c the unit class text, s CLIP's logit scale. SGD with momentum,
300 epochs, no validation, last epoch: nothing is chosen. Uses of the cache: the views of each
support picture, one at random a picture and epoch (one will do), text. Differs from the released
code: the texts are brought to one norm r, as raw texts of CLIP have it (see
`adapters.methods._heads`); where 300 epochs are more than 5,000 steps (above 4,096 pictures), as
many whole epochs as that holds, at a rate as many times higher as they are fewer (`preset=paper`:
all).
"""

from __future__ import annotations

from functools import partial

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor

from adapters.episode import Episode
from adapters.maths import training
from adapters.method import Method, State
from adapters.methods import _heads as heads


@dataclass(frozen=True)
class Config(heads.HeadConfig):
    """Settings of ZS-LP."""

    learning_rate: float = Field(0.1, gt=0, description="of SGD, before the cosine")
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD")
    epochs: int = Field(300, ge=0, description="passes over the support")
    most_steps: int = Field(
        5000, ge=0, description="where all epochs are more steps, as many whole ones; 0: all"
    )


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """Class weights, trained from the texts."""
    return training.fit(prepare(episode, config, generator))


def prepare(episode: Episode, config: Config, generator: Generator) -> training.Training:
    """The training of the class weights."""
    epochs = heads.passes(episode.support, config, config.epochs)
    rate = training.hurried(config.learning_rate, config.epochs, epochs)
    return training.Training(
        start={"weights": heads.start(episode, config)},
        loss=partial(_loss, scale=episode.logit_scale),
        data=heads.data(episode.support),
        batches=heads.batches(episode.support, config, epochs, generator),
        optimiser=training.by_sgd(rate, config.momentum),
        schedule=heads.schedule(episode.support, config, epochs, rate),
        finish=lambda head: heads.state(episode, head["weights"]),
    )


def _loss(
    head: training.Tensors, data: training.Tensors, batch: training.Tensors, scale: float
) -> Tensor:
    return heads.loss(scale, head["weights"], data, batch)


method = Method(
    config=Config,
    fit=fit,
    logits=heads.logits,
    prepare=prepare,
    class_vectors=heads.class_vectors,
    presets=heads.PRESETS,
    source="Silva-Rodríguez et al. 2024, arXiv 2312.12730",
    status="as published; texts brought to one norm; 5,000 steps at most (`preset=paper`: all)",
)
