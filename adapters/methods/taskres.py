"""TaskRes: a residual is learned for each class text, the text itself stays (Yu et al. 2023).

    logits = s cos(f, r t_c + alpha x_c),   x from 0                        (arXiv 2211.10277)

f is the unit image embedding, t_c the unit class text, s CLIP's logit scale. Adam 2e-3 (ImageNet:
2e-4), 100 epochs for 1, 2 and 4 shots and 200 above, last epoch. The authors set alpha by hand for
each data set (0.5; Flowers102 1); here it is the one of less cross-entropy on validation. Uses of
the cache: the views of each support picture, one at random a picture and epoch (one will do), text.
Differs from the released code: the texts are brought to one norm r, as raw texts of CLIP have it
(see `adapters.heads`); the regular base only, since the enhanced one is a download.
"""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, zeros_like
from torch.nn.functional import cross_entropy

from adapters import heads, training
from adapters.episode import Episode
from adapters.method import Method, Space, State

FEW_SHOTS = 4


@dataclass(frozen=True)
class Config(heads.HeadConfig):
    """Settings of TaskRes."""

    alpha: float = Field(0.5, ge=0, description="scale of the residual; Flowers102 took 1")
    learning_rate: float = Field(2e-3, gt=0, description="of Adam, before the cosine")
    epochs: int = Field(0, ge=0, description="passes over the support; 0: 100, above 4 shots 200")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """Class texts with their trained residuals."""
    text = heads.start(episode, config)  # [c, d]
    epochs = config.epochs or (100 if episode.shots <= FEW_SHOTS else 200)

    def loss(head: training.Parameters, batch: tuple[Tensor, Tensor]) -> Tensor:
        f, labels = batch
        weights = text + config.alpha * head["residual"]
        return cross_entropy(heads.scores(episode.logit_scale, f, weights), labels)

    trained = training.adamw(
        {"residual": zeros_like(text)},
        loss,
        heads.batches(episode.support, config, epochs, generator),
        config.learning_rate,
        heads.schedule(episode.support, config, epochs, config.learning_rate),
        weight_decay=0.0,
    )
    return heads.state(episode, text + config.alpha * trained["residual"])


def space(config: Config) -> Space:
    """Both published scales of the residual."""
    return Space(fit={"alpha": (0.5, 1.0)})


method = Method(
    config=Config,
    fit=fit,
    logits=heads.logits,
    space=space,
    targets=heads.targets,
    criterion="cross-entropy",
)
