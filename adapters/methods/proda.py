"""ProDA: many contexts, whose class vectors are learned as a Gaussian a class (Lu et al. 2022).

    g_cp = unit(T(context p, name of c)),   mu_c = mean_p g_cp,   e_cp = g_cp - mu_c
    z_c = s f . mu_c + s^2 / (2 (P + 1)) sum_p sum_d f_d^2 (e_yp - e_cp)_d^2     for a picture of y
    loss = CE(z) + lambda mean of |cos| between contexts without a name;   logits = s f . mu_c

f is the unit image embedding, T the text tower that the cache keeps, s CLIP's logit scale. z bounds
what cross-entropy is to be expected of a Gaussian with the covariance of the P class vectors
(arXiv 2205.03340). A quarter of the contexts stands before the name, a quarter around it, half
after. Uses of the cache: the views of each support picture, one at random each time it is drawn
(one will do); the text tower (`featcache encode --extra text-tower`).

Differs from the source, whose code was not found: few contexts, all of them in each step with all
support pictures, each as its centre crop and a view, and they start at words with some noise that
sets them apart. Preset `paper`: 32 random contexts, four a step, with SGD and CoOp's recipe.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, tensor
from torch.nn.functional import normalize

from adapters.episode import Episode, Text
from adapters.maths import prompts as sentences
from adapters.maths import training
from adapters.maths.prompts import Position, Sentences
from adapters.maths.text_tower import Tower
from adapters.maths.training import Tensors, Training
from adapters.method import Method, State
from adapters.methods import _prompts as prompts


@dataclass(frozen=True)
class Config(prompts.PromptConfig):
    """Settings of ProDA."""

    contexts: int = Field(8, ge=1, description="P, how many")
    chosen: int = Field(0, ge=0, description="contexts of a step; 0: all")
    spread: float = Field(0.01, ge=0, description="noise that sets contexts apart, beside words")
    orthogonality: float = Field(0.1, ge=0, description="lambda, of contexts without a name")
    mixed: bool = Field(True, description="a quarter in front, a quarter around; else `position`")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The contexts, and the mean class vectors that they make."""
    text, support = episode.text, episode.support
    tower = prompts.tower_of(text)
    start = apart(prompts.contexts(tower, text, config, generator), config, generator)
    quick, vectors = tower.multiplying(prompts.precision(config)), start.shape[1]
    chosen = min(config.chosen or config.contexts, config.contexts)
    [stop] = prompts.ids_of(text, ["."])
    training_loss = partial(
        _loss,
        those=sentences_of(quick, text, config, vectors, chosen),
        bare=sentences.sentences(quick, [[]], [stop], vectors),
        scale=episode.logit_scale,
        weight=config.orthogonality,
    )

    def finish(learned: State) -> State:
        mean = mean_vectors(learned, config, text)
        return {**learned, "text": mean, "logit_scale": tensor(episode.logit_scale)}

    labelled = training.labelled(support.labels, support.weights)
    return training.fit(
        Training(
            start={"contexts": start},
            loss=training_loss,
            data={"views": support.unit_views, **labelled},
            batches=_batches(episode, config, generator),
            optimiser=prompts.optimiser(config),
            schedule=prompts.schedule(episode, config),
            finish=finish,
            stacks=False,
        )
    )


def apart(start: Tensor, config: Config, generator: Generator) -> Tensor:
    """P contexts `[P, M, w]` that differ: at random, or around the words `[M, w]`."""
    noise = training.normal((config.contexts, *start.shape), generator).to(start)
    return start + config.spread * noise if config.words else prompts.START_SPREAD * noise


def places(config: Config) -> dict[Position, range]:
    """Which contexts stand where."""
    if not config.mixed:
        return {config.position: range(config.contexts)}
    quarter = config.contexts // 4
    found: dict[Position, range] = {
        "front": range(quarter),
        "middle": range(quarter, 2 * quarter),
        "end": range(2 * quarter, config.contexts),
    }
    return {position: each for position, each in found.items() if each}


def _batches(episode: Episode, config: Config, generator: Generator) -> Iterator[dict[str, Tensor]]:
    """Those of all learners, with the numbers of the contexts that a step takes in each place."""
    for batch in prompts.batches(episode, config, generator):
        those: dict[str, Tensor] = {}
        for position, each in places(config).items():
            rows = torch.arange(each.start, each.stop)
            if config.chosen:
                count = max(round(config.chosen * len(each) / config.contexts), 1)
                rows = rows[torch.randperm(len(each), generator=generator)[:count]]
            those[position] = rows
        yield {**batch, **those}


def sentences_of(
    tower: Tower, text: Text, config: Config, vectors: int, groups: int
) -> dict[Position, Sentences]:
    """Those of each place, for so many contexts at once."""
    return {
        position: prompts.sentences_of(
            tower, text, replace(config, position=position), vectors, groups=groups
        )
        for position in places(config)
    }


def encoded(those: dict[Position, Sentences], contexts: Tensor, rows: Tensors) -> Tensor:
    """Unit class vectors `[p, c, d]` of some of the contexts in each place."""
    found = [sentences.encode(each, contexts[rows[position]]) for position, each in those.items()]
    return normalize(torch.cat(found), dim=-1)


def _loss(
    learned: Tensors,
    data: Tensors,
    batch: Tensors,
    those: dict[Position, Sentences],
    bare: Sentences,
    scale: float,
    weight: float,
) -> Tensor:
    rows, labels = batch["rows"], data["labels"]
    f = data["views"][batch["views"], rows]  # [b, d]
    z = bound(f, labels[rows], encoded(those, learned["contexts"], batch), scale)
    loss = training.cross_entropy(z, labels, rows, data.get("weights"))
    chosen = torch.cat([batch[position] for position in those])
    if weight and len(chosen) > 1:
        alone = sentences.encode(bare, learned["contexts"][chosen])[:, 0]
        loss = loss + weight * alike(normalize(alone, dim=-1))
    return loss


def bound(f: Tensor, labels: Tensor, g: Tensor, scale: float) -> Tensor:
    """The bound z `[b, c]` of unit pictures `f [b, d]`, given class vectors `[p, c, d]`."""
    mean = g.mean(0)  # [c, d]
    e = (g - mean).transpose(0, 1)  # [c, p, d]
    own, square = e[labels], f.square()  # [b, p, d], [b, d]
    each = (square[:, None] * own.square()).sum((1, 2))[:, None] + square @ e.square().sum(1).T
    both = (square[:, None] * own).flatten(1) @ e.flatten(1).T  # [b, c]
    return scale * f @ mean.T + scale**2 / 2 * (each - 2 * both) / (len(g) + 1)


def alike(x: Tensor) -> Tensor:
    """The mean |cos| of different unit rows of `x [p, d]`."""
    near = (x @ x.T).abs()
    return (near.sum() - near.diagonal().sum()) / (len(x) * (len(x) - 1))


def mean_vectors(p: State, config: Config, text: Text) -> Tensor:
    """The means mu `[c, d]` of names, in full precision."""
    tower, contexts = prompts.tower_of(text), p["contexts"]
    those = sentences_of(tower, text, config, contexts.shape[1], len(contexts))
    every: dict[str, Tensor] = {
        name: torch.arange(r.start, r.stop) for name, r in places(config).items()
    }
    with torch.no_grad():
        return encoded(those, contexts, every).mean(0)


def with_text(state: State, config: Config, text: Text) -> State:
    """The same contexts for other classes, by their names."""
    return {**state, "text": mean_vectors(state, config, text)}


method = Method(
    config=Config,
    fit=fit,
    logits=prompts.logits,
    with_text=with_text,
    class_vectors=prompts.class_vectors,
    needs=frozenset({"text tower"}),
    presets={"paper": {**prompts.PAPER, "words": "", "contexts": 32, "chosen": 4}},
    source="Lu et al. 2022, arXiv 2205.03340",
    status="from the equations; few contexts, all pictures a step (a preset has 32, four a step)",
    new_classes="by their names",
)
