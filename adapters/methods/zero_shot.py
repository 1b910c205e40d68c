"""Cosine to the class texts, nothing learned (Radford et al. 2021).

    logits = s f T^T,   f the unit image embedding, T the unit class texts, s CLIP's logit scale

T is the prompt ensemble: every prompt normalised, the mean, normalised again. Uses of the cache:
text only.
"""

from __future__ import annotations

from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, tensor
from torch.nn.functional import normalize

from adapters.episode import Episode, Text
from adapters.method import Method, State


@dataclass(frozen=True)
class Config:
    """Zero-shot has nothing to set."""


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """Class texts `[c, d]`, pooled."""
    return {"text": episode.text.unit(), "logit_scale": tensor(episode.logit_scale)}


def logits(state: State, config: Config, x: Tensor) -> Tensor:
    """Scores `[q, c]` of raw embeddings `x [q, d]`."""
    return state["logit_scale"] * normalize(x, dim=-1) @ state["text"].T


def with_text(state: State, config: Config, text: Text) -> State:
    """The same for other classes."""
    return {**state, "text": text.unit()}


method = Method(
    config=Config,
    fit=fit,
    logits=logits,
    with_text=with_text,
    support_free=True,
    source="Radford et al. 2021",
    status="as published",
)
