"""Problems solved: settings chosen once for all of them, then each fitted and scored by itself.

Every fit draws the same chance, that of the seed, so that a problem's answer depends on no other.
Many are done as one where the method can: its algebra by `torch.vmap` (`batched`), its training by
`adapters.maths.together`. That is the fit alone up to the rounding of batched matrix products.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from adapters.episode import Episode
from adapters.evaluate import better, mean
from adapters.maths.together import together
from adapters.method import Axes, Method, State, choices
from adapters.problems.reading import Concepts, Listed, Problems, episode
from featcache.errors import MethodError

AT_ONCE = 256  # problems whose algebra is done as one
TRAINED = 64  # and whose trainings are


@dataclass(frozen=True)
class Asked:
    """What is asked of a task that solves: a method with its config, and what the fits share.

    `fixed` are the fields that no policy chooses; `text` says which text is shown, of that `bank`.
    """

    name: str
    method: Method
    config: Any
    fixed: Set[str]
    policy: str
    seed: int
    text: str | None = None
    bank: str | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class Solver:
    """A method with what its fits share: logit scale, seed, and the texts that it is shown."""

    name: str
    method: Method
    scale: float
    seed: int
    concepts: Concepts | None = None
    device: str = "cpu"

    def episodes(self, problems: Problems) -> Iterator[Episode]:
        """What the fit of each problem sees."""
        texts = problems.texts(self.concepts, self.method.without_text)
        for support, prompts, mask in zip(problems.support, *texts, strict=True):
            yield episode(support, prompts, mask, self.scale, self.seed)

    def chance(self) -> torch.Generator:
        """What each fit draws from, anew."""
        return torch.Generator().manual_seed(self.seed)


@dataclass(frozen=True)
class Settled:
    """The settings for all problems, their score on validation, and how many were tried."""

    config: Any
    score: float | None
    tried: int


@dataclass(frozen=True)
class Solved:
    """How a list of problems was solved: accuracy over queries and its standard error, per cent.

    The error is over problems, each with its two queries; NaN of one problem.
    """

    name: str
    accuracy: float
    standard_error: float
    queries: int
    left_out: int


def settle(solver: Solver, config: Any, fixed: Set[str], held: Sequence[Listed]) -> Settled:
    """Choose settings by the unweighted mean over lists of the method's criterion; first best wins.

    Without lists, or where the method has nothing to choose, the config stays as it is.
    """
    method = solver.method
    space = method.space(config)
    fits, reads = (
        {k: v for k, v in axes.items() if k not in fixed} for axes in (space.fit, space.logits)
    )
    if not held or not (fits or reads):
        return Settled(config, None, 0)
    best = Settled(config, None, 0)
    tried = 0
    for changed in choices(fits):
        candidate = replace(config, **changed)
        each = [_judged(solver, candidate, listed, reads) for listed in held]
        for place, choice in enumerate(choices(reads)):
            tried += 1
            found = mean([scores[place] for scores in each])
            if best.score is None or better(method.criterion, found, best.score):
                best = Settled(replace(candidate, **choice), found, tried)
    return replace(best, tried=tried)


def _judged(solver: Solver, config: Any, listed: Listed, axes: Axes) -> list[float]:
    """The criterion of each choice of the axes over the queries of a list."""
    by_accuracy = solver.method.criterion == "accuracy"
    totals: Tensor | float = 0.0
    first = 0
    for logits in answers(solver, config, listed.problems, axes):  # [b, m, 2, 2]
        labels = listed.labels[first : first + len(logits)]
        first += len(logits)
        if by_accuracy:
            found = 100.0 * right(logits, labels).double()
        else:
            wanted = labels[:, None].expand(logits.shape[:-1])
            flat = cross_entropy(logits.flatten(0, 2), wanted.flatten(), reduction="none")
            found = flat.reshape(wanted.shape).double()
        totals = totals + found.sum((0, 2))  # [m]
    assert isinstance(totals, Tensor)
    return [value / listed.labels.numel() for value in totals.tolist()]


def solve(solver: Solver, config: Any, listed: Listed) -> Solved:
    """Fit and score every problem of a list. Labels are looked at when all answers are there.

    Raises `MethodError` where scores are not finite, for they would still have an accuracy.
    """
    logits = torch.cat([*answers(solver, config, listed.problems, {})])[:, 0]  # [p, 2, 2]
    if bad := int((~logits.isfinite().flatten(1).all(1)).sum()):
        raise MethodError(
            f"{solver.name} gives scores that are not finite in {bad} of {len(logits)} problems "
            f"of {listed.name}, so it has no accuracy; fit it with other settings (such as a lower "
            "learning rate)."
        )
    each = 100.0 * right(logits, listed.labels).double().mean(1)  # [p]
    n = len(each)
    error = float(each.std() / math.sqrt(n)) if n > 1 else math.nan
    return Solved(listed.name, float(each.mean()), error, 2 * n, listed.left_out)


def right(logits: Tensor, labels: Tensor) -> Tensor:
    """Which queries of `logits [p, ..., q, c]` are best at their class of `labels [p, q]`.

    A query whose best is not finite is not.
    """
    best, found = logits.max(-1)
    wanted = labels.reshape(len(labels), *[1] * (found.ndim - 2), -1)
    return (found == wanted) & best.isfinite()


def answers(solver: Solver, config: Any, problems: Problems, axes: Axes) -> Iterator[Tensor]:
    """Logits `[b, m, 2, 2]` of the queries by each of m choices of the axes, some at a time."""
    method = solver.method
    if method.batched:
        one = partial(_answer, solver, config, axes)
        for some in problems.portions(AT_ONCE):
            some = some.to(solver.device)
            texts = some.texts(solver.concepts, method.without_text)
            yield torch.vmap(one)(some.support, some.query, *texts).cpu()
        return
    for some in problems.portions(TRAINED):
        some = some.to(solver.device)
        states = _states(solver, config, [*solver.episodes(some)])
        pairs = zip(states, some.query, strict=True)
        yield torch.stack([_logits(method, state, config, x, axes) for state, x in pairs]).cpu()


def _answer(
    solver: Solver, config: Any, axes: Axes, support: Tensor, x: Tensor, text: Tensor, mask: Tensor
) -> Tensor:
    seen = episode(support, text, mask, solver.scale, solver.seed)
    state = solver.method.fit(seen, config, solver.chance())
    return _logits(solver.method, state, config, x, axes)


def _logits(method: Method, state: State, config: Any, x: Tensor, axes: Axes) -> Tensor:
    """Of each choice `[m, 2, 2]`."""
    with torch.no_grad():
        found = method.scores(state, config, method.input(x), axes)
        return torch.stack([logits for _, logits in found])


def _states(solver: Solver, config: Any, episodes: Sequence[Episode]) -> list[State]:
    method = solver.method
    if method.prepare is None:
        return [method.fit(each, config, solver.chance()) for each in episodes]
    trainings = [method.prepare(each, config, solver.chance()) for each in episodes]
    stacked = [each for each in trainings if each is not None and each.stacks]
    if len(stacked) < len(trainings):
        return [method.fit(each, config, solver.chance()) for each in episodes]
    # Classes, counts and chance are the same in all of them, and so are their batches.
    batches = [*stacked[0].batches]
    # Few pictures are soon told apart, and gradients too small for normal numbers take six times
    # as long: as zeros they move no parameter less.
    torch.set_flush_denormal(True)
    try:
        return together([replace(each, batches=batches) for each in stacked])
    finally:
        torch.set_flush_denormal(False)
