"""NCM: cosine to the mean support embedding of each class, mixed with its text on demand.

    logits = s f p^T,   p_c = unit(m unit(mean_{i in c} x_i) + (1 - m) t_c)

x_i is one unit embedding a support picture (the mean of its raw views, normalised), t_c the unit
class text, f the unit query, s CLIP's logit scale. The nearest class mean of Mensink et al. (2013)
with the cosine of prototypical networks (Snell et al. 2017, arXiv 1703.05175) and m = 1, the
default; m = 0 is zero-shot, and between them lies the prototype that NODE-Adapter starts from.
`preset=half` takes m = 1/2, `preset=mixed` chooses m by the policy. At one shot a class mean is one
picture, which is worth less than the text: take `mixed` there. Uses of the cache: the mean of the
views of each support picture, text.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, tensor
from torch.nn.functional import normalize

from adapters.episode import Episode
from adapters.maths import gaussian
from adapters.method import Method, Space, State
from adapters.methods import _class_vectors as vectors

MIXES = tuple(i / 20 for i in range(20, -1, -1))  # ties go to the pictures


@dataclass(frozen=True)
class Config:
    """Settings of NCM."""

    mix: float = Field(1.0, ge=0, le=1, description="m, share of the pictures; 0 is zero-shot")
    search: bool = Field(False, description="choose the mix by the policy: 1, 0.95, ..., 0")


PRESETS: dict[str, dict[str, Any]] = {"half": {"mix": 0.5}, "mixed": {"search": True}}


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The class means."""
    support = episode.support
    means = gaussian.class_means(
        [gaussian.unweighted(support.keys(), support.labels)], episode.classes
    )
    return {
        "means": normalize(means, dim=-1),  # [c, d]
        "text": episode.text.unit(),  # [c, d]
        "logit_scale": tensor(episode.logit_scale),
    }


def class_vectors(state: State, config: Config) -> Tensor:
    """The prototypes p `[c, d]`."""
    return normalize(config.mix * state["means"] + (1 - config.mix) * state["text"], dim=-1)


def space(config: Config) -> Space:
    """The mix, where it is asked for."""
    return Space(logits={"mix": MIXES} if config.search else {})


method = Method(
    config=Config,
    fit=fit,
    logits=vectors.logits(class_vectors),
    scorer=vectors.scorer(class_vectors),
    space=space,
    class_vectors=class_vectors,
    presets=PRESETS,
    without_text="absent",
    batched=True,
    source="Mensink et al. 2013; cosine as in arXiv 1703.05175",
    status="as published; `preset=mixed` adds the text",
)
