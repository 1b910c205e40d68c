"""How long methods take here: a fit with its choice of settings, on a draw of an entry.

A training that would take long is stopped after a few steps, by which the rest is reckoned.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from adapters import targets
from adapters.ability import check_entry, usual
from adapters.choosing.folds import Folds
from adapters.episode import Draw, Labelled
from adapters.experiment import Configured, Experiment, configured
from adapters.maths import training
from adapters.reading.features import check_needs
from adapters.registry import POLICIES
from adapters.selection import candidates, select, validation
from featcache.draws import Shots
from featcache.errors import ConfigError, FeatcacheError, UnknownNameError
from featcache.store.entry import Entry

TASK = "few-shot"
WARM_UP, STEPS = 2, 3  # steps of a training that do not count, and that do


@dataclass(frozen=True)
class Duration:
    """Seconds of the clock that a method takes; `reckoned` where it was not fitted to its end.

    Where it cannot be fitted on the entry, `refused` says why and what helps.
    """

    method: str
    seconds: float | None
    reckoned: bool = False
    refused: str = ""


def durations(
    entry: Entry,
    methods: Sequence[str],
    shots: Shots | None = None,
    policy: str | None = None,
    limit: float = 5.0,
) -> Iterator[Duration]:
    """What each method takes on a draw of the entry, one after the other.

    Shots and policy that are left open are those of `fit`; `limit` is the seconds from which on a
    training is reckoned. Raises what the draw raises, `UnknownNameError` for a policy that is none
    and `ConfigError` for `transfer`.
    """
    count, by = usual(TASK, shots, policy)
    if by not in POLICIES:
        raise UnknownNameError("policy", by, POLICIES)
    if by == "transfer":
        raise ConfigError(
            "policy transfer chooses on another data set, so that it has no time of its own here; "
            "take --policy none for the fit, and the choice's policy on that data set."
        )
    drawn = targets.draw(TASK, entry, count, 1, extras=entry.extras)
    _warm_up()
    for name in methods:
        try:
            known = configured(Experiment(name, count, policy=by))
            check_entry(entry, known)
            check_needs(name, known.method, drawn, (entry,))
            held = validation(drawn, by, known.config)
            yield _timed(known, drawn, held, limit)
        except FeatcacheError as error:
            yield Duration(name, None, refused=str(error))


def _warm_up() -> None:
    """What the first training of a process loads is no method's time."""
    parameter = torch.zeros(1, requires_grad=True)
    optimiser = training.by_adamw(1.0)([parameter])
    parameter.sum().backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def _timed(known: Configured, drawn: Draw, held: Labelled | Folds | None, limit: float) -> Duration:
    name, method = known.experiment.method, known.method
    folds = len(held.masks) if isinstance(held, Folds) else 1
    fits = candidates(method, known.config, held, known.fixed)
    # Configs that say how many steps they take, be it none, are as long as they say.
    clock = _Reckoning([getattr(fit, "steps", 1) for _ in range(folds) for fit in fits], limit)
    try:
        with training.watched(clock):
            select(method, drawn.episode, known.config, held, known.fixed)
    except _EnoughError:
        return Duration(name, clock.reckoned, True)
    return Duration(name, time.perf_counter() - clock.began)


class _EnoughError(Exception):
    """A training has been seen for long enough."""


class _Reckoning:
    """What trainings tell their steps, until it can be said that all of them take too long.

    `lengths` are those of all trainings beside each other, of which those of 0 are none.
    """

    def __init__(self, lengths: Sequence[float], limit: float) -> None:
        self.lengths, self.limit, self.reckoned = [each for each in lengths if each], limit, 0.0
        self.own = 1.0
        self.began = self.warm = time.perf_counter()

    def __call__(self, done: int, total: int) -> None:
        """So many steps of a training are done."""
        now = time.perf_counter()
        if done == 0:
            self.own = self.lengths.pop(0) if self.lengths else self.own
        elif done == WARM_UP:
            self.warm = now
        elif done == WARM_UP + STEPS:
            steps = total - done + total * sum(self.lengths) / self.own
            self.reckoned = now - self.began + steps * (now - self.warm) / STEPS
            if self.reckoned > self.limit:
                raise _EnoughError
