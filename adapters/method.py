"""The contract of a method.

A method is one file in `adapters/methods/` whose name is the method's name with `_` for `-`.
It ends with `method = Method(...)`, built from plain functions:

    fit(episode, config, generator) -> State      what the support teaches, as named tensors
    prepare(episode, config, generator) -> Training   the same fit still to be trained, so that many
                                                  can be as one; None where it is not (optional)
    logits(state, config, x [q, d]) -> [q, c]     scores of raw image embeddings
    with_text(state, config, text) -> State       the same method for other classes (optional)
    space(config) -> Space                        settings worth trying (optional)
    grid(state, config, x, axes) -> (choice, logits) …   those settings at little cost (optional)
    features(state, config, x [..., d]) -> [..., d]   unit embeddings in its own space (optional)
    targets(state, config) -> [c, d]              class vectors in that space (optional)
    trajectory(state, config, x [q, d]) -> [s, n, d]   where its flow takes the pictures (n = q) or
                                                  the prototypes (n = c), step by step (optional)

`fit` sees the support and the text, never the test split; choosing settings is `selection`'s.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch import Generator, Tensor

from adapters.episode import Episode, Labelled, Text
from adapters.training import Training
from featcache.errors import MethodError

State = dict[str, Tensor]
Axes = Mapping[str, Sequence[Any]]
Fit = Callable[[Episode, Any, Generator], State]
Grid = Iterator[tuple[dict[str, Any], Tensor]]


@dataclass(frozen=True)
class Space:
    """Values worth trying, by config field.

    `fit` fields need a new fit for each value; `logits` fields are read by `logits` alone, so
    that one fit serves them all.
    """

    fit: Axes = field(default_factory=dict)
    logits: Axes = field(default_factory=dict)


def _no_space(_config: Any) -> Space:
    return Space()


@dataclass(frozen=True)
class Method:
    """One few-shot method: its config class and the functions named in the module's head.

    `criterion` is what selection minimises or maximises on validation. `needs` names what the
    cache must hold beside embeddings and text (`"views"`, …). `presets` are named overrides of
    the config's defaults. `transductive` methods look at the query set as a whole. A method made
    of `parts` fits and chooses them in its own order with `choose`; see `adapters.compose`.
    """

    config: type[Any]
    fit: Callable[[Episode, Any, Generator], State]
    logits: Callable[[State, Any, Tensor], Tensor]
    with_text: Callable[[State, Any, Text], State] | None = None
    space: Callable[[Any], Space] = _no_space
    grid: Callable[[State, Any, Tensor, Axes], Grid] | None = None
    features: Callable[[State, Any, Tensor], Tensor] | None = None
    targets: Callable[[State, Any], Tensor] | None = None
    trajectory: Callable[[State, Any, Tensor], Tensor] | None = None
    choose: Callable[[Episode, Any, Labelled | None, Set[str]], Any] | None = None
    prepare: Callable[[Episode, Any, Generator], Training | None] | None = None
    parts: Mapping[str, Method] = field(default_factory=dict)
    criterion: Literal["accuracy", "cross-entropy"] = "accuracy"
    needs: frozenset[str] = frozenset()
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    transductive: bool = False

    def scores(self, state: State, config: Any, x: Tensor, axes: Axes) -> Grid:
        """Each choice of the `logits` axes with its logits `[q, c]` on `x [q, d]`, in order."""
        if axes and self.grid is not None:
            yield from self.grid(state, config, x, axes)
            return
        for choice in choices(axes):
            yield choice, self.logits(state, replace(config, **choice), x)


def choices(axes: Axes) -> Iterator[dict[str, Any]]:
    """Every combination of the axes' values, the first axis outermost; one empty for no axes."""
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def refuse_new_classes(name: str) -> MethodError:
    """The refusal of a method whose parameters belong to the classes it was fitted on."""
    return MethodError(
        f"{name} has parameters for the classes it was fitted on and none for new ones; "
        "fit it on the new classes, or take a method that scores names (zero-shot, fma, …)."
    )
