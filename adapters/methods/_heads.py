"""Linear heads on unit embeddings that start at the class texts, and how they are trained.

    logits = s cos(f, w_c),   trained by cross-entropy from w_c = r t_c

f is the unit image embedding, t_c the unit class text, s CLIP's logit scale. Cosines do not see
the norm r of the weights, but training does: a step turns a long vector less than a short one, and
a penalty on the way gone grows with it. The published recipes assume CLIP's raw texts, of norm
about 10; caches may hold texts of norm 1. So r is a setting, and the same for every cache.

The published epochs are trained as long as they are no more than `most_steps` steps. Of a larger
support, such as ImageNet's, an epoch has so many steps that fewer do: as many whole epochs are
trained as that many steps hold, under the same schedule (`preset=paper`: all).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, linalg, tensor
from torch.nn.functional import normalize

from adapters.episode import Episode, Support
from adapters.maths import training
from adapters.method import State


@dataclass(frozen=True)
class HeadConfig:
    """Settings of every such head."""

    text_norm: float = Field(10.0, gt=0, description="norm r of the class texts at the start")
    batch: int = Field(256, ge=1, description="pictures a step")
    warm_up: float = Field(1e-5, ge=0, description="learning rate of the first epoch")
    most_steps: int = Field(
        2500, ge=0, description="where all epochs are more steps, as many whole ones; 0: all"
    )


LEAST = 1e-12  # length of weights, as `normalize` has it

# The published number of epochs, however large the support.
PRESETS = {"paper": {"most_steps": 0}}


def start(episode: Episode, config: HeadConfig) -> Tensor:
    """The class texts `[c, d]`, of norm r."""
    return config.text_norm * episode.text.unit()


def state(episode: Episode, weights: Tensor) -> State:
    """What scoring needs of a head with the weights `[c, d]`."""
    return {"weights": weights, "logit_scale": tensor(episode.logit_scale)}


def scores(scale: float | Tensor, f: Tensor, weights: Tensor) -> Tensor:
    """Scores `[q, c]` of unit embeddings `f [q, d]`."""
    # Lengths divide the scores of a batch: weights that they divided would be passed more often.
    lengths = linalg.vector_norm(weights, dim=-1).clamp(min=LEAST)
    found: Tensor = (f @ weights.T) * (scale / lengths)
    return found


def logits(state: State, config: Any, x: Tensor) -> Tensor:
    """Scores `[q, c]` of raw embeddings `x [q, d]`."""
    return scores(state["logit_scale"], normalize(x, dim=-1), state["weights"])


def class_vectors(state: State, config: Any) -> Tensor:
    """The class weights as unit vectors `[c, d]`."""
    return normalize(state["weights"], dim=-1)


def data(support: Support) -> dict[str, Tensor]:
    """What `batches` number: unit views `[v, n, d]`, labels `[n]` and, if they differ, weights."""
    return {"views": support.unit_views, **training.labelled(support.labels, support.weights)}


def passes(support: Support, config: HeadConfig, epochs: int) -> int:
    """How many of the published epochs are trained: as many whole ones as `most_steps` holds."""
    return training.whole_epochs(len(support.labels), config.batch, epochs, config.most_steps)


def batches(
    support: Support, config: HeadConfig, epochs: int, generator: Generator
) -> Iterator[dict[str, Tensor]]:
    """Numbers of pictures and views `[b]`: each epoch one view at random of each picture."""
    for rows in training.shuffled(len(support.labels), config.batch, epochs, generator):
        views = training.random_views(len(support.views), rows.shape, generator)
        yield {"rows": rows, "views": views}


def chosen(data: training.Tensors, batch: training.Tensors) -> tuple[Tensor, Tensor]:
    """Unit embeddings `[b, d]` and labels `[b]` of a batch."""
    return data["views"][batch["views"], batch["rows"]], data["labels"][batch["rows"]]


def loss(scale: float, weights: Tensor, data: training.Tensors, batch: training.Tensors) -> Tensor:
    """Cross-entropy of a batch by a head with the weights `[c, d]`."""
    f, _ = chosen(data, batch)
    rows, counted = batch["rows"], data.get("weights")
    return training.cross_entropy(scores(scale, f, weights), data["labels"], rows, counted)


def schedule(support: Support, config: HeadConfig, epochs: int, rate: float) -> list[float]:
    """Factors on the learning rate: one epoch of warm-up, then the cosine, epoch by epoch."""
    steps = math.ceil(len(support.labels) / config.batch)
    return training.warm_epoch(epochs, steps, config.warm_up / rate)
