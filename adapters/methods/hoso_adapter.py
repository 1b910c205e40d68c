"""HOSO-Adapter, a reconstruction: CLIP-Adapter's ratio learned on one shot that is held out.

    f' = r relu(W2 relu(W1 f)) + (1 - r) f,   r = sigmoid(a),   logits = s cos(f', T)

Vorster et al.; no code is released, so that the details are ours, from the abstract: W is trained
on all pictures but the first of each class, a on those, a step each in turn; then W is trained once
more on all pictures with that r (`refit`). r starts at `start`, which it stays at where no class
has two pictures. Every step is on all pictures, or on `batch` of them at random. f is the unit
image embedding, T the unit class texts. Uses of the cache: the mean of the views of each support
picture, text.
"""

from __future__ import annotations

from functools import partial

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, tensor
from torch.nn.functional import normalize

from adapters.choosing.folds import HOSO, hold_out
from adapters.episode import Episode, Support, Text
from adapters.maths import residual_adapter, training
from adapters.method import Method, State


@dataclass(frozen=True)
class Config:
    """Settings of HOSO-Adapter."""

    start: float = Field(0.2, gt=0, lt=1, description="share of the adapter that r starts at")
    refit: bool = Field(True, description="train once more on all pictures, with r as it came out")
    hidden: int = Field(0, ge=0, description="width of the bottleneck; 0 is a quarter of d")
    batch: int = Field(2048, ge=0, description="most pictures a step; 0: all")
    steps: int = Field(300, ge=0, description="training steps")
    learning_rate: float = Field(1e-3, gt=0, description="of AdamW, before the cosine")
    ratio_rate: float = Field(0.05, gt=0, description="of Adam, for a")
    eps: float = Field(1e-4, gt=0, description="of AdamW")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The ratio by the shot held out, and the adapter."""
    text = episode.text.unit()
    d = text.shape[1]
    maps = residual_adapter.new(d, config.hidden or max(d // 4, 1), generator)
    net = {name: each.to(text.device) for name, each in maps.items()}
    fixed = {"text": text, "logit_scale": tensor(episode.logit_scale)}
    ratio = tensor(config.start, device=text.device)
    trained: State | None = None
    for fold in hold_out(episode, HOSO):
        held = normalize(fold.held.x, dim=-1), fold.held.labels
        trained, ratio = _trained(fold.episode, config, net, ratio, generator, held)
    if trained is None or config.refit:
        trained, _ = _trained(episode, config, net, ratio, generator, None)
    return {**fixed, **trained, "ratio": ratio}


def _trained(
    episode: Episode,
    config: Config,
    net: State,
    ratio: Tensor,
    generator: Generator,
    held: tuple[Tensor, Tensor] | None,
) -> tuple[State, Tensor]:
    """The maps after their steps, and the ratio, which moves where pictures are held out."""
    support, text = episode.support, episode.text.unit()
    odds = (ratio / (1 - ratio)).log().detach().clone().requires_grad_(True)
    optimiser = torch.optim.Adam([odds], lr=config.ratio_rate)
    score = partial(_score, text=text, scale=episode.logit_scale)
    x = support.keys()

    def loss(maps: training.Parameters, rows: Tensor) -> Tensor:
        if held is not None:
            fixed = {name: each.detach() for name, each in maps.items()}
            optimiser.zero_grad()
            own = score(fixed, odds.sigmoid(), held[0])
            torch.nn.functional.cross_entropy(own, held[1]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        rows = rows.to(x.device)
        found = score(maps, odds.detach().sigmoid(), x[rows])
        return training.cross_entropy(found, support.labels, rows, support.weights)

    maps = training.adamw(
        net, loss, _batches(support, config, generator), config.learning_rate,
        training.cosine(config.steps), eps=config.eps,
    )  # fmt: skip
    return maps, odds.detach().sigmoid()


def _batches(support: Support, config: Config, generator: Generator) -> list[Tensor]:
    rows = len(support.labels)
    if config.batch and rows > config.batch:
        return training.random_batches(rows, config.batch, config.steps, generator)
    return [torch.arange(rows)] * config.steps


def _score(
    maps: training.Parameters, ratio: Tensor, f: Tensor, *, text: Tensor, scale: float | Tensor
) -> Tensor:
    moved = residual_adapter.adapt(maps, f, ratio)
    return scale * normalize(moved, dim=-1) @ text.T


def features(state: State, config: Config, x: Tensor) -> Tensor:
    """Adapted unit embeddings `[..., d]` of raw embeddings `x [..., d]`."""
    return normalize(residual_adapter.adapt(state, normalize(x, dim=-1), state["ratio"]), dim=-1)


def logits(state: State, config: Config, x: Tensor) -> Tensor:
    """Scores `[q, c]` of raw embeddings `x [q, d]`."""
    return state["logit_scale"] * features(state, config, x) @ state["text"].T


def with_text(state: State, config: Config, text: Text) -> State:
    """The same maps with other classes."""
    return {**state, "text": text.unit()}


method = Method(
    config=Config,
    fit=fit,
    logits=logits,
    with_text=with_text,
    features=features,
    source="Vorster et al., HOSO-Adapter",
    status="reconstruction from the abstract; the ratio needs no validation; refit on all shots",
)
