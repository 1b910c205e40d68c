"""Which of many trainings are done as one (`adapters.maths.together`), and how many at once.

Trainings stack where they share a loss with its settings and the shapes of all their tensors. They
may differ in data, chance, learning rate, schedule and decay.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import torch
from torch import Tensor

from adapters.maths import training
from adapters.maths.together import device_of, together
from adapters.maths.training import Tensors, Training

STACKS = ("auto", "on", "off")  # where it is faster, always, never
MOST = {"cpu": 32}  # trainings at once; on a GPU its memory decides as well
MOST_ELSEWHERE = 256
TRIED, STEPS = 8, 5  # trainings, and steps of each, that tell whether a stack is faster
SHARE = 0.7  # of a GPU's free memory that a stack may take
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Fitted:
    """A state, its share of the seconds of its stack by clock and processor, and its number."""

    state: dict[str, Tensor]
    seconds: float
    busy: float
    stacked: int


@dataclass(frozen=True)
class Stacks(Generic[Name]):
    """What was trained in stacks, and why the rest of what could have been was not."""

    fitted: dict[Name, Fitted]
    alone: dict[Name, str]


def fit_all(
    trainings: Mapping[Name, Training],
    stack: str,
    known: dict[Hashable, bool],
    share: float = 1.0,
) -> Stacks[Name]:
    """Train in stacks those that are better so.

    `auto` tries on a processor whether a stack is faster, once for a kind and size; `known`
    remembers it. On a GPU a stack always is, for a step's cost is that of launching it; stacks fit
    into a `share` of its memory. A stack that memory has no room for is left to be done one by one,
    with the reason.
    """
    kinds: dict[Hashable, dict[Name, _Begun]] = {}
    for name, each in trainings.items():
        if each.stacks:
            begun = _begun(each)
            kinds.setdefault(_kind(begun), {})[name] = begun
    found: Stacks[Name] = Stacks({}, {})
    for kind, members in kinds.items():
        try:
            for part in _parts(members, share):
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
    began, busy = time.perf_counter(), time.process_time()
    states = together([each.training for each in part.values()])
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    share = 1 / len(part)
    fitted = [Fitted(state, seconds * share, busy * share, len(part)) for state in states]
    return dict(zip(part, fitted, strict=True))


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
    if device_of(part[0].training).type != "cpu":
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


def _parts(members: Mapping[Name, _Begun], share: float) -> Iterator[dict[Name, _Begun]]:
    """The members in stacks, none larger than there is room for."""
    pairs = [*members.items()]
    most = _most(pairs[0][1], share)
    for first in range(0, len(pairs), most):
        yield dict(pairs[first : first + most])


def _most(begun: _Begun, share: float) -> int:
    """How many trainings like this one a stack may hold, in that share of the memory."""
    device = device_of(begun.training)
    if device.type != "cuda":
        return at_once(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    together([begun.only()])
    held = sum(each.nbytes for each in begun.training.data.values())
    one = torch.cuda.max_memory_allocated(device) - before + held
    unused, every = torch.cuda.mem_get_info(device)
    free = unused + torch.cuda.memory_reserved(device) - before
    room = min(free, share * every - before)  # what others have not taken yet is theirs
    return max(1, min(at_once(device), int(SHARE * room / one)))
