"""SeMoBridge: pictures carried through the text projection, so that they can be told as texts are.

    u = x B,   xhat = unit(unit(u) W),   B = pinv(W) without its small singular values
    logits = s (text f.t_c + bridge f.unit(mean_c xhat) + query unit(xhat(f)).unit(mean_c x))

W `[p, d]` is the text tower's projection, f the unit query, x the unit support pictures, t_c the
unit class texts, s CLIP's logit scale. Without training xhat is x's part in the span of W. With
`trained`, B starts there and learns together with a bias of each class, added to u of its pictures,
by

    CE(s f.xhat_c) / 2 + CE(xhat_c.t) / 4 + CE(u_c.t0) / 4 + CE(xhat.xhat_c) / 10 + var|bias| / 10

where the last three have no scale, t0 = t pinv(W) is the text before the projection, and xhat_c,
u_c are means of a class. Reconstruction from a description of christti98/semobridge (no licence):
a plain sum of the three scores with weights by the policy, in place of seven settings tried a
thousand times on validation; t0 by the pseudo-inverse; fewer steps, of which the last counts.
Uses of the cache: the mean of the views of each support picture, text, the kept text tower.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, tensor
from torch.nn.functional import cross_entropy, normalize

from adapters.episode import Episode
from adapters.maths import gaussian, training
from adapters.method import Method, Space, State
from featcache.errors import MethodError

WEIGHTS = (1.0, 0.0, 0.3, 3.0)


@dataclass(frozen=True)
class Config:
    """Settings of SeMoBridge."""

    bridge: float = Field(1.0, ge=0, description="weight of the carried support beside the text")
    query: float = Field(1.0, ge=0, description="weight of the carried query beside the text")
    least: float = Field(0.3, ge=0, description="singular values of W up to here are dropped")
    trained: bool = Field(False, description="learn the bridge on the support")
    steps: int = Field(1000, ge=0, description="full-batch steps, where it is trained")
    learning_rate: float = Field(1.5e-4, gt=0, description="of AdamW, after the warm-up")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")


PRESETS: dict[str, dict[str, Any]] = {"trained": {"trained": True}}


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The bridge, and the class means on either side of it."""
    if episode.text.tower is None:
        raise MethodError(
            "semobridge needs the text projection, and the cache has none of this "
            "backbone; keep the text tower with `featcache encode … --extra text-tower`."
        )
    x, labels, classes = episode.support.keys(), episode.support.labels, episode.classes
    w = episode.text.tower.on(x.device).weights["projection"].to(x)  # [p, d]
    back = torch.linalg.pinv(w, atol=config.least, rtol=0.0)  # [d, p]
    if not bool(back.any()):
        raise MethodError(
            f"every singular value of the text projection is below least={config.least:g}, so that "
            "no bridge is left; take a smaller one with --set least=0."
        )
    bias = x.new_zeros(classes, w.shape[0])
    if config.trained:
        back, bias = _learned(episode, config, w, back, bias)
    return {
        "back": back,
        "projection": w,
        "means": normalize(_means(x, labels, classes), dim=-1),  # [c, d]
        "carried": normalize(_means(_carried(x, back, w, bias[labels]), labels, classes), dim=-1),
        "text": episode.text.unit(),
        "logit_scale": tensor(episode.logit_scale),
    }


def _carried(x: Tensor, back: Tensor, w: Tensor, bias: Tensor | float = 0.0) -> Tensor:
    """The carried pictures xhat `[n, d]` of unit `x [n, d]`."""
    return normalize(normalize(x @ back + bias, dim=-1) @ w, dim=-1)


def _means(x: Tensor, labels: Tensor, classes: int) -> Tensor:
    return gaussian.class_means([gaussian.unweighted(x, labels)], classes)


def _learned(
    episode: Episode, config: Config, w: Tensor, back: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """The bridge and the classes' biases after their training."""
    support, text = episode.support, episode.text.unit()
    x, labels, classes = support.keys(), support.labels, episode.classes
    there = labels.bincount(minlength=classes) > 0
    names = torch.arange(classes, device=x.device)[there]
    before = normalize(text @ torch.linalg.pinv(w), dim=-1)  # [c, p]

    def loss(net: training.Parameters, _: None) -> Tensor:
        u = normalize(x @ net["back"] + net["bias"][labels], dim=-1)
        carried = normalize(u @ w, dim=-1)
        of_class = normalize(_means(carried, labels, classes), dim=-1)
        u_class = normalize(_means(u, labels, classes), dim=-1)
        return (
            cross_entropy(episode.logit_scale * x @ of_class.T, labels) / 2
            + cross_entropy((of_class @ text.T)[there], names) / 4
            + cross_entropy((u_class @ before.T)[there], names) / 4
            + cross_entropy(carried @ of_class.T, labels) / 10
            + net["bias"].square().sum(1).add(1e-12).sqrt().var(unbiased=False) / 10
        )

    schedule = training.warm_cosine(config.steps, config.steps // 10)
    start, nothing = {"back": back, "bias": bias}, [None] * config.steps
    net = training.adamw(start, loss, nothing, config.learning_rate, schedule, config.weight_decay)
    return net["back"], net["bias"]


def logits(state: State, config: Config, x: Tensor) -> Tensor:
    """Scores `[q, c]` of raw embeddings `x [q, d]`."""
    f = normalize(x, dim=-1)
    found = f @ (state["text"] + config.bridge * state["carried"]).T
    if config.query:
        carried = _carried(f, state["back"], state["projection"])
        found = found + config.query * carried @ state["means"].T
    return state["logit_scale"] * found


def space(config: Config) -> Space:
    """Weights of both bridges."""
    return Space(logits={"bridge": WEIGHTS, "query": WEIGHTS})


method = Method(
    config=Config,
    fit=fit,
    logits=logits,
    space=space,
    needs=frozenset({"text tower"}),
    presets=PRESETS,
    source="christti98/semobridge@e654cbc",
    status="reconstruction; both bridges' weights by policy; t0 by the pseudo-inverse; last step",
)
