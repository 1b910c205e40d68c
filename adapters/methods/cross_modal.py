"""Cross-modal linear probe: every prompt is one more shot of its class (Lin et al. 2023).

    logits = s f W^T,   min CE over batches that are half pictures, half prompts
    W <- (1 - share) W + share T                          (arXiv 2301.06267; linear head)

f is the unit embedding of a picture or of a prompt, T the unit class texts, where W starts, s
CLIP's logit scale. AdamW. Uses of the cache: the views of each support picture, one at random each
time it is drawn (one will do), every prompt of the text.

Differs from the released code, which runs for up to 12,800 steps and stops early on validation:
here each number of steps in `space` is a fit of its own, along the same long cosine, so that
nothing but the final head is kept. The grid has its two learning rates, one of its batches and one
of its weight decays; the share of the texts is its averaged variant. A prompt is drawn by way of a
picture of its class, so that the numbering of classes does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, tensor
from torch.nn.functional import normalize

from adapters.episode import Episode
from adapters.maths import training
from adapters.method import Method, Space, State
from adapters.methods import _class_vectors as vectors


@dataclass(frozen=True)
class Config:
    """Settings of the cross-modal linear probe."""

    share: float = Field(0.0, ge=0, le=1, description="share of the class texts in the final head")
    learning_rate: float = Field(1e-3, gt=0, description="of AdamW, before the cosine")
    steps: int = Field(400, ge=0, description="training steps, stopped early")
    horizon: int = Field(12_800, ge=1, description="steps the cosine is laid out for")
    warm_steps: int = Field(50, ge=0, description="steps at the warm-up's rate")
    warm_up: float = Field(1e-5, ge=0, description="learning rate of the warm-up")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")
    batch: int = Field(32, ge=2, description="pictures and prompts a step, half each")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """A linear head, trained from the class texts."""
    text = episode.text.unit()  # [c, d]
    labels, weights = episode.support.labels, episode.support.weights

    def loss(head: training.Parameters, batch: tuple[Tensor, Tensor]) -> Tensor:
        f, rows = batch
        scores = episode.logit_scale * f @ head["weights"].T
        return training.cross_entropy(scores, labels, rows, weights)

    trained = training.adamw(
        {"weights": text},
        loss,
        _batches(episode, config, generator),
        config.learning_rate,
        _schedule(config),
        config.weight_decay,
    )
    return {**trained, "text": text, "logit_scale": tensor(episode.logit_scale)}


def _batches(
    episode: Episode, config: Config, generator: Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Unit embeddings `[b, d]` of pictures and then of prompts, with the pictures' rows `[b]`."""
    views, labels = normalize(episode.support.views, dim=-1), episode.support.labels
    prompts = normalize(episode.text.prompts, dim=-1)  # [c, p, d]
    pictures = _rows(len(labels), config, generator)  # [steps, b / 2]
    by = _rows(len(labels), config, generator)  # the pictures that the prompts are drawn by way of
    named = labels.to(by.device)[by]
    some = episode.text.mask.to(by.device)[named.flatten()].float()
    which = torch.multinomial(some, 1, generator=generator).view_as(named)
    drawn = (each.to(labels.device) for each in (pictures, by, which))
    for rows, others, ones in zip(*drawn, strict=True):
        x = training.one_view(views, rows, generator)
        yield torch.cat([x, prompts[labels[others], ones]]), torch.cat([rows, others])


def _rows(rows: int, config: Config, generator: Generator) -> Tensor:
    """Row numbers of the pictures of each step `[steps, b / 2]`, all rows before any again."""
    half = config.batch // 2
    epochs = math.ceil(config.steps * half / rows)
    order = [torch.randperm(rows, generator=generator) for _ in range(epochs)]
    return torch.cat([*order, torch.empty(0, dtype=torch.long)])[: config.steps * half].view(
        -1, half
    )


def _schedule(config: Config) -> list[float]:
    warm = [config.warm_up / config.learning_rate] * config.warm_steps
    return [*warm, *training.cosine(config.horizon)][: config.steps]


def class_vectors(state: State, config: Config) -> Tensor:
    """The final head `[c, d]`; its rows are near unit norm, not on it."""
    return (1 - config.share) * state["weights"] + config.share * state["text"]


def space(config: Config) -> Space:
    """Learning rates, early stops, and the averaged head beside the plain one."""
    fit = {"learning_rate": (1e-4, 1e-3), "steps": (100, 400, 1600)}
    return Space(fit=fit, logits={"share": (0.0, 0.5)})


method = Method(
    config=Config,
    fit=fit,
    logits=vectors.logits(class_vectors),
    scorer=vectors.scorer(class_vectors),
    space=space,
    class_vectors=class_vectors,
    criterion="cross-entropy",
    source="Lin et al. 2023, arXiv 2301.06267",
    status="linear head; early stops are settings of a small grid",
)
