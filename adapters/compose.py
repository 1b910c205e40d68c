"""Methods made of methods: one fitted in another's space, and sums of logits.

    top@base        base moves pictures and class vectors into its own space (its `features` and
                    `class_vectors`), and top is fitted there: `fma@taskres`, `fma@clip-adapter`
    sum:a+b         each part's logits, standardised over the classes of a query, added with equal
                    weight: `sum:gda+fma@taskres`; a part for which all are alike adds nothing

What a base has not moved, such as cached patches, is no part of its space: `top` does without. A
base that reads classes by the picture (`fma@cocoop`) has `top` fitted towards what each picture's
own class is to it, and asked with the classes as each picture has them. Classes that are known by
name alone go through the parts one after the other.

The parts are chosen one after the other, each by its own criterion and on its own space; settings
of a part are written with its name before a dot (`fma.blocks=2`).
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import field, make_dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Generator, Tensor, ones
from torch.nn.functional import normalize

from adapters.choosing.folds import Fold, Folds
from adapters.episode import VIEWS, Episode, Labelled, Query, Support, Text, widened
from adapters.expression import field_of, parts
from adapters.method import Axes, ChoiceLogits, Method, State, query_of
from adapters.registry import plain
from adapters.selection import Chosen, select
from featcache.errors import MethodError

ROUNDING = 1e-6  # of the largest score; a smaller spread says nothing


@cache
def get(name: str) -> Method:
    """The method of that name, or of an expression such as `fma@taskres` or `sum:gda+fma`.

    Raises `UnknownNameError` with the nearest names for a part that is none, `MethodError` for
    parts that do not fit.
    """
    if parts(name) == [name]:
        return plain(name)
    if name.startswith("sum:"):
        return total(parts(name))
    top, base = parts(name)
    return over(top, base)


def over(top_name: str, base_name: str) -> Method:
    """`top` fitted on pictures and class vectors as `base` moves them."""
    top, base = get(top_name), get(base_name)
    read = base.class_vectors_by
    if base.features is None and base.class_vectors is None and read is None:
        raise MethodError(
            f"{base_name} moves neither pictures nor class vectors, so nothing can be fitted in "
            f"its space; use sum:{base_name}+{top_name} to add the two."
        )
    if top.needs - {VIEWS}:
        raise MethodError(
            f"{top_name} needs {' and '.join(sorted(top.needs - {VIEWS}))}, which {base_name} does "
            f"not move into its space; use sum:{base_name}+{top_name} to add the two."
        )

    if read is not None and not top.by_picture:
        raise MethodError(
            f"{base_name} reads its classes by the picture, and {top_name} knows one vector a "
            f"class; use sum:{base_name}+{top_name} to add the two."
        )

    def choose(
        episode: Episode, config: Any, held: Labelled | Folds | None, fixed: Set[str]
    ) -> Chosen:
        if read is not None and isinstance(held, Folds):
            raise MethodError(
                f"{base_name}'s classes by the picture are learned from all pictures, so that none "
                "can be left out in turn; take another policy than loo or hoso."
            )
        if base.features is None:  # it leaves pictures as they are, so it may not look further
            episode, held = _embeddings_alone(episode, held)
        low = select(base, episode, _part(config, base_name), held, _within(fixed, base_name))
        inner = _moved(episode, base, low)
        seen = _seen(base, low, held)
        above = top if read is None else _by_picture(top, base, low)
        if isinstance(held, Folds):  # the base has seen what an error on all pictures leaves out
            above = replace(above, left_out=None)
        high = select(above, inner, _part(config, top_name), seen, _within(fixed, top_name))
        chosen = _whole(config, {base_name: low, top_name: high})
        return replace(chosen, score=high.score)

    def logits(state: State, config: Any, x: Tensor | Query) -> Tensor:
        high, own = _within_state(state, top_name), _part(config, top_name)
        low = Chosen(_part(config, base_name), _within_state(state, base_name), None, 0)
        above = top if read is None else _by_picture(top, base, low)
        return above.logits(high, own, top.input(_features(base, low, query_of(x))))

    def with_text(state: State, config: Any, text: Text) -> State:
        assert base.with_text is not None
        assert top.with_text is not None
        own = _part(config, base_name)
        low = base.with_text(_within_state(state, base_name), own, text)
        seen = _text(base, low, own, text)
        high = top.with_text(_within_state(state, top_name), _part(config, top_name), seen)
        return _joined({base_name: low, top_name: high})

    reads = base.reads if base.features else frozenset()
    found = _method({base_name: base, top_name: top}, choose, logits, reads, top.criterion)
    return replace(found, with_text=with_text if base.with_text and top.with_text else None)


def total(names: list[str]) -> Method:
    """The sum of standardised logits of several methods."""
    members = {name: get(name) for name in names}

    def choose(
        episode: Episode, config: Any, held: Labelled | Folds | None, fixed: Set[str]
    ) -> Chosen:
        chosen = {
            name: select(method, episode, _part(config, name), held, _within(fixed, name))
            for name, method in members.items()
        }
        return _whole(config, chosen)

    def logits(state: State, config: Any, x: Tensor | Query) -> Tensor:
        scores = [
            method.logits(_within_state(state, name), _part(config, name), method.input(x))
            for name, method in members.items()
        ]
        return sum(map(_standardised, scores))  # type: ignore[return-value]

    reads = frozenset().union(*(method.reads for method in members.values()))
    return _method(members, choose, logits, reads)


def _standardised(scores: Tensor) -> Tensor:
    """Scores `[q, c]` with mean 0 and deviation 1 over the classes; 0 where all are the same."""
    if scores.shape[1] < 2:
        return scores - scores
    spread = scores.std(1, keepdim=True)
    apart = spread > ROUNDING * scores.abs().amax(1, keepdim=True)
    return ((scores - scores.mean(1, keepdim=True)) / spread).where(apart | ~spread.isfinite(), 0)


def _by_picture(top: Method, base: Method, low: Chosen) -> Method:
    """`top` asked with the classes as the base has each picture read them."""
    assert base.class_vectors_by is not None
    assert top.with_text is not None
    read, other = base.class_vectors_by, top.with_text

    def asked(state: State, config: Any, x: Tensor) -> State:
        return other(state, config, _vectors(read(low.state, low.config, x, None)))

    def logits(state: State, config: Any, x: Tensor) -> Tensor:
        return top.logits(asked(state, config, x), config, x)

    def logits_over(state: State, config: Any, x: Tensor, axes: Axes) -> ChoiceLogits:
        yield from top.scores(asked(state, config, x), config, x, axes)

    return replace(top, logits=logits, logits_over=logits_over, hits_over=None, scorer=None)


def _method(
    members: dict[str, Method],
    choose: Any,
    logits: Any,
    reads: frozenset[str],
    criterion: Any = "accuracy",
) -> Method:
    fields = [
        (field_of(name), method.config, field(default_factory=method.config))
        for name, method in members.items()
    ]
    config = make_dataclass("Config", fields, frozen=True)

    def fit(episode: Episode, config: Any, generator: Generator) -> State:
        state: State = choose(episode, config, None, frozenset()).state
        return state

    return Method(
        config=config,
        fit=fit,
        logits=logits,
        choose=choose,
        criterion=criterion,
        parts=members,
        reads=reads,
        needs=frozenset().union(*(method.needs for method in members.values())),
        transductive=any(method.transductive for method in members.values()),
        raw=lambda config: any(method.raw(_part(config, name)) for name, method in members.items()),
        # Each part has its own stand-in for text, so the whole leaves what is absent as it is.
        without_text="absent" if all(m.without_text for m in members.values()) else "",
    )


def _part(config: Any, name: str) -> Any:
    return getattr(config, field_of(name))


def _within(fixed: Set[str], name: str) -> frozenset[str]:
    prefix = f"{field_of(name)}."
    return frozenset(key.removeprefix(prefix) for key in fixed if key.startswith(prefix))


def _within_state(state: State, name: str) -> State:
    prefix = f"{name}/"
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _joined(states: dict[str, State]) -> State:
    return {f"{name}/{k}": v for name, state in states.items() for k, v in state.items()}


def _whole(config: Any, chosen: dict[str, Chosen]) -> Chosen:
    """Configs and states of the parts as one."""
    configs = {field_of(name): part.config for name, part in chosen.items()}
    state = _joined({name: part.state for name, part in chosen.items()})
    notes = [f"{name}: {part.note}" for name, part in chosen.items() if part.note]
    tried = sum(part.tried for part in chosen.values())
    return Chosen(replace(config, **configs), state, None, tried, "; ".join(notes) or None)


def _features(base: Method, low: Chosen, query: Query) -> Tensor:
    if base.features is None:
        return query.x
    unit = replace(query, x=normalize(widened(query.x), dim=-1))
    return base.features(low.state, low.config, base.input(unit))


def _moved(episode: Episode, base: Method, low: Chosen) -> Episode:
    support = episode.support
    views = _features(base, low, Query(support.views, support.pre, support.patches))
    text = _text(base, low.state, low.config, episode.text)
    ends = None
    if base.class_vectors_by is not None:
        x, labels = views.flatten(0, 1), support.labels.repeat(len(views))
        ends = base.class_vectors_by(low.state, low.config, x, labels).view_as(views)
    moved = Support(views, support.labels, support.ids, ends=ends)
    return replace(episode, support=moved, text=text, projection=None, negative=None)


def _text(base: Method, state: State, config: Any, text: Text) -> Text:
    """The classes in the base's space."""
    if base.class_vectors is None:
        return text
    return _vectors(base.class_vectors(state, config), text.classnames)


def _vectors(vectors: Tensor, names: tuple[str, ...] = ()) -> Text:
    """Class vectors `[..., c, d]` as texts of one prompt each."""
    mask = ones(vectors.shape[-2], 1, dtype=torch.bool, device=vectors.device)
    return Text(vectors.unsqueeze(-2), mask, names)


def _seen(base: Method, low: Chosen, held: Labelled | Folds | None) -> Labelled | Folds | None:
    """What is held out, in the base's space; of a fold, that of the base fitted without it."""
    if held is None:
        return None
    if isinstance(held, Labelled):
        return Labelled(_features(base, low, held.query), held.labels, held.ids)

    def moved(fold: Fold) -> Fold:
        without = select(base, fold.episode, low.config, None)
        pictures = _seen(base, without, fold.held)
        assert isinstance(pictures, Labelled)
        return Fold(_moved(fold.episode, base, without), pictures)

    return held.each(moved)


def _embeddings_alone(
    episode: Episode, held: Labelled | Folds | None
) -> tuple[Episode, Labelled | Folds | None]:
    if isinstance(held, Folds):
        return _embeddings_alone(episode, None)[0], held.each(_fold_alone)
    support = replace(episode.support, pre=None, patches=None)
    episode = replace(episode, support=support, projection=None, negative=None)
    return episode, held and Labelled(held.x, held.labels, held.ids)


def _fold_alone(fold: Fold) -> Fold:
    episode, held = _embeddings_alone(fold.episode, fold.held)
    assert isinstance(held, Labelled)
    return Fold(episode, held)
