"""CLIP-Adapter: a residual bottleneck on image embeddings, class texts or both (Gao et al. 2021).

    f' = r relu(W2 relu(W1 f)) + (1 - r) f,   logits = s cos(f', T')   (arXiv 2110.04544, eq. 4-8)

f is the image embedding, T the unit class texts; T' is T, or with `side` text or both it is T
adapted in the same way by maps of its own. Hidden width d / 4, no biases. r = 0 is zero-shot. Uses
of the cache: the views of each support picture, one at random each time it is drawn (one will
do), text.

Differs from the released code (visual side only, SGD as in CoOp): AdamW, a number of steps instead
of epochs, cached views for fresh crops, the last step instead of the best on test. The ratio is
trained with and chosen on validation, as the paper does by hand for each data set, and is 0.6
where nothing chooses (0.2 in the released code); one ratio serves both sides.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, tensor
from torch.nn.functional import normalize

from adapters.episode import Episode, Text
from adapters.maths import residual_adapter, training
from adapters.method import Method, Space, State
from adapters.methods import _class_vectors as vectors


@dataclass(frozen=True)
class Config:
    """Settings of CLIP-Adapter."""

    ratio: float = Field(0.6, ge=0, le=1, description="share of the adapter; 0 is zero-shot")
    side: Literal["visual", "text", "both"] = Field("visual", description="what is adapted")
    hidden: int = Field(0, ge=0, description="width of the bottleneck; 0 is a quarter of d")
    batch: int = Field(72, ge=1, description="pictures a step")
    steps: int = Field(240, ge=0, description="training steps")
    learning_rate: float = Field(1.3e-3, gt=0, description="of AdamW, before the cosine")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The maps of the sides asked for, trained by cross-entropy."""
    return training.fit(prepare(episode, config, generator))


def prepare(episode: Episode, config: Config, generator: Generator) -> training.Training:
    """The training of the maps."""
    support, text = episode.support, episode.text.unit()
    labels = training.labelled(support.labels, support.weights)
    data = {"views": support.unit_views, "text": text, **labels}
    v, n, d = support.views.shape
    net: State = {}
    for side in ("visual", "text"):
        if config.side in (side, "both"):
            maps = residual_adapter.new(d, config.hidden or max(d // 4, 1), generator)
            net |= {f"{side}.{name}": p.to(text.device) for name, p in maps.items()}
    drawn = training.random_batches(n, config.batch, config.steps, generator)
    fixed = {"text": text, "logit_scale": tensor(episode.logit_scale)}
    return training.Training(
        start=net,
        loss=partial(_loss, scale=episode.logit_scale),
        data={**data, "ratio": training.number(config.ratio)},
        batches=(
            {"rows": rows, "views": training.random_views(v, rows.shape, generator)}
            for rows in drawn
        ),
        optimiser=training.by_adamw(config.learning_rate, config.weight_decay),
        schedule=training.cosine(config.steps),
        finish=lambda trained: {**fixed, **trained},
    )


def _loss(
    net: training.Tensors, data: training.Tensors, batch: training.Tensors, scale: float
) -> Tensor:
    x = data["views"][batch["views"], batch["rows"]]  # [b, d]
    f = _adapted(net, data["ratio"], "visual", x)
    text = _adapted(net, data["ratio"], "text", data["text"])
    rows, weights = batch["rows"], data.get("weights")
    return training.cross_entropy(scale * f @ text.T, data["labels"], rows, weights)


def _adapted(net: training.Tensors, ratio: float | Tensor, side: str, x: Tensor) -> Tensor:
    """Unit vectors `[..., d]`, changed where that side has maps."""
    if f"{side}.down" not in net:
        return normalize(x, dim=-1)
    maps = {name: net[f"{side}.{name}"] for name in ("down", "up")}
    return normalize(residual_adapter.adapt(maps, x, ratio), dim=-1)


def features(state: State, config: Config, x: Tensor) -> Tensor:
    """Adapted unit embeddings `[..., d]` of raw embeddings `x [..., d]`."""
    return _adapted(state, config.ratio, "visual", x)


def class_vectors(state: State, config: Config) -> Tensor:
    """Adapted unit class texts `[c, d]`."""
    return _adapted(state, config.ratio, "text", state["text"])


def with_text(state: State, config: Config, text: Text) -> State:
    """The same maps with other classes."""
    return {**state, "text": text.unit()}


def space(config: Config) -> Space:
    """Ratios to train with."""
    return Space(fit={"ratio": (0.2, 0.4, 0.6, 0.8)})


method = Method(
    config=Config,
    fit=fit,
    logits=vectors.logits(class_vectors, features),
    scorer=vectors.scorer(class_vectors, features),
    prepare=prepare,
    with_text=with_text,
    space=space,
    features=features,
    class_vectors=class_vectors,
    source="Gao et al. 2021, arXiv 2110.04544",
    status=(
        "visual, text or both sides; AdamW; one ratio, chosen by policy (0.6 where nothing chooses)"
    ),
)
