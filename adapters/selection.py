"""Which hyper-parameters are taken, and who may look at what to decide it.

Every result row carries its policy, and rows of different policies never share a column.

    none           the config as it stands
    loo            best on training pictures left out in turn (`adapters.choosing.folds`), then
                   fitted on all of them; by cross-entropy at the best temperature
    hoso           the same with one shot of every class left out once
    few-shot-val   best on min(K, 4) validation pictures a class (the default)
    full-val       best on the whole validation list
    transfer       best on another data set, taken over unchanged
    oracle-test    best on the test labels; only to reproduce numbers published that way
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from adapters.choosing.folds import LOO, Fold, Folds, hold_out, trains
from adapters.episode import Draw, Episode, Labelled
from adapters.evaluate import better, last
from adapters.maths import leave_one_out
from adapters.maths.winners import hits
from adapters.method import Axes, ChoiceLogits, Method, State, choices
from adapters.registry import LEFT_OUT, POLICIES
from adapters.stand_ins import whole
from featcache import threads
from featcache.errors import EpisodeError, UnknownNameError

AT_ONCE = 64  # settings whose losses are summed together


@dataclass(frozen=True)
class Chosen:
    """A fitted state with the config that won, its score on validation and how many were tried.

    `score` is accuracy in per cent or mean cross-entropy, as the method's criterion says; None
    where nothing was chosen. Of pictures left out it is what was least: cross-entropy at the best
    temperature, or the method's own error. `note` says why a policy that would choose could not.
    """

    config: Any
    state: State
    score: float | None
    tried: int
    note: str | None = None


def validation(draw: Draw, policy: str, config: Any = None) -> Labelled | Folds | None:
    """What the policy may look at to choose; None where it chooses nothing.

    The config says whether fits are trainings, of which less are done to choose. Raises
    `EpisodeError` where the data has no such list.
    """
    if policy not in POLICIES:
        raise UnknownNameError("policy", policy, POLICIES)
    if policy in ("none", "transfer") or not len(draw.episode.support.labels):
        return None  # without training pictures nothing is learned that could be chosen
    if policy in LEFT_OUT:
        return hold_out(draw.episode, policy, config is not None and trains(config))
    if policy == "oracle-test":
        return draw.test
    held = draw.few_shot_val if policy == "few-shot-val" else draw.full_val
    if held is None or not len(held.labels):
        raise EpisodeError(
            f"{draw.episode.dataset} has no pictures for policy {policy}; take --policy loo, "
            "which needs none, or few-shot-val where training pictures are left over."
        )
    return held


def select(
    method: Method,
    episode: Episode,
    config: Any,
    held: Labelled | Folds | None,
    fixed: Set[str] = frozenset(),
) -> Chosen:
    """Fit, trying the method's space (less the `fixed` fields) on the held-out pictures.

    The first best wins. Each fit draws from its own generator, seeded by the episode, so a
    setting's result does not depend on what was tried before it. A class without pictures stands
    by its text, and what stands where the data has none is the method's (`adapters.stand_ins`).
    """
    # All training pictures with all classes: what most methods do at least once.
    with threads.for_work(episode.support.x.numel() * episode.classes):
        if isinstance(held, Folds):
            held = held.each(lambda fold: _whole(fold, method))
        return _select(method, whole(episode, method.without_text), config, held, fixed)


def _whole(fold: Fold, method: Method) -> Fold:
    return replace(fold, episode=whole(fold.episode, method.without_text))


def _select(
    method: Method, episode: Episode, config: Any, held: Labelled | Folds | None, fixed: Set[str]
) -> Chosen:
    if method.choose is not None:
        chosen: Chosen = method.choose(episode, config, held, fixed)
        return chosen
    if isinstance(held, Folds):
        return _left_out(method, episode, config, held, fixed)
    space = method.space(config)
    on_fit, on_logits = (_asked(axes, held, fixed) for axes in (space.fit, space.logits))
    best: Chosen | None = None
    tried = 0
    for candidate, state in _fits(method, episode, config, on_fit):
        if held is None or not (on_fit or on_logits):
            return Chosen(candidate, state, None, 0)
        for choice, found in _scores(method, state, candidate, held, on_logits, episode.classes):
            tried += 1
            if best is None or best.score is None or better(method.criterion, found, best.score):
                best = Chosen(replace(candidate, **choice), state, found, tried)
    assert best is not None
    return replace(best, tried=tried)


def _left_out(
    method: Method, episode: Episode, config: Any, folds: Folds, fixed: Set[str]
) -> Chosen:
    """Choose by what is left out in each fold, and fit once more with everything."""
    space = method.space(config)
    on_fit, on_logits = (_asked(axes, folds, fixed) for axes in (space.fit, space.logits))
    asked = candidates(method, config, folds, fixed) if on_fit or on_logits else []
    tried = _exactly(method, episode, asked, on_logits) if folds.policy == LOO else None
    note = None
    if tried is None and asked and folds.left < method.least_left:
        tried, note = (
            [],
            (
                f"policy {folds.policy} would leave {folds.left} of {episode.shots} pictures a "
                "class, too few to choose by; settings are those of policy none"
            ),
        )
    if tried is None:
        tried = _pooled(method, config, folds, on_fit, on_logits) if asked else []
    best, score = min(tried, key=lambda pair: last(pair[1]), default=(config, None))
    return Chosen(best, method.fit(episode, best, chance(episode)), score, len(tried), note)


Judged = list[tuple[Any, float]]  # configs, each with its loss on what was left out


def _exactly(method: Method, episode: Episode, asked: list[Any], axes: Axes) -> Judged | None:
    """The configs and their choices with the method's own error; None where it knows none."""
    tried: Judged = []
    for config in asked:
        errors = method.left_out(episode, config, axes) if method.left_out else None
        if errors is None:
            return None
        tried += [(replace(config, **choice), error) for choice, error in errors]
    return tried


def _pooled(method: Method, config: Any, folds: Folds, on_fit: Axes, on_logits: Axes) -> Judged:
    """The configs and their choices with the cross-entropy over all folds together.

    Fold by fold, and not config by config, so that one of them is in memory at a time.
    """
    sums: Tensor | None = None
    tried: list[Any] = []
    for fold in folds:
        tried, lost = [], list[Tensor]()
        for candidate, state in _fits(method, fold.episode, config, on_fit):
            own: Tensor | None = None  # [m, s]
            with torch.inference_mode():
                for rows, x in method.portions(fold.held.query, 2 * fold.episode.classes):
                    scores = method.scores(state, candidate, x, on_logits)
                    found, some = _losses(scores, fold.held.labels[rows])
                    own = some if own is None else own + some
            assert own is not None
            tried += [replace(candidate, **choice) for choice in found]
            lost.append(own)
        sums = torch.cat(lost) if sums is None else sums + torch.cat(lost)
    if sums is None:
        return []
    return [*zip(tried, (leave_one_out.least(sums) / folds.pictures).tolist(), strict=True)]


def _losses(scores: ChoiceLogits, labels: Tensor) -> tuple[list[dict[str, Any]], Tensor]:
    """The choices and the losses of each `[m, s]`, of some of them at once."""
    tried, found = [], []
    while some := [*islice(scores, AT_ONCE)]:
        tried += [choice for choice, _ in some]
        found.append(leave_one_out.losses(torch.stack([logits for _, logits in some]), labels))
    return tried, torch.cat(found)


def _fits(method: Method, episode: Episode, config: Any, axes: Axes) -> Iterator[tuple[Any, State]]:
    """Each choice of the `fit` axes as a config, with its fit."""
    if axes and method.fit_over is not None:
        for choice, state in method.fit_over(episode, config, axes, chance(episode)):
            yield replace(config, **choice), state
        return
    for choice in choices(axes):
        candidate = replace(config, **choice)
        yield candidate, method.fit(episode, candidate, chance(episode))


def candidates(
    method: Method, config: Any, held: Labelled | Folds | None, fixed: Set[str] = frozenset()
) -> list[Any]:
    """The configs that `select` fits, in its order."""
    on_fit = _asked(method.space(config).fit, held, fixed)
    return [replace(config, **overrides) for overrides in choices(on_fit)]


def chance(episode: Episode) -> torch.Generator:
    """What each fit on the episode draws from, anew."""
    return torch.Generator().manual_seed(episode.seed)


def _asked(axes: Axes, held: Labelled | Folds | None, fixed: Set[str]) -> Axes:
    """The axes that are to be tried."""
    return {key: values for key, values in axes.items() if key not in fixed and held}


def _scores(
    method: Method, state: State, config: Any, held: Labelled, axes: Axes, classes: int
) -> Iterator[tuple[dict[str, Any], float]]:
    """Each choice of the `logits` axes with its score on all the held-out pictures."""
    tried: list[dict[str, Any]] = []
    totals: list[float] = []
    with torch.inference_mode():
        counts = method.hits_over if axes and method.criterion == "accuracy" else None
        count = counts(state, config, axes) if counts else None
        over = method.logits_over if axes else None
        scorers = [
            (choice, method.scored_by(state, replace(config, **choice)))
            for choice in ([] if count or over else choices(axes))
        ]
        # A search mixes two parts into a third, all of which then stay in a processor's cache.
        for rows, x in method.portions(held.query, 2 * classes if axes else classes):
            labels = held.labels[rows]
            if count:
                found = [(c, 100.0 * hit) for c, hit in count(x, labels)]
            else:
                scored = (
                    over(state, config, x, axes) if over else ((c, ask(x)) for c, ask in scorers)
                )
                found = [(choice, _total(method, logits, labels)) for choice, logits in scored]
            tried = [choice for choice, _ in found]
            read = _read([total for _, total in found])
            totals = [a + b for a, b in zip(totals or [0.0] * len(found), read, strict=True)]
    return zip(tried, (total / len(held.labels) for total in totals), strict=True)


def score(method: Method, logits: Tensor, held: Labelled) -> float:
    """Accuracy in per cent or mean cross-entropy of `logits [n, c]`, as the criterion says."""
    return float(_total(method, logits, held.labels)) / len(held.labels)


def _total(method: Method, logits: Tensor, labels: Tensor) -> float | Tensor:
    """What `score` is the mean of, summed over the pictures; on a GPU still to be read."""
    if method.criterion == "accuracy":
        # A whole number, whatever the portions, so that equals stay equal.
        return 100.0 * hits(logits, labels)
    return cross_entropy(logits, labels, reduction="none").double().sum()


def _read(values: list[float | Tensor]) -> list[float]:
    """The numbers, all at once: a GPU would stand still for each."""
    if values and all(isinstance(value, Tensor) for value in values):
        found: list[float] = torch.stack(values).double().tolist()  # type: ignore[arg-type]
        return found
    return [float(value) for value in values]
