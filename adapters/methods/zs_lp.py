"""ZS-LP: a linear probe on cosines that starts at the class texts (Silva-Rodriguez et al. 2024).

    logits = s cos(f, w_c),   min CE,   w_c from r t_c                        (arXiv 2312.12730)

f is the unit image embedding, t_c the unit class text, s CLIP's logit scale. SGD with momentum,
300 epochs, no validation, last epoch: nothing is chosen. Uses of the cache: the views of each
support picture, one at random a picture and epoch (one will do), text. Differs from the released
code: the texts are brought to one norm r, as raw texts of CLIP have it (see `adapters.heads`).
"""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy

from adapters import heads, training
from adapters.episode import Episode
from adapters.method import Method, State


@dataclass(frozen=True)
class Config(heads.HeadConfig):
    """Settings of ZS-LP."""

    learning_rate: float = Field(0.1, gt=0, description="of SGD, before the cosine")
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD")
    epochs: int = Field(300, ge=0, description="passes over the support")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """Class weights, trained from the texts."""

    def loss(head: training.Parameters, batch: tuple[Tensor, Tensor]) -> Tensor:
        f, labels = batch
        return cross_entropy(heads.scores(episode.logit_scale, f, head["weights"]), labels)

    trained = training.sgd(
        {"weights": heads.start(episode, config)},
        loss,
        heads.batches(episode.support, config, config.epochs, generator),
        config.learning_rate,
        heads.schedule(episode.support, config, config.epochs, config.learning_rate),
        config.momentum,
    )
    return heads.state(episode, trained["weights"])


method = Method(config=Config, fit=fit, logits=heads.logits, targets=heads.targets)
