"""SS-Text: class weights in closed form from the texts and the sums of the support (2025).

    w_c = t_c + sum_{i in c} x_i / (N lambda_c tau),   logits = s cos(f, w),   tau = 1/s
    text:   lambda_c = 1/N
    text+:  lambda_c = 1/n_c,  then  w_c <- w_c - unit(2 w_c - mean_c w)

arXiv 2506.17500. The minimum of the cosine cross-entropy's linear part with a ridge
lambda_c / 2 ||w_c - t_c||^2 that ties a class to its text t_c; N pictures, n_c of class c. lambda
is at least 1e-3, as in the released code, which counts from N = 1,000 on. Nothing is searched in
the source and by default here: with s = 100 the published lambda lets the pictures outweigh the
text, so that at one shot the plain form is close to NCM and below zero-shot.
`preset=searched` chooses a factor on lambda by the policy (ours).

Uses of the cache: the mean of the views of each support picture, text. The source takes the
features as it finds them; here both are unit vectors unless `embeddings` is raw.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, tensor
from torch.nn.functional import normalize

from adapters.episode import Episode
from adapters.method import Method, Space, State
from adapters.methods import _class_vectors as vectors

FACTORS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


@dataclass(frozen=True)
class Config:
    """Settings of SS-Text."""

    variant: Literal["text", "text+"] = Field(
        "text", description="text: one lambda; text+: one a class, and a step of repulsion"
    )
    factor: float = Field(1.0, gt=0, description="on every lambda; 1 as published")
    least: float = Field(1e-3, gt=0, description="lower bound of lambda, before the factor")
    embeddings: Literal["unit", "raw"] = Field("unit", description="what x and t are")
    search: bool = Field(False, description="choose the factor by the policy: 1, 3, ..., 1000")


PRESETS: dict[str, dict[str, Any]] = {"plus": {"variant": "text+"}, "searched": {"search": True}}


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The sums of the support and the texts, from which every lambda's weights follow."""
    support, raw = episode.support, config.embeddings == "raw"
    x = support.views.mean(0) if raw else support.keys()  # [n, d]
    text = episode.text.raw() if raw else episode.text.unit()  # [c, d]
    return {
        "sums": torch.zeros_like(text).index_add_(0, support.labels, x),  # [c, d]
        "counts": torch.bincount(support.labels, minlength=episode.classes).to(x),  # [c]
        "text": text,
        "logit_scale": tensor(episode.logit_scale),
    }


def class_vectors(state: State, config: Config) -> Tensor:
    """The class weights, normalised `[c, d]`."""
    counts = state["counts"]
    plus = config.variant == "text+"
    own = 1 / counts.clamp(min=1) if plus else 1 / counts.sum().expand_as(counts)
    penalty = config.factor * own.clamp(min=config.least)  # lambda [c]
    share = state["logit_scale"] / (counts.sum() * penalty)
    w = state["text"] + share[:, None] * state["sums"]
    if plus:
        w = w - normalize(2 * w - w.mean(0), dim=-1)
    return normalize(w, dim=-1)


def space(config: Config) -> Space:
    """The factor on lambda, where it is asked for."""
    return Space(logits={"factor": FACTORS} if config.search else {})


method = Method(
    config=Config,
    fit=fit,
    logits=vectors.logits(class_vectors),
    scorer=vectors.scorer(class_vectors),
    space=space,
    class_vectors=class_vectors,
    presets=PRESETS,
    raw=lambda config: config.embeddings == "raw",
    source="arXiv 2506.17500",
    status="as published; `preset=plus` for SS-Text+; `preset=searched` is ours",
)
