"""TaskRes: a residual is learned for each class text, the text itself stays (Yu et al. 2023).

    logits = s cos(f, r t_c + alpha x_c),   x from 0                        (arXiv 2211.10277)

f is the unit image embedding, t_c the unit class text, s CLIP's logit scale. Adam 2e-3 (ImageNet:
2e-4), 100 epochs for 1, 2 and 4 shots and 200 above, last epoch. The authors set alpha by hand for
each data set (0.5; Flowers102 1); here it is the one of less cross-entropy on validation. Uses of
the cache: the views of each support picture, one at random a picture and epoch (one will do), text.
Differs from the released code: the texts are brought to one norm r, as raw texts of CLIP have it
(see `adapters.methods._heads`); the regular base only, since the enhanced one is a download; where
the epochs are more than 2,500 steps (above 3,072 pictures), as many whole ones as that holds, at a
rate as many times higher as they are fewer (`preset=paper`: all).
"""

from __future__ import annotations

from functools import partial

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, zeros_like

from adapters.episode import Episode
from adapters.maths import training
from adapters.method import Method, Space, State
from adapters.methods import _heads as heads

FEW_SHOTS = 4


@dataclass(frozen=True)
class Config(heads.HeadConfig):
    """Settings of TaskRes."""

    alpha: float = Field(0.5, ge=0, description="scale of the residual; Flowers102 took 1")
    learning_rate: float = Field(2e-3, gt=0, description="of Adam, before the cosine")
    epochs: int = Field(0, ge=0, description="passes over the support; 0: 100, above 4 shots 200")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """Class texts with their trained residuals."""
    return training.fit(prepare(episode, config, generator))


def prepare(episode: Episode, config: Config, generator: Generator) -> training.Training:
    """The training of the residuals."""
    text = heads.start(episode, config)  # [c, d]
    published = config.epochs or (100 if episode.shots <= FEW_SHOTS else 200)
    epochs = heads.passes(episode.support, config, published)
    rate = training.hurried(config.learning_rate, published, epochs)
    data = {**heads.data(episode.support), "text": text, "alpha": training.number(config.alpha)}

    def finish(head: State) -> State:
        return heads.state(episode, _weights(head, data))

    return training.Training(
        start={"residual": zeros_like(text)},
        loss=partial(_loss, scale=episode.logit_scale),
        data=data,
        batches=heads.batches(episode.support, config, epochs, generator),
        optimiser=training.by_adamw(rate, weight_decay=0.0),
        schedule=heads.schedule(episode.support, config, epochs, rate),
        finish=finish,
    )


def _weights(head: training.Tensors, data: training.Tensors) -> Tensor:
    return data["text"] + data["alpha"] * head["residual"]


def _loss(
    head: training.Tensors, data: training.Tensors, batch: training.Tensors, scale: float
) -> Tensor:
    return heads.loss(scale, _weights(head, data), data, batch)


def space(config: Config) -> Space:
    """Both published scales of the residual."""
    return Space(fit={"alpha": (0.5, 1.0)})


method = Method(
    config=Config,
    fit=fit,
    logits=heads.logits,
    prepare=prepare,
    space=space,
    class_vectors=heads.class_vectors,
    presets=heads.PRESETS,
    criterion="cross-entropy",
    source="Yu et al. 2023, arXiv 2211.10277",
    status=(
        "regular base; texts brought to one norm; alpha chosen by policy; 2,500 steps at most "
        "(`preset=paper`: all)"
    ),
)
