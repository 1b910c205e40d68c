"""Ours beside what was published: the runs of a table, their means, and why they differ."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from adapters.compose import get
from adapters.evaluate import spread
from adapters.report.published import ACCURACY, CHOSEN, HARMONIC, MEAN, Published
from adapters.reproducing.needs import Need
from adapters.reproducing.tables import TEST, Line, Reproduction
from adapters.sweeping.grid import grid

if TYPE_CHECKING:
    import pandas

    from adapters.sweeping.runs import Run
    from featcache.store.cache import FeatureCache

OURS = "featcache, `adapters reproduce {}`"
WEIGHTS = "weights, activation or preprocessing: nothing is learned, so that these show first"
POINT = 1.0  # a difference above which reasons are given
TRANSFERS = ("cross-dataset", "domain-generalization")
Scores = Mapping[tuple[str, str], Mapping[int, float]]  # by measure and set: accuracy by seed


@dataclass(frozen=True)
class Planned:
    """A run of a line; its number of shots as the source counts them, 0 without any picture."""

    line: Line
    shots: int
    policy: str
    run: Run


@dataclass(frozen=True)
class Difference:
    """A number of ours, in per cent, the mean of `seeds`, beside the published one.

    `std` is the sample standard deviation over our seeds, None for one. `policy` is ours, `theirs`
    that of the published number; `reasons` are what is known to differ, given where the difference
    is above one point.
    """

    method: str
    measure: str
    dataset: str
    shots: int
    ours: float
    published: float
    seeds: int
    std: float | None
    policy: str
    theirs: str
    reasons: tuple[str, ...]

    @property
    def difference(self) -> float:
        """Ours less theirs."""
        return self.ours - self.published


def planned(
    table: Reproduction,
    held: Sequence[Need],
    cache: FeatureCache,
    *,
    on_test: bool = False,
    methods: Sequence[str] = (),
    shots: Sequence[int] = (),
) -> list[Planned]:
    """The runs of a table on what is cached, all checked; `methods` and `shots` take some alone.

    Methods that cannot be fitted here, or lack an extra, have none, nor has a set that lacks the
    bank that was asked for. Settings are chosen by the policy of the source; on test only with
    `on_test`. Raises what `grid` raises.
    """
    found = []
    if table.asked_bank:
        held = [n for n in held if n.entry and table.asked_bank in n.entry.banks]
    others = [need.entry.key for need in held if need.entry and not need.source]
    for line in table.lines:
        if line.refusal or (methods and not {line.fitted, line.published} & {*methods}):
            continue
        for need in held:
            if not need.source or need.entry is None or line.extra in need.lacks:
                continue
            if table.on and not others:
                continue
            learns = not get(line.fitted).support_free
            counts = [k for k in table.shots if not shots or k in shots]
            bank = table.bank(need.dataset)
            policy = table.policy(line, need.dataset, on_test)
            runs = grid(
                cache,
                method=line.fitted,
                dataset=need.entry.key,
                shots=counts if learns else counts[:1],
                seed=list(table.seeds),
                policy=policy,
                task=table.task,
                on=others or None,
                prompts=bank if bank in need.entry.banks else None,
                settings=line.settings,
            )
            for run in runs:
                count = int(run.experiment.shots) if learns else 0
                found.append(Planned(line, count, policy, run))
    return found


def compared(
    table: Reproduction, done: Sequence[Planned], rows: pandas.DataFrame, held: Sequence[Need]
) -> list[Difference]:
    """Every published number that there is one of ours for, in the order of the table."""
    of = dict(iter(rows[rows["status"] == "done"].groupby("run")))
    entries = {need.dataset: need for need in held}
    found = []
    for line in table.lines:
        row = table.row(line)
        mine = [each for each in done if each.line == line]
        for shots in dict.fromkeys(each.shots for each in mine):
            runs = [each for each in mine if each.shots == shots and each.run.id in of]
            scores = _scores(table, runs, of)
            for measure, dataset, published in _numbers(row, shots):
                own = _own(scores, row, measure, dataset)
                if not own:
                    continue
                mean = spread(own)
                std = mean.std if mean.n > 1 else None
                told = Difference(
                    line.published, measure, dataset, shots, mean.mean, published, mean.n, std,
                    _policies(runs, dataset), row.policy(dataset), (),
                )  # fmt: skip
                found.append(_explained(told, table, line, row, entries))
    return found


def _policies(runs: Sequence[Planned], dataset: str) -> str:
    """Ours of a data set's runs, or of all where it has none of its own."""
    own = [each for each in runs if each.run.entry.dataset == dataset]
    return " or ".join(sorted({each.policy for each in own or runs}))


def _numbers(row: Published, shots: int) -> Iterator[tuple[str, str, float]]:
    """Measure, set and number of what was published at a number of shots."""
    for measure, by_set in row.numbers.items():
        for dataset, by_shots in by_set.items():
            if (number := by_shots.get(str(shots))) is not None:
                yield measure, dataset, number


def _scores(table: Reproduction, runs: Sequence[Planned], of: Mapping[Any, Any]) -> Scores:
    """Our accuracies by measure and data set, each by seed."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for each in runs:
        fitted, seed = each.run.entry.dataset, each.run.experiment.seed
        for row in of[each.run.id].to_dict("records"):
            target, accuracy = str(row["target"]), float(row["accuracy"])
            if table.task == "base-to-new":
                found.setdefault((target, fitted), {})[seed] = accuracy
                found.setdefault((HARMONIC, fitted), {})[seed] = float(row["harmonic_mean"])
            else:
                name = target if table.task in TRANSFERS else fitted
                found.setdefault((ACCURACY, name), {})[seed] = accuracy
    return found


def _own(scores: Scores, row: Published, measure: str, dataset: str) -> list[float]:
    """Our numbers by seed; of a mean, where there are all of its sets.

    The mean of harmonic means is here as papers have it: the harmonic mean of the means.
    """
    if measure == HARMONIC and dataset == MEAN:
        halves = [_own(scores, row, half, MEAN) for half in ("base", "new")]
        return [2 * b * n / (b + n) for b, n in zip(*halves, strict=True) if b + n]
    if dataset == MEAN or dataset in (row.groups or {}):
        sets = row.averaged if dataset == MEAN else (row.groups or {})[dataset]
        each = [scores.get((measure, name), {}) for name in sorted(sets)]
        seeds = set(each[0]).intersection(*each)
        return [math.fsum(own[seed] for own in each) / len(each) for seed in sorted(seeds)]
    return [*scores.get((measure, dataset), {}).values()]


def _explained(
    told: Difference,
    table: Reproduction,
    line: Line,
    row: Published,
    held: Mapping[str, Need],
) -> Difference:
    """The difference with what is known to lie behind it, where it is above a point."""
    if abs(told.difference) <= POINT:
        return told
    reasons = [*line.reasons]
    if told.policy != told.theirs:
        reasons.append(f"policy: {CHOSEN[told.theirs]} there, {told.policy} here")
    elif told.theirs == TEST:
        reasons.append("both were chosen on test")
    places = [held[told.dataset]] if told.dataset in held else list(held.values())
    there = [need for need in places if need.entry]
    reasons += _of_text(table, row, there)
    reasons += _of_learning(table, row, told, there) if told.shots else [WEIGHTS]
    if row.mark == "F":
        reasons.append("the published number was read off a figure")
    status = get(line.fitted).status
    reasons += [f"{line.fitted} here: {status}"] if status != "as published" else []
    reasons += [f"of the published row: {row.remark}"] if row.remark else []
    return replace(told, reasons=tuple(reasons))


def _of_text(table: Reproduction, row: Published, there: Sequence[Need]) -> Iterator[str]:
    """What the prompts differ in."""
    if table.asked_bank:
        yield f"text there: {row.text}; here: {table.asked_bank}"
        return
    other = {
        need.dataset: need.entry.banks[-1] if need.entry.banks else "none"
        for need in there
        if need.entry and table.bank(need.dataset) not in need.entry.banks
    }
    if other:
        ours = ", ".join(f"{bank} ({name})" for name, bank in other.items())
        yield f"text there: {row.text}; here: {ours}"
    elif any(word in row.text for word in _OTHER_TEXT):
        yield f"text there: {row.text}; here: templates"


def _of_learning(
    table: Reproduction, row: Published, told: Difference, there: Sequence[Need]
) -> Iterator[str]:
    """What else differs where something is learned: how, from which views and draws."""
    yield from table.reasons
    if any(what.startswith(f"{table.views} views") for need in there for what in need.lacks):
        yield f"views: {table.views} of at least {table.view_scale:g} are meant; others are cached"
    if row.seeds != told.seeds:
        yield f"seeds: {row.seeds or 'not stated'} there, {told.seeds} here"
    yield "chance of the draws, by as much as our seeds spread, or more with one"


def restated(
    table: Reproduction, found: Sequence[Difference], on_test: bool = False
) -> list[dict[str, Any]]:
    """Our numbers as rows of a file of published ones, to two digits; seeds and policies are ours.

    Of each row that there is something of ours for; what it was trained on is kept, and its text
    but for a bank that was asked for.
    `on_test` is what they were planned with.
    """
    rows = []
    for line in table.lines:
        own = [each for each in found if each.method == line.published]
        if not own:
            continue
        row = table.row(line)
        kept: dict[str, Any] = {
            "table": row.table, "method": row.method, "backbone": row.backbone,
            **({"train": row.train} if row.train else {}),
            **({"transductive": True} if row.transductive else {}),
            **({"groups": row.groups} if row.groups else {}),
        }  # fmt: skip
        numbers: dict[str, dict[str, dict[str, float]]] = {}
        for each in own:
            by_set = numbers.setdefault(each.measure, {}).setdefault(each.dataset, {})
            by_set[str(each.shots)] = round(each.ours, 2)
        policies = {name: table.policy(line, name, on_test) for name in table.datasets}
        policy = Counter(policies.values()).most_common(1)[0][0]
        apart = {name: other for name, other in policies.items() if other != policy}
        rows.append(
            {
                **kept, "source": OURS.format(table.name), "mark": "L", "own": True,
                "seeds": own[0].seeds, "selection": policy,
                **({"selection_by_set": apart} if apart else {}),
                "text": table.asked_bank or row.text, "mean_is": "arithmetic",
                "mean_of": [*row.mean_of], **numbers,
            }
        )  # fmt: skip
    return rows


_OTHER_TEXT = ("CuPL", "GPT", "language model", "not stated")
