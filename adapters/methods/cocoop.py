"""CoCoOp: the picture moves the context that its classes are read with (Zhou et al. 2022).

    v_m(f) = v_m + W2 relu(W1 f + b1) + b2,   g_c(f) = unit(T([v(f), name of c]))
    logits = s f . g_c(f)                                                     (arXiv 2203.05557)

f is the unit image embedding, T the text tower that the cache keeps, s CLIP's logit scale; v and a
net of two layers, a sixteenth of f's width between them, by cross-entropy. Uses of the cache: the
views of each support picture, one at random each time it is drawn (one will do); the text tower
(`featcache encode --extra text-tower`), which the fitted adapter carries along.

It costs what no other learner of prompts does: every picture of a step and every picture that is
asked about takes a sentence of each class through the tower; how many those are is said before it
starts. Differs from the released code: by default 200 steps of AdamW, eight pictures each, and a
net that moves nothing at first, so that the words are where it starts; preset `paper` takes ten
epochs of single pictures with SGD, and a net as PyTorch starts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, tensor
from torch.nn.functional import normalize

from adapters.episode import Episode, Text
from adapters.maths import prompts as sentences
from adapters.maths import training
from adapters.maths.prompts import Sentences
from adapters.maths.text_tower import ACTIVATIONS, Tower
from adapters.maths.training import Tensors, Training
from adapters.method import Method, Scorer, State
from adapters.methods import _prompts as prompts

REDUCTION = 16
TOKENS = 20_000  # that go through the tower at once where nothing is trained
TOWER, WORDS = "tower.", "words."  # of the state's names
KINDS = tuple(ACTIVATIONS)


@dataclass(frozen=True)
class Config(prompts.PromptConfig):
    """Settings of CoCoOp."""

    steps: int = Field(200, ge=0, description="training steps; 0: by epochs")
    learning_rate: float = Field(5e-3, gt=0, description="before the cosine")
    batch: int = Field(8, ge=0, description="pictures a step; 0: all")
    centre: bool = Field(False, description="the centre crop of each picture beside a random view")
    silent: bool = Field(True, description="the net moves nothing at first")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The context, the net that moves it, and the tower with the sentences of the classes."""
    tower = prompts.tower_of(episode.text)
    start = prompts.contexts(tower, episode.text, config, generator)  # [M, w]
    f = episode.support.unit_views
    d, inner = f.shape[-1], max(f.shape[-1] // REDUCTION, 1)
    net = prompts.new_layers({"net.0": (inner, d), "net.1": (tower.width, inner)}, generator)
    if config.silent:
        net |= {name: torch.zeros_like(p) for name, p in net.items() if name.startswith("net.1")}
    schedule = prompts.schedule(episode, config)
    batch = min(config.batch or f.shape[1], f.shape[1])
    groups = batch * (1 + (config.centre and len(f) > 1))
    quick = tower.multiplying(prompts.precision(config))
    those = prompts.sentences_of(quick, episode.text, config, len(start), groups=groups)
    support, classes = episode.support, episode.classes
    count = len(schedule) * groups * classes

    def finish(learned: State) -> State:
        whole = prompts.sentences_of(tower, episode.text, config, len(start))
        kept = {**carried(whole), "logit_scale": tensor(episode.logit_scale)}
        return {**learned, **kept}

    return training.fit(
        Training(
            start={"contexts": start, **{name: p.to(start) for name, p in net.items()}},
            loss=partial(_loss, those=those, scale=episode.logit_scale),
            data={"views": f, **training.labelled(support.labels, support.weights)},
            batches=prompts.batches(episode, config, generator),
            optimiser=prompts.optimiser(config),
            schedule=schedule,
            finish=finish,
            stacks=False,
            about=(
                f"cocoop reads {count:,} sentences to train, and {classes:,} more for each picture "
                "that it is asked about."
            ),
        )
    )


def conditioned(p: Tensors, f: Tensor) -> Tensor:
    """Contexts `[q, M, w]` of unit pictures `f [q, d]`."""
    moved = training.apply(p, "net.1", training.apply(p, "net.0", f).relu())
    return p["contexts"] + moved[:, None]


def _loss(p: Tensors, data: Tensors, batch: Tensors, those: Sentences, scale: float) -> Tensor:
    rows = batch["rows"]
    f = data["views"][batch["views"], rows]  # [b, d]
    g = normalize(sentences.encode(those, conditioned(p, f)), dim=-1)  # [b, c, d]
    near = scale * torch.einsum("bd,bcd->bc", f, g)
    return training.cross_entropy(near, data["labels"], rows, data.get("weights"))


def carried(those: Sentences) -> State:
    """The tower without its vocabulary, and the sentences, as tensors of a state."""
    tower = those.tower
    numbers = [tower.layers, tower.heads, KINDS.index(tower.activation), tower.epsilon]
    numbers += [those.vectors, those.shared, *those.ends.tolist()]
    return {
        **{f"{TOWER}{k}": v for k, v in tower.weights.items() if k != "token_embedding"},
        f"{WORDS}start": those.start,
        f"{WORDS}tokens": those.tokens,
        f"{WORDS}places": those.places,
        "numbers": tensor(numbers, dtype=torch.float64, device=those.start.device),
    }


def said(state: State) -> Sentences:
    """The sentences that a state carries, all in one part."""
    layers, heads, kind, epsilon, vectors, shared, *ends = state["numbers"].tolist()
    weights, words = _within(state, TOWER), _within(state, WORDS)
    context = len(weights["positional_embedding"])
    tower = Tower(
        weights, int(layers), int(heads), context, KINDS[int(kind)], epsilon, start=-1, stop=-1
    )
    return Sentences(
        tower, words["start"], words["tokens"], words["places"], tensor(ends).long(), int(vectors),
        int(shared), per_class=False, parts=(torch.arange(len(ends)),),
    )  # fmt: skip


def _within(state: State, prefix: str) -> Mapping[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def read(state: State, those: Sentences, f: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Some of the unit pictures `[b, d]` at a time, with the class vectors `[b, c, d]` of each."""
    size = max(TOKENS // (len(those.ends) * those.length), 1)
    for some in f.split(size):  # type: ignore[no-untyped-call]
        with torch.no_grad():
            g = sentences.encode(those, conditioned(state, some))
        yield some, normalize(g, dim=-1)


def class_vectors_by(
    state: State, config: Config, x: Tensor, labels: Tensor | None = None
) -> Tensor:
    """Unit class vectors `[q, c, d]` as raw embeddings `x [q, d]` have them read.

    With `labels [q]` each picture's own class alone `[q, d]`, of which no other sentence is read.
    """
    those, f = said(state), normalize(x, dim=-1)
    if labels is None:
        return torch.cat([g for _, g in read(state, those, f)])
    size, found = max(TOKENS // those.length, 1), list[Tensor]()
    for rows in torch.arange(len(f), device=f.device).split(size):  # type: ignore[no-untyped-call]
        own = sentences.each_own(those, labels[rows])
        with torch.no_grad():
            found.append(sentences.encode(own, conditioned(state, f[rows]))[0])
    return normalize(torch.cat(found), dim=-1)


def scorer(state: State, config: Config) -> Scorer:
    """`logits` of portions, with the tower taken out of the state once."""
    those = said(state)

    def scores(x: Tensor) -> Tensor:
        found = read(state, those, normalize(x, dim=-1))
        near = [torch.einsum("bd,bcd->bc", f, g) for f, g in found]
        return state["logit_scale"] * torch.cat(near)

    return scores


def logits(state: State, config: Config, x: Tensor) -> Tensor:
    """Scores `[q, c]` of raw embeddings `x [q, d]`."""
    return scorer(state, config)(x)


def with_text(state: State, config: Config, text: Text) -> State:
    """The same context and net for other classes, by their names."""
    tower = prompts.tower_of(text)
    those = prompts.sentences_of(tower, text, config, len(state["contexts"]))
    return {**state, **carried(those)}


method = Method(
    config=Config,
    fit=fit,
    logits=logits,
    scorer=scorer,
    with_text=with_text,
    class_vectors_by=class_vectors_by,
    needs=frozenset({"text tower"}),
    presets={"paper": {**prompts.PAPER, "epochs": 10, "batch": 1, "silent": False}},
    source="Zhou et al. 2022, arXiv 2203.05557",
    status="as published, at its cost; eight pictures a step (a preset has the released recipe)",
    new_classes="by their names",
)
