"""Many trainings as one: `torch.vmap` over their losses, one optimiser over all their parameters.

Trainings stack where they share a loss with its settings and the shapes of all their tensors. They
may differ in data, chance, learning rate, schedule and decay. Each keeps its own chance, so a
stacked training is the training alone up to the rounding of batched matrix products.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from adapters.maths import training
from adapters.maths.training import Tensors, Training

STACKS = ("auto", "on", "off")  # where it is faster, always, never
MOST = {"cpu": 32}  # trainings at once; on a GPU its memory decides as well
MOST_ELSEWHERE = 256
TRIED, STEPS = 8, 5  # trainings, and steps of each, that tell whether a stack is faster
SHARE = 0.7  # of a GPU's free memory that a stack may take
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Fitted:
    """A state, its share of the seconds of its stack, and how many trainings that was."""

    state: dict[str, Tensor]
    seconds: float
    stacked: int


@dataclass(frozen=True)
class Stacks(Generic[Name]):
    """What was trained in stacks, and why the rest of what could have been was not."""

    fitted: dict[Name, Fitted]
    alone: dict[Name, str]


def fit_all(
    trainings: Mapping[Name, Training], stack: str, known: dict[Hashable, bool]
) -> Stacks[Name]:
    """Train in stacks those that are better so.

    `auto` tries on a processor whether a stack is faster, once for a kind and size; `known`
    remembers it. On a GPU a stack always is, for a step's cost is that of launching it. A stack
    that memory has no room for is left to be done one by one, with the reason.
    """
    kinds: dict[Hashable, dict[Name, _Begun]] = {}
    for name, each in trainings.items():
        if each.stacks:
            begun = _begun(each)
            kinds.setdefault(_kind(begun), {})[name] = begun
    found: Stacks[Name] = Stacks({}, {})
    for kind, members in kinds.items():
        try:
            for part in _parts(members):
                if len(part) > 1 and (stack == "on" or _worth_it(kind, [*part.values()], known)):
                    found.fitted.update(_timed(part))
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
            reason = f"trained alone, a stack of {len(members)} had too little memory: {error}"
            found.alone.update(dict.fromkeys(members.keys() - found.fitted.keys(), reason))
    return found


def _out_of_memory(error: Exception) -> bool:
    # On a processor torch has no type of its own for it.
    words = "can't allocate memory"
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or words in str(error)


def _timed(part: Mapping[Name, _Begun]) -> dict[Name, Fitted]:
    began = time.perf_counter()
    states = together([each.training for each in part.values()])
    seconds = (time.perf_counter() - began) / len(part)
    fitted = [Fitted(state, seconds, len(part)) for state in states]
    return dict(zip(part, fitted, strict=True))


def together(trainings: Sequence[Training]) -> list[dict[str, Tensor]]:
    """The states of trainings of one kind, trained as one, in their order."""
    paces: dict[Hashable, list[int]] = {}
    for i, each in enumerate(trainings):
        paces.setdefault(_pace(each), []).append(i)
    order = [i for same in paces.values() for i in same]
    runs = [trainings[i] for i in order]
    device = _device(runs[0])
    start = _batch([run.start for run in runs], device)
    leaves = {name: p.detach().requires_grad_() for name, p in start.items()}
    data, axes = _data(runs, device)
    losses = torch.vmap(runs[0].loss, in_dims=(0, axes, 0))
    optimiser = _Paced(runs, leaves)
    for step, batches in enumerate(zip(*(run.batches for run in runs), strict=True)):
        with sdpa_kernel(SDPBackend.MATH):  # vmap knows no rule for the others on a processor
            total = losses(leaves, data, _batch(batches, device)).sum()
        total.backward()  # type: ignore[no-untyped-call]
        optimiser.step(step)
    ended = {i: _row(leaves, place) for place, i in enumerate(order)}
    return [each.finish(ended[i]) for i, each in enumerate(trainings)]


class _Paced:
    """The runs' own optimiser over stacked parameters, a group for each pace of learning.

    A group holds slices of the parameters: those of its runs. Optimisers act on each number apart,
    so that every run is stepped as it would be alone.
    """

    def __init__(self, runs: Sequence[Training], leaves: Tensors) -> None:
        self.leaves = leaves
        self.groups: list[tuple[slice, Training, list[Tensor]]] = []
        first = 0
        for _, same in itertools.groupby(runs, _pace):
            members = list(same)
            place = slice(first, first + len(members))
            parts = [p.detach()[place] for p in leaves.values()]
            self.groups.append((place, members[0], parts))
            first = place.stop
        options = [{"params": ps, **run.optimiser.keywords} for _, run, ps in self.groups]
        self.inner = runs[0].optimiser.func(options)

    def step(self, number: int) -> None:
        """One step along the gradients of the leaves, which are gone afterwards."""
        for group, (place, run, parts) in zip(self.inner.param_groups, self.groups, strict=True):
            group["lr"] = run.optimiser.keywords["lr"] * run.schedule[number]
            for part, leaf in zip(parts, self.leaves.values(), strict=True):
                part.grad = None if leaf.grad is None else leaf.grad[place]
        self.inner.step()
        for leaf in self.leaves.values():
            leaf.grad = None


def _pace(run: Training) -> tuple[Hashable, ...]:
    """How it learns: the optimiser's settings and the schedule."""
    return (*sorted(run.optimiser.keywords.items()), tuple(run.schedule))


def _data(runs: Sequence[Training], device: torch.device) -> tuple[Tensors, dict[str, int | None]]:
    """The data of all with the axis of the runs, None where they hold one and the same tensor."""
    data: dict[str, Tensor] = {}
    axes: dict[str, int | None] = {}
    for name, one in runs[0].data.items():
        each = [run.data[name] for run in runs]
        shared = all(other is one for other in each)
        data[name] = (one if shared else torch.stack(each)).to(device)
        axes[name] = None if shared else 0
    return data, axes


def _batch(batches: Sequence[Tensors], device: torch.device) -> dict[str, Tensor]:
    return {name: torch.stack([b[name] for b in batches]).to(device) for name in batches[0]}


def _row(leaves: Tensors, place: int) -> dict[str, Tensor]:
    return {name: p.detach()[place].clone() for name, p in leaves.items()}


def _device(run: Training) -> torch.device:
    return next(iter(run.start.values())).device


@dataclass(frozen=True)
class _Begun:
    """A training with its first batches drawn; it still holds them."""

    training: Training
    first: list[Tensors]

    def only(self) -> Training:
        """The training ended after those batches."""
        schedule = self.training.schedule[: len(self.first)]
        return replace(self.training, batches=self.first, schedule=schedule, finish=dict)


def _begun(run: Training) -> _Begun:
    batches = iter(run.batches)
    first = list(itertools.islice(batches, STEPS))
    return _Begun(replace(run, batches=itertools.chain(first, batches)), first)


def _kind(begun: _Begun) -> Hashable:
    """What trainings that stack have in common."""
    run = begun.training
    shapes = [_shapes(each) for each in (run.start, run.data, *begun.first[:1])]
    settings = sorted(run.loss.keywords.items())
    return (run.loss.func, *settings, run.optimiser.func, len(run.schedule), *shapes)


def _shapes(tensors: Tensors) -> Hashable:
    return tuple((name, each.shape, each.dtype) for name, each in sorted(tensors.items()))


def _worth_it(kind: Hashable, part: Sequence[_Begun], known: dict[Hashable, bool]) -> bool:
    if _device(part[0].training).type != "cpu":
        return True
    size = kind, min(len(part), TRIED)
    if size not in known:
        tried = [each.only() for each in part[:TRIED]]
        alone = _seconds(lambda: [training.fit(each) for each in tried])
        known[size] = _seconds(lambda: together(tried)) < alone
    return known[size]


def _seconds(work: Callable[[], object]) -> float:
    """The lesser of two times: the first pays for what is made only once."""
    times = []
    for _ in range(2):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def at_once(device: torch.device) -> int:
    """How many trainings are worth preparing together."""
    return MOST.get(device.type, MOST_ELSEWHERE)


def _parts(members: Mapping[Name, _Begun]) -> Iterator[dict[Name, _Begun]]:
    """The members in stacks, none larger than there is room for."""
    pairs = [*members.items()]
    most = _most(pairs[0][1])
    for first in range(0, len(pairs), most):
        yield dict(pairs[first : first + most])


def _most(begun: _Begun) -> int:
    """How many trainings like this one a stack may hold."""
    device = _device(begun.training)
    if device.type != "cuda":
        return at_once(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    together([begun.only()])
    held = sum(each.nbytes for each in begun.training.data.values())
    one = torch.cuda.max_memory_allocated(device) - before + held
    free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - before
    return max(1, min(at_once(device), int(SHARE * free / one)))
