"""What learners of prompts share: settings, sentences of an episode, training, other classes.

    g_c = unit(T([start, v_1 … v_M, name of c, ".", stop])),   logits = s f . g_c

f is the unit image embedding, T the text tower that the cache keeps, s CLIP's logit scale; v are
learned while T stands still. A method is an objective on top of that: it is given the class vectors
of a step and their cross-entropy on its pictures. A step costs what all classes cost, whatever its
pictures, so that by default it takes all of them; presets have what was published.

For whoever adds one: `prepare` gives a training of `contexts [M, w]` (`[c, M, w]` per class), or of
other parameters, with what stays `fixed` beside them; `Step` is what an objective sees; a `Speak`
makes class vectors of sentences and parameters, in training and of other names (`with_text`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, tensor
from torch.nn.functional import normalize

from adapters.episode import Episode, Text
from adapters.maths import prompts, text_tower, training
from adapters.maths.prompts import Sentences
from adapters.maths.text_tower import Tower
from adapters.maths.training import Tensors, Training
from adapters.method import State, refuse_new_classes
from featcache.errors import MethodError

START_SPREAD = 0.02  # of random contexts, as CoOp draws them
NEW_CLASSES = ("base-to-new", "cross-dataset")


@dataclass(frozen=True)
class PromptConfig:
    """Settings of every learner of prompts."""

    words: str = Field("a photo of a", description="words the context starts as; empty: random")
    context: int = Field(16, ge=1, description="learned vectors, where they start at random")
    position: Literal["end", "middle", "front"] = Field("end", description="of the class name")
    steps: int = Field(100, ge=0, description="training steps; 0: by epochs")
    epochs: int = Field(0, ge=0, description="passes; 0: 50 at one shot, 100 up to 4, 200 above")
    batch: int = Field(0, ge=0, description="pictures a step; 0: all")
    optimiser: Literal["adamw", "sgd"] = Field("adamw", description="adamw or sgd")
    learning_rate: float = Field(2e-3, gt=0, description="before the cosine")
    weight_decay: float = Field(5e-4, ge=0, description="of the optimiser")
    warm_up: float = Field(1e-5, ge=0, description="learning rate of the first epoch, by epochs")
    centre: bool = Field(True, description="the centre crop of each picture beside a random view")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="of the tower's products in training"
    )
    room: float = Field(3.0, gt=0, description="GB that a step may keep; more classes go in parts")


def usual(**settings: Any) -> PromptConfig:
    """These settings, and the defaults, for methods that learn prompts beside something else."""
    return PromptConfig(**settings)


# The recipe of CoOp's code, which others build on.
PAPER: dict[str, Any] = {
    "steps": 0,
    "batch": 32,
    "optimiser": "sgd",
    "learning_rate": 2e-3,
    "weight_decay": 5e-4,
    "centre": False,
}


class Step(NamedTuple):
    """What an objective sees of a step.

    `classes [c, d]` are the unit class vectors, `f [b, d]` the unit pictures, `rows [b]` their
    numbers and `labels [b]`, `logits [b, c]`, and their mean `cross_entropy`; `learned` are the
    parameters, `data` what stays as it is: `text [c, d]`, the unit hand-made class vectors, among
    it.
    """

    classes: Tensor
    f: Tensor
    rows: Tensor
    labels: Tensor
    logits: Tensor
    cross_entropy: Tensor
    learned: Tensors
    data: Tensors


Objective = Callable[[Step], Tensor]
# Of sentences, parameters and hand-made class vectors `[c, d]`, the unit class vectors `[c, d]`.
Speak = Callable[[Sentences, Tensors, Tensor], Tensor]


def plainly(step: Step) -> Tensor:
    """Cross-entropy alone."""
    return step.cross_entropy


def near_text(weight: float) -> Objective:
    """Cross-entropy, and so much times how far the class vectors are from hand-made ones."""

    def objective(step: Step) -> Tensor:
        near = (step.classes * step.data["text"]).sum(1).mean()
        return step.cross_entropy + weight * (1 - near)

    return objective


def spoken(those: Sentences, p: Tensors, text: Tensor) -> Tensor:
    """What the tower makes of the sentences with their contexts."""
    return encoded(those, p["contexts"])


def prepare(
    episode: Episode,
    config: PromptConfig,
    generator: Generator,
    objective: Objective = plainly,
    per_class: bool = False,
    *,
    speak: Speak = spoken,
    learned: Tensors | None = None,
    fixed: Tensors | None = None,
    draw: Callable[[], Tensors] = dict,
) -> Training:
    """The training of contexts, or of other `learned` parameters, by an objective.

    `contexts` are among the parameters or among what is `fixed`; drawn, where they are in neither.
    `draw` gives what `speak` is handed beside them in a step.
    """
    if per_class and episode.task in NEW_CLASSES:
        raise MethodError(
            f"contexts of each class know no new classes, and {episode.task} scores some; take "
            "per_class=false."
        )
    tower = tower_of(episode.text)
    fixed = fixed or {}
    if learned is None:
        start = contexts(tower, episode.text, config, generator)  # [M, w]
        learned = {"contexts": start.expand(episode.classes, -1, -1) if per_class else start}
    vectors = {**fixed, **learned}["contexts"].shape[-2]
    quick = tower.multiplying(precision(config))
    there = sentences_of(quick, episode.text, config, vectors, per_class)
    support = episode.support
    data = {
        "views": support.unit_views,
        "text": episode.text.unit(),
        **training.labelled(support.labels, support.weights),
    }

    def speaking(p: Tensors, data: Tensors, batch: Tensors) -> Tensor:
        return speak(there, {**fixed, **batch, **p}, data["text"])

    def finish(learned: State) -> State:
        return state(episode, config, {**fixed, **learned}, speak)

    return Training(
        start=learned,
        loss=partial(_loss, speaking=speaking, scale=episode.logit_scale, objective=objective),
        data=data,
        batches=({**each, **draw()} for each in batches(episode, config, generator)),
        optimiser=optimiser(config),
        schedule=schedule(episode, config),
        finish=finish,
        stacks=False,
    )


def _loss(
    learned: Tensors,
    data: Tensors,
    batch: Tensors,
    speaking: Callable[[Tensors, Tensors, Tensors], Tensor],
    scale: float,
    objective: Objective,
) -> Tensor:
    return objective(step_of(speaking(learned, data, batch), learned, data, batch, scale))


def step_of(classes: Tensor, learned: Tensors, data: Tensors, batch: Tensors, scale: float) -> Step:
    """A step with these unit class vectors `[c, d]` on the pictures of a batch."""
    rows, labels = batch["rows"], data["labels"]
    f = data["views"][batch["views"], rows]  # [b, d]
    logits = scale * f @ classes.T
    loss = training.cross_entropy(logits, labels, rows, data.get("weights"))
    return Step(classes, f, rows, labels[rows], logits, loss, learned, data)


def tower_of(text: Text) -> Tower:
    """The tower that the texts are of. Raises `MethodError` where the cache keeps none."""
    if text.tower is None:
        raise MethodError(
            "learned prompts need the text tower, and the cache has none of this backbone; keep "
            "it with `featcache encode … --extra text-tower`."
        )
    return text.tower.on(text.prompts.device)


def ids_of(text: Text, texts: Sequence[str]) -> list[list[int]]:
    """Tokens of each of these texts by the tower's tokenizer."""
    assert text.tower is not None
    return text.tower.ids(texts)


def sentences_of(
    tower: Tower,
    text: Text,
    config: PromptConfig,
    vectors: int,
    per_class: bool = False,
    groups: int = 1,
) -> Sentences:
    """The sentences of the classes with places for so many vectors.

    `groups` is how many contexts they are to be encoded with at once. Raises `MethodError` for a
    class whose sentence is longer than the tower reads.
    """
    names = [name.replace("_", " ") for name in text.classnames]
    if config.position == "end":  # signs at a name's end may be one token with the full stop
        ids, rest = ids_of(text, [f"{name}." for name in names]), [list[int]()] * len(names)
    else:
        ids, rest = ids_of(text, names), ids_of(text, ["."]) * len(names)
    for name, mine, more in zip(names, ids, rest, strict=True):
        if (length := 2 + vectors + len(mine) + len(more)) > tower.context:
            raise MethodError(
                f"{name!r} with {vectors} learned vectors takes {length} tokens, and the text "
                f"tower reads {tower.context}; take a shorter context, or a shorter name."
            )
    room = 1e9 * config.room / groups
    return prompts.sentences(tower, ids, rest, vectors, config.position, per_class, room)


def encoded(those: Sentences, contexts: Tensor) -> Tensor:
    """Unit class vectors `[c, d]` of contexts `[M, w]`, or of each class's own `[c, M, w]`."""
    grouped = contexts if those.per_class else contexts[None]
    return normalize(prompts.encode(those, grouped)[0], dim=-1)


def contexts(tower: Tower, text: Text, config: PromptConfig, generator: Generator) -> Tensor:
    """Where a context starts `[M, w]`: at the vectors of words, or at random."""
    if not config.words:
        drawn = training.normal((config.context, tower.width), generator)
        return START_SPREAD * drawn.to(text.prompts.device)
    [ids] = ids_of(text, [config.words])
    device = tower.weights["token_embedding"].device
    return text_tower.embed(tower, torch.tensor(ids, device=device))


def new_layers(shapes: Mapping[str, tuple[int, int]], generator: Generator) -> State:
    """Linear layers of rows by columns as PyTorch starts them: `name.weight`, `name.bias`."""
    found = {}
    for name, (rows, columns) in shapes.items():
        for part, shape in (("weight", (rows, columns)), ("bias", (rows,))):
            uniform = torch.rand(*shape, generator=generator, device=generator.device)
            found[f"{name}.{part}"] = (2 * uniform - 1) / columns**0.5
    return found


def precision(config: PromptConfig) -> torch.dtype:
    """Of the tower's products in training."""
    return torch.bfloat16 if config.precision == "bf16" else torch.float32


def state(episode: Episode, config: PromptConfig, p: State, speak: Speak = spoken) -> State:
    """What is learned and fixed, with the class vectors that it makes of the episode's names."""
    text = class_vectors_of(p, config, episode.text, speak)
    return {**p, "text": text, "logit_scale": tensor(episode.logit_scale)}


def class_vectors_of(p: State, config: PromptConfig, text: Text, speak: Speak = spoken) -> Tensor:
    """Unit class vectors `[c, d]` of names, in full precision."""
    tower, contexts = tower_of(text), p["contexts"]
    if contexts.shape[-1] != tower.width:
        raise MethodError(
            f"the contexts are of a text tower {contexts.shape[-1]} wide, and this one is "
            f"{tower.width}; encode with the backbone that they were fitted on."
        )
    those = sentences_of(tower, text, config, contexts.shape[-2], contexts.ndim == 3)
    with torch.no_grad():
        return speak(those, p, text.unit())


def with_text(state: State, config: PromptConfig, text: Text, speak: Speak = spoken) -> State:
    """The same contexts for other classes, by their names."""
    if state["contexts"].ndim == 3:
        raise refuse_new_classes("a context for each class")
    return {**state, "text": class_vectors_of(state, config, text, speak)}


def logits(state: State, config: Any, x: Tensor) -> Tensor:
    """Scores `[q, c]` of raw embeddings `x [q, d]`."""
    return state["logit_scale"] * normalize(x, dim=-1) @ state["text"].T


def class_vectors(state: State, config: Any) -> Tensor:
    """The learned class vectors `[c, d]`."""
    return state["text"]


def batches(
    episode: Episode, config: PromptConfig, generator: Generator
) -> Iterator[dict[str, Tensor]]:
    """Numbers of pictures and of a random view of each `[b]`, or twice, with view 0 beside it.

    By epochs a last partial batch is dropped, as published recipes do.
    """
    size, _ = _sizes(episode, config)
    drawn = training.shuffled(
        len(episode.support.labels), size, _epochs(episode, config), generator
    )
    whole = (rows for rows in drawn if len(rows) == size)
    for rows in itertools.islice(whole, config.steps or None):
        views = training.random_views(len(episode.support.views), rows.shape, generator)
        if config.centre and len(episode.support.views) > 1:
            rows, views = rows.repeat(2), torch.cat([torch.zeros_like(views), views])
        yield {"rows": rows, "views": views}


def optimiser(config: PromptConfig) -> training.Optimiser:
    """The config's optimiser at its learning rate."""
    if config.optimiser == "adamw":
        return training.by_adamw(config.learning_rate, config.weight_decay)
    return training.by_sgd(config.learning_rate, weight_decay=config.weight_decay)


def schedule(episode: Episode, config: PromptConfig) -> list[float]:
    """Factors on the learning rate: the cosine by steps, or by epochs after one of warm-up."""
    if config.steps:
        return training.cosine(config.steps)
    _, steps = _sizes(episode, config)
    warm = config.warm_up / config.learning_rate
    return training.warm_epoch(_epochs(episode, config), steps, warm)


def _sizes(episode: Episode, config: PromptConfig) -> tuple[int, int]:
    """Pictures of a step, and whole steps of an epoch."""
    count = len(episode.support.labels)
    size = min(config.batch or count, count)
    return size, count // size


def _epochs(episode: Episode, config: PromptConfig) -> int:
    if config.steps:
        return math.ceil(config.steps / _sizes(episode, config)[1])
    return config.epochs or (50 if episode.shots == 1 else 100 if episode.shots <= 4 else 200)
