"""SgVA: the visual adapter part of SgVA-CLIP with its three losses (Peng et al. 2022).

    f' = (w a(g) + (1 - w) g) W + b,   w learned, a two maps with a relu after each, hidden 2 p
    loss = CE(s cos(f', m')) + CE(s cos(f', T)) + KL(old || new text softmax at temperature 5)
    logits = s (share cos(f', T) + (1 - share) cos(f', m'))      (arXiv 2211.16191, section III)

g `[p]` are pre-projection features and W, b the visual projection where they are cached
(`featcache encode --extra pre-projection`); else g are the final embeddings and W is the identity.
T are the unit class texts, m' the adapted means of the support. In training a picture is left out
of the mean of its own class, where that has others. `share` is chosen on validation. Uses of the
cache: the views of each support picture, one at random each time it is drawn (one will do), text.

With `prompt_steps` T are those of prompts that are learned first, by cross-entropy of the pictures
as they are (`coop`'s recipe; the text tower, `featcache encode --extra text-tower`). The source's
prompts see no adapter either: it takes turns, so that its adapter is trained beside prompts that
move, and ours beside those that it is asked with.

Differs from the source: hand-made prompts by default; features before the projection are the
tower's own, where the authors get them from the final ones by a pseudo-inverse; pictures are held
against pictures after the projection as well, where the code does so before it, with a relu around
the adapted features; the loss by texts trains the adapter too, where in the code it moves prompts
alone; a prototype is the adapted mean rather than the mean of the adapted, which spares a pass over
the support a step; AdamW and a number of steps instead of SGD and 100 epochs. New classes have no
pictures and are scored by text alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, tensor, zeros
from torch.nn.functional import kl_div, normalize, one_hot

from adapters.episode import Episode, Query, Text
from adapters.maths import residual_adapter, training
from adapters.method import Axes, ChoiceLogits, Method, Space, State
from adapters.methods import _class_vectors as vectors
from adapters.methods import _prompts as prompts


@dataclass(frozen=True)
class Config:
    """Settings of SgVA."""

    share: float = Field(0.5, ge=0, le=1, description="of the text in the logits")
    residual: float = Field(0.5, ge=0, le=1, description="w before training, share of the adapter")
    prototypical: float = Field(1.0, ge=0, description="weight of the image-image loss")
    distillation: float = Field(1.0, ge=0, description="weight of the loss to the old softmax")
    temperature: float = Field(5.0, gt=0, description="of the distilled softmax")
    hidden: int = Field(0, ge=0, description="width of the adapter; 0 is 2 p")
    batch: int = Field(48, ge=1, description="pictures a step")
    steps: int = Field(100, ge=0, description="training steps")
    prompt_steps: int = Field(
        0, ge=0, description="that learn prompts first, by the text tower; 0: hand-made ones"
    )
    learning_rate: float = Field(1e-3, gt=0, description="of AdamW, before the cosine")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The adapter, and the adapted means of the support."""
    views, last = _inputs(episode)  # [v, n, p]
    labels, middles = episode.support.labels, views.mean(0)
    weights = episode.support.weights
    sums = zeros(episode.classes, views.shape[-1]).to(views).index_add(0, labels, middles)
    counts = labels.bincount(minlength=episode.classes)[:, None]
    means = sums / counts.clamp(min=1)
    spoken = _prompted(episode, config, generator)
    text, s = spoken.get("text", episode.text.unit()), tensor(episode.logit_scale)

    def loss(net: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        y, net = labels[rows], {**last, **net}
        g = training.one_view(views, rows, generator)  # [b, p]
        # The mean without the picture itself; a class with one picture keeps it.
        others = (sums[y] - middles[rows]) / (counts[y] - 1).clamp(min=1)
        own = others.where(counts[y] > 1, means[y])
        # One pass for all three: the gradients of wide maps are what costs, and so made once.
        sizes = [len(g), len(means), len(own)]
        f, m, m_own = torch.split(_adapted(net, torch.cat([g, means, own])), sizes)
        old = _embedded(net, g)  # [b, d]
        near = s * f @ m.T
        near_own = s * (f * m_own).sum(1, keepdim=True)
        near = near.where(one_hot(y, episode.classes) == 0, near_own)
        by_text = s * f @ text.T
        kept = _divergence(by_text, s * old @ text.T, config.temperature)
        by_image = config.prototypical * training.cross_entropy(near, labels, rows, weights)
        text_loss = training.cross_entropy(by_text, labels, rows, weights)
        return by_image + text_loss + config.distillation * kept

    net = _start(views.shape[-1], config, generator)
    net = {name: p.to(views.device) for name, p in net.items()}
    batches = training.random_batches(len(labels), config.batch, config.steps, generator)
    schedule = training.cosine(config.steps)
    net = training.adamw(net, loss, batches, config.learning_rate, schedule, config.weight_decay)
    state = {**spoken, **last, **net}
    return {**state, "prototypes": _adapted(state, means), "text": text, "logit_scale": s}


def _prompted(episode: Episode, config: Config, generator: Generator) -> State:
    """Contexts and the class vectors that they make; nothing where none are asked for."""
    if not config.prompt_steps:
        return {}
    own = prompts.usual(steps=config.prompt_steps)
    learned = training.fit(prompts.prepare(episode, own, generator))
    return {name: learned[name] for name in ("contexts", "text")}


def _inputs(episode: Episode) -> tuple[Tensor, State]:
    """What the adapter takes of the support, and the map that leads from there to embeddings."""
    pre, last = episode.support.pre, episode.projection
    if pre is None or last is None:
        return normalize(episode.support.views, dim=-1), {}
    return pre, {"weight": last.weight, "bias": last.bias}


def _start(p: int, config: Config, generator: Generator) -> State:
    return {
        **residual_adapter.new(p, config.hidden or 2 * p, generator),
        "w": tensor(config.residual),
    }


def _adapted(net: Mapping[str, Tensor], g: Tensor) -> Tensor:
    """Unit vectors `[..., d]` of adapted features `[..., p]`."""
    return _embedded(net, residual_adapter.adapt(net, g, net["w"]))


def _embedded(net: Mapping[str, Tensor], g: Tensor) -> Tensor:
    return normalize(g @ net["weight"] + net["bias"] if "weight" in net else g, dim=-1)


def _divergence(new: Tensor, old: Tensor, temperature: float) -> Tensor:
    new, old = (logits.div(temperature).log_softmax(1) for logits in (new, old))
    return kl_div(new, old, log_target=True, reduction="batchmean")


def features(state: State, config: Config, x: Query) -> Tensor:
    """Adapted unit embeddings `[..., d]`."""
    g = x.pre if "weight" in state else x.x
    assert g is not None
    return _adapted(state, g)


def class_vectors(state: State, config: Config) -> Tensor:
    """Class texts and prototypes, mixed as the logits mix them `[c, d]`."""
    return config.share * state["text"] + (1 - config.share) * state["prototypes"]


def with_text(state: State, config: Config, text: Text) -> State:
    """The same adapter for other classes, whose prototypes are their texts."""
    known = text.unit()
    if "contexts" in state:
        known = prompts.class_vectors_of(state, prompts.usual(), text)
    return {**state, "text": known, "prototypes": known}


def space(config: Config) -> Space:
    """Shares of the text from none to all."""
    return Space(logits={"share": tuple(i / 10 for i in range(11))})


def logits_over(state: State, config: Config, x: Query, axes: Axes) -> ChoiceLogits:
    """Every share from one pass through the adapter."""
    f = state["logit_scale"] * features(state, config, x)
    by_text, by_image = f @ state["text"].T, f @ state["prototypes"].T
    for share in axes["share"]:
        yield {"share": share}, share * by_text + (1 - share) * by_image


method = Method(
    config=Config,
    fit=fit,
    logits=vectors.logits(class_vectors, features),
    scorer=vectors.scorer(class_vectors, features),
    with_text=with_text,
    space=space,
    logits_over=logits_over,
    features=features,
    class_vectors=class_vectors,
    reads=frozenset({"pre-projection"}),
    presets={"prompts": {"prompt_steps": 100}},
    source="SgVA-CLIP, arXiv 2211.16191",
    status=(
        "the visual adapter with its three losses, on pre-projection features where they are "
        "cached, else on final embeddings; `preset=prompts` learns prompts first"
    ),
    new_classes="by text alone",
)
