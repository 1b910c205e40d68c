"""The contract of a method.

A method is one file in `adapters/methods/` whose name is the method's name with `_` for `-`.
It ends with `method = Method(...)`, built from plain functions:

    fit(episode, config, generator) -> State      what the support teaches, as named tensors
    prepare(episode, config, generator) -> Training   the same fit still to be trained, so that many
                                                  can be as one; None where it is not (optional)
    logits(state, config, x [q, d]) -> [q, c]     scores of raw image embeddings
    scorer(state, config) -> (x -> [q, c])        the same with all that no picture changes done
                                                  already, for many portions of them (optional)
    with_text(state, config, text) -> State       the same method for other classes (optional)
    space(config) -> Space                        settings worth trying (optional)
    fit_over(episode, config, axes, generator) -> (choice, State) …   the state of each of those
                                                  `fit` settings, as `fit` has it, where together
                                                  they are less work (optional)
    logits_over(state, config, x, axes) -> (choice, logits) …   the logits of each of those settings
                                                  that `logits` reads, at little cost (optional)
    hits_over(state, config, axes) -> (x, labels [q] -> (choice, hits) …)   how many of the pictures
                                                  each of those settings gets right, where that is
                                                  less work than all their logits; it is asked about
                                                  many portions of them (optional)
    features(state, config, x [..., d]) -> [..., d]   unit embeddings in its own space (optional)
    left_out(episode, config, axes) -> (choice, error) …   how far each of those settings is off
                                                  where pictures are left out, without more fits;
                                                  None where that cannot be told (optional)
    class_vectors(state, config) -> [c, d]        what classes are in that space (optional)
    class_vectors_by(state, config, x [q, d], labels [q] or None) -> [q, c, d] or [q, d]   the same
                                                  where each picture has its own; with labels those
                                                  of its own class (optional)
    trajectory(state, config, x [q, d]) -> [s, n, d]   where its flow takes the pictures (n = q) or
                                                  the prototypes (n = c), step by step (optional)

`fit` sees the support and the text, never the test split; choosing settings is `selection`'s.

A method that looks at more than embeddings names it in `reads`. It finds it in the episode where it
is cached (`support.pre`, `support.patches`, `projection`, `negative`), and if it reads a feature of
pictures, its functions get a `Query` in place of the tensor x: a record with x, pre and patches,
each None where it is not cached. A record was chosen over one wide tensor because patches and
embeddings differ in shape, because a sum of methods can hand each part its own share of it, and
because every method that does without keeps its plain tensor. `needs` are those that a method
cannot do without; what it fits on, it must be asked with, which `Adapter` sees to.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from torch import Generator, Tensor

from adapters.choosing.folds import Folds
from adapters.episode import Episode, Labelled, Query, Text
from adapters.maths.kernels import portion
from adapters.maths.training import Training
from featcache.errors import MethodError
from featcache.store.entry import EXTRAS

State = dict[str, Tensor]
Axes = Mapping[str, Sequence[Any]]
Fit = Callable[[Episode, Any, Generator], State]
Scorer = Callable[[Any], Tensor]
ChoiceStates = Iterator[tuple[dict[str, Any], State]]
ChoiceLogits = Iterator[tuple[dict[str, Any], Tensor]]
ChoiceHits = Iterator[tuple[dict[str, Any], int | Tensor]]
Counter = Callable[[Any, Tensor], ChoiceHits]
ChoiceErrors = Iterator[tuple[dict[str, Any], float]]


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


def _unit(_config: Any) -> bool:
    return False


@dataclass(frozen=True)
class Method:
    """One few-shot method: its config class and the functions named in the module's head.

    `source` is where it was published, `status` how what is here differs from that, `new_classes`
    what is to be said of it with classes known by name alone; all tables of methods are made of
    these.

    `support_free` methods learn nothing from pictures, so that a set for test alone will do.
    `criterion` is what selection minimises or maximises on validation. `reads` names what is used
    beside embeddings and text where the cache holds it, `needs` what it must hold: `views`,
    `pre-projection`, `patches`, `negative prompts`, `text tower` (which is at `text.tower`).
    `presets` are named overrides of the config's defaults. `transductive` methods look at the query
    set as a whole. A method made of `parts` fits and chooses them in its own order with `choose`;
    see `adapters.compose`.

    `without_text` says how it does where the names of classes would give the answer away, or the
    data has no text: its terms of text are `absent` (the texts are zeros, which add nothing), or
    the `means` of each class's pictures stand where texts would; empty, it cannot. `batched`
    methods are algebra that `torch.vmap` can do for many small episodes at once, fit and logits.
    `least_left` is how many pictures a class a fold must leave for its choice to mean anything.
    `raw` says whether, with a config, it makes no sense of embeddings that were normalised already.
    `by_picture` methods fit towards `support.ends`, where a base reads classes by the picture, and
    are asked with a text of each picture `[q, c, d]`.
    """

    config: type[Any]
    fit: Callable[[Episode, Any, Generator], State]
    logits: Callable[[State, Any, Any], Tensor]
    scorer: Callable[[State, Any], Scorer] | None = None
    with_text: Callable[[State, Any, Text], State] | None = None
    space: Callable[[Any], Space] = _no_space
    fit_over: Callable[[Episode, Any, Axes, Generator], ChoiceStates] | None = None
    logits_over: Callable[[State, Any, Any, Axes], ChoiceLogits] | None = None
    hits_over: Callable[[State, Any, Axes], Counter] | None = None
    features: Callable[[State, Any, Any], Tensor] | None = None
    class_vectors: Callable[[State, Any], Tensor] | None = None
    class_vectors_by: Callable[[State, Any, Tensor, Tensor | None], Tensor] | None = None
    trajectory: Callable[[State, Any, Tensor], Tensor] | None = None
    left_out: Callable[[Episode, Any, Axes], ChoiceErrors | None] | None = None
    choose: Callable[[Episode, Any, Labelled | Folds | None, Set[str]], Any] | None = None
    prepare: Callable[[Episode, Any, Generator], Training | None] | None = None
    parts: Mapping[str, Method] = field(default_factory=dict)
    criterion: Literal["accuracy", "cross-entropy"] = "accuracy"
    reads: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    transductive: bool = False
    support_free: bool = False
    without_text: Literal["", "absent", "means"] = ""
    least_left: int = 1
    raw: Callable[[Any], bool] = _unit
    batched: bool = False
    by_picture: bool = False
    source: str = ""
    status: str = "as published"
    new_classes: str = ""

    @property
    def extras(self) -> frozenset[str]:
        """The features of pictures beside embeddings that it looks at where they are cached."""
        return (self.reads | self.needs) & {*EXTRAS}

    def input(self, x: Tensor | Query) -> Tensor | Query:
        """What its functions take of pictures: embeddings `[q, d]`, or a query if it has extras."""
        query = query_of(x)
        return query if self.extras else query.x

    def portions(self, query: Query, classes: int) -> Iterator[tuple[slice, Tensor | Query]]:
        """Rows of the pictures and those pictures as that `input`, a portion at a time.

        What is held in memory, and its time a picture, then do not depend on how many there
        are. A transductive method gets all of them at once.
        """
        pictures = len(query.x)
        rows = max(pictures if self.transductive else portion(query.x) // classes, 1)
        for first in range(0, max(pictures, 1), rows):
            some = slice(first, first + rows)
            yield some, self.input(query[some])

    def answer(self, state: State, config: Any, query: Query, classes: int) -> Tensor:
        """Logits `[q, c]` of any number of pictures, a portion at a time."""
        parts = self.answers(state, config, query, classes)
        rows, part = next(parts)
        found = part.new_empty(len(query.x), part.shape[1])
        found[rows] = part
        for rows, part in parts:
            found[rows] = part
        return found

    def answers(
        self, state: State, config: Any, query: Query, classes: int
    ) -> Iterator[tuple[slice, Tensor]]:
        """Rows of the pictures with the logits `[m, c]` of these, a portion after the other."""
        score = self.scored_by(state, config)
        for rows, x in self.portions(query, classes):
            yield rows, score(x)

    def scored_by(self, state: State, config: Any) -> Scorer:
        """What is to be asked of one portion of the pictures after the other."""
        if self.scorer is not None:
            return self.scorer(state, config)
        return partial(self.logits, state, config)

    def scores(self, state: State, config: Any, x: Tensor | Query, axes: Axes) -> ChoiceLogits:
        """Each choice of the `logits` axes with its logits `[q, c]` on that `input`, in order."""
        if axes and self.logits_over is not None:
            yield from self.logits_over(state, config, x, axes)
            return
        for choice in choices(axes):
            yield choice, self.logits(state, replace(config, **choice), x)


def query_of(x: Tensor | Query) -> Query:
    """Bare embeddings as a query that knows nothing else."""
    return x if isinstance(x, Query) else Query(x)


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
