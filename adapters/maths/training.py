"""What trained methods share: batches, learning rates and the loop of AdamW or SGD.

A schedule gives, step by step, the factor on the learning rate; it also fixes how many steps
there are. All chance comes from the generator that is passed. A `Training` is a fit with all that
taken apart, so that `adapters.sweeping.stacking` can do many as one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Generator, Tensor
from torch.nn import functional

Batch = TypeVar("Batch")
Parameters = Mapping[str, Tensor]
Loss = Callable[[Parameters, Batch], Tensor]
Tensors = Mapping[str, Tensor]
Optimiser = partial[Any]  # of a class of torch.optim
Watch = Callable[[int, int], None]  # steps done, steps in all
Say = Callable[[str], None]

_watching: ContextVar[Watch | None] = ContextVar("watching", default=None)
_saying: ContextVar[Say | None] = ContextVar("saying", default=None)


@dataclass(frozen=True)
class Training:
    """A fit that is one training: from `start` on, a step a batch, what comes out to `finish`.

    `loss(parameters, data, batch)` is pure, and `torch.vmap` can stack it: no shape depends on a
    value. It is a `partial` whose keywords are the settings that it reads and stacked trainings
    must share; what may differ between them is in `data` and the batches. All chance is in `start`
    and the batches, which are drawn as they are asked for. `stacks` is false where a training in a
    stack would not be the training alone. `about` is a sentence on its cost, said before it starts.
    """

    start: Tensors
    loss: partial[Tensor]
    data: Tensors
    batches: Iterable[Tensors]
    optimiser: Optimiser
    schedule: Sequence[float]
    finish: Callable[[dict[str, Tensor]], dict[str, Tensor]]
    stacks: bool = True
    about: str = ""


def fit(training: Training) -> dict[str, Tensor]:
    """The state that the training ends in, when it is done alone."""
    if training.about and (say := _saying.get()):
        say(training.about)
    trained = _trainable(training.start)
    device = next(iter(trained.values())).device

    def loss(parameters: Parameters, batch: Tensors) -> Tensor:
        there = {name: each.to(device) for name, each in batch.items()}
        found: Tensor = training.loss(parameters, training.data, there)
        return found

    optimiser = training.optimiser(trained.values())
    rate = training.optimiser.keywords["lr"]
    ended = _descend(trained, loss, training.batches, optimiser, rate, training.schedule)
    return training.finish(ended)


@contextmanager
def watched(by: Watch, say: Say | None = None) -> Iterator[None]:
    """Tell `by`, before the first step and after each, of every training that is done meanwhile.

    `say` is handed what a training has to say of its cost.
    """
    tokens = _watching.set(by), _saying.set(say)
    try:
        yield
    finally:
        _watching.reset(tokens[0])
        _saying.reset(tokens[1])


def by_adamw(rate: float, weight_decay: float = 0.01, eps: float = 1e-8) -> Optimiser:
    """AdamW at a learning rate, its parameters still to be given."""
    return partial(torch.optim.AdamW, lr=rate, weight_decay=weight_decay, eps=eps, fused=True)


def by_sgd(rate: float, momentum: float = 0.9, weight_decay: float = 0.0) -> Optimiser:
    """SGD with momentum at a learning rate, its parameters still to be given."""
    return partial(
        torch.optim.SGD, lr=rate, momentum=momentum, weight_decay=weight_decay, fused=True
    )


def number(value: float) -> Tensor:
    """A setting as data of a training; in float64, it acts on float32 as the bare number does."""
    return torch.tensor(value, dtype=torch.float64)


def shuffled(rows: int, batch: int, epochs: int, generator: Generator) -> Iterator[Tensor]:
    """Row numbers of each batch; every epoch a new order, its last partial batch kept."""
    for _ in range(epochs):
        yield from torch.randperm(rows, generator=generator, device=generator.device).split(batch)  # type: ignore[no-untyped-call]


def whole_epochs(rows: int, batch: int, epochs: int, most: int) -> int:
    """So many epochs, or the fewer whole ones that `most` steps hold; one at least. 0: no limit."""
    steps = math.ceil(rows / batch)
    return min(epochs, max(most // steps, 1)) if most else epochs


def hurried(rate: float, epochs: int, trained: int) -> float:
    """The rate at which `trained` epochs go about as far as all would at `rate`."""
    return rate * (epochs / trained) if trained else rate


def random_rows(rows: int, count: int, generator: Generator) -> Tensor:
    """Row numbers drawn with replacement `[count]`."""
    return torch.randint(rows, (count,), generator=generator, device=generator.device)


def random_batches(rows: int, count: int, steps: int, generator: Generator) -> list[Tensor]:
    """Such numbers for each of so many steps, drawn before any of them is taken."""
    return [random_rows(rows, count, generator) for _ in range(steps)]


def labelled(labels: Tensor, weights: Tensor | None) -> dict[str, Tensor]:
    """Data of a training: `labels [n]` and, where pictures count differently, `weights [n]`."""
    return {"labels": labels} if weights is None else {"labels": labels, "weights": weights}


def cross_entropy(logits: Tensor, labels: Tensor, rows: Tensor, weights: Tensor | None) -> Tensor:
    """The mean cross-entropy of `logits [b, c]` of the pictures of these `rows [b]`.

    `labels [n]` and `weights [n]`, what each counts, are of all pictures; without weights, alike.
    """
    found = functional.cross_entropy
    if weights is None:
        return found(logits, labels[rows])
    return (weights[rows] * found(logits, labels[rows], reduction="none")).mean()


def held_out(labels: Tensor, classes: int, share: float, generator: Generator) -> Tensor:
    """A random share of each class as a mask `[n]`: one at least, never all, so none of one.

    How many that is depends on the labels alone.
    """
    draw = torch.rand(len(labels), generator=generator, device=generator.device).to(labels.device)
    counts = torch.bincount(labels, minlength=classes)
    order = (labels + draw.double()).argsort()
    rank = torch.empty_like(labels)  # place of each row in the random order of its class
    rank[order] = torch.arange(len(labels), device=labels.device)
    rank -= (counts.cumsum(0) - counts)[labels]
    of = counts[labels]
    return rank < (of * share).round().clamp(min=1).minimum(of - 1)


def normal(shape: Sequence[int], generator: Generator) -> Tensor:
    """Standard normal noise."""
    return torch.randn(*shape, generator=generator, device=generator.device)


def xavier(rows: int, columns: int, generator: Generator) -> Tensor:
    """A matrix drawn as Glorot and Bengio (2010) do, uniform."""
    empty = torch.empty(rows, columns, device=generator.device)
    return torch.nn.init.xavier_uniform_(empty, generator=generator)


def layers(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Linear layers `name.weight` and `name.bias` of these weights, the biases zero."""
    net = {f"{name}.weight": weight for name, weight in weights.items()}
    return net | {f"{name}.bias": weight.new_zeros(len(weight)) for name, weight in weights.items()}


def apply(net: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    """One of those layers, on `x [..., columns]`."""
    return torch.nn.functional.linear(x, net[f"{name}.weight"], net[f"{name}.bias"])


def one_view(views: Tensor, rows: Tensor, generator: Generator) -> Tensor:
    """A random view of each of the rows: `views [v, n, d]` and `rows [...]` give `[..., d]`."""
    rows = rows.to(views.device)
    if len(views) == 1:
        return views[0, rows]
    return views[random_views(len(views), rows.shape, generator).to(views.device), rows]


def random_views(views: int, shape: Sequence[int], generator: Generator) -> Tensor:
    """Numbers of views drawn at random; nothing is drawn where there is one."""
    if views == 1:
        return torch.zeros(*shape, dtype=torch.long, device=generator.device)
    return torch.randint(views, tuple(shape), generator=generator, device=generator.device)


def cosine(steps: int) -> list[float]:
    """From 1 down towards 0, which would be the next step's."""
    return [(1 + math.cos(math.pi * i / steps)) / 2 for i in range(steps)]


def warm_cosine(steps: int, warm: int) -> list[float]:
    """A linear rise over `warm` steps, then the cosine over the rest."""
    return [(i + 1) / warm for i in range(min(warm, steps))] + cosine(max(steps - warm, 0))


def warm_epoch(epochs: int, steps: int, warm: float) -> list[float]:
    """Dassl's schedule, with `steps` an epoch: one epoch at the factor `warm`, then the cosine.

    The cosine is over all epochs and falls once an epoch.
    """
    factors = [warm, *cosine(epochs)][:epochs]
    return [factor for factor in factors for _ in range(steps)]


def released_fma(steps: int, warm: int) -> list[float]:
    """The schedule as FMA's released code runs it (HKUST-LongGroup/FMA@b5de8ed).

    Its first step has the full rate; its warm-up stops one step short, and the cosine starts from
    where it stopped, so that the peak is (warm - 1) / warm.
    """
    rise = [1.0, *(i / warm for i in range(1, warm))]
    fall = [rise[-1] * factor for factor in [*cosine(steps - warm)[1:], 0.0]]
    return (rise + fall)[:steps]


def adamw(
    parameters: Parameters,
    loss: Loss[Batch],
    batches: Iterable[Batch],
    rate: float,
    schedule: Sequence[float],
    weight_decay: float = 0.01,
    eps: float = 1e-8,
) -> dict[str, Tensor]:
    """The parameters after one step of AdamW a batch; those passed stay as they were."""
    trained = _trainable(parameters)
    optimiser = by_adamw(rate, weight_decay, eps)(trained.values())
    return _descend(trained, loss, batches, optimiser, rate, schedule)


def _trainable(parameters: Parameters) -> dict[str, Tensor]:
    return {name: p.detach().clone().requires_grad_() for name, p in parameters.items()}


def _descend(
    trained: dict[str, Tensor],
    loss: Loss[Batch],
    batches: Iterable[Batch],
    optimiser: torch.optim.Optimizer,
    rate: float,
    schedule: Sequence[float],
) -> dict[str, Tensor]:
    tell = _watching.get() or (lambda done, total: None)
    tell(0, len(schedule))
    for number, (factor, batch) in enumerate(zip(schedule, batches, strict=True), 1):
        optimiser.param_groups[0]["lr"] = rate * factor
        optimiser.zero_grad()
        loss(trained, batch).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        tell(number, len(schedule))
    return {name: p.detach() for name, p in trained.items()}
