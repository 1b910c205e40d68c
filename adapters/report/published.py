"""Numbers that others published, to stand beside ours under their own protocol.

They lie in `data/published.json`, a row a method, table and source: accuracy in per cent by data
set (`mean`: of those in `mean_of`, else of CoOp's eleven) and shots (0: no labelled picture), with
what they were made under. Base-to-new rows have `base`, `new` and their `harmonic mean`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from featcache.resources import data_path

if TYPE_CHECKING:
    from adapters.report.rows import Section

OPENAI, QUICK, MEAN = ":openai", "-quickgelu", "mean"
ACCURACY, HARMONIC = "accuracy", "harmonic mean"
MEASURES = (ACCURACY, "base", "new", HARMONIC)
PROBLEMS = "bongard-hoi"
LISTS = frozenset(
    ("test-seen-seen", "test-seen-unseen", "test-unseen-seen", "test-unseen-unseen")
)  # fmt: skip
ELEVEN = frozenset(
    ("imagenet", "caltech101", "oxford-pets", "stanford-cars", "oxford-flowers", "food101",
     "fgvc-aircraft", "sun397", "dtd", "eurosat", "ucf101")
)  # fmt: skip

UNKNOWN, SEVERAL = "unknown", "several"
CHOSEN = {
    "none": "no validation pictures",
    "few-shot-val": "settings by few-shot validation",
    "full-val": "settings by the whole validation list",
    "oracle-test": "chosen on test",
    UNKNOWN: "choice of settings not known",
    SEVERAL: "choice of settings by set",
}
MARKS = {
    "L": "log of its project",
    "R": "page of its project",
    "A": "abstract",
    "T": "quoted by others",
    "F": "read off a figure",
}


@dataclass(frozen=True)
class Published:
    """One published row: `numbers` by measure, data set and number of shots as text.

    `selection` is the policy of the released code, `selection_by_set` where a set has another.
    `mark` says how it was found (`MARKS`), `own` whether by the method's authors. `mean_is` says
    whose the means are: published, arithmetic (ours) or figure; `as_printed` names what is not what
    arithmetic gives. `train` is the source of rows that are scored on other sets.
    """

    table: str
    method: str
    backbone: str
    source: str
    mark: str
    own: bool
    seeds: int | None
    selection: str
    text: str
    mean_is: str
    numbers: Mapping[str, Mapping[str, Mapping[str, float]]]
    selection_by_set: Mapping[str, str] | None = None
    train: str = ""
    transductive: bool = False
    groups: Mapping[str, Sequence[str]] | None = None
    mean_of: Sequence[str] = ()
    as_printed: Sequence[str] = ()
    remark: str = ""

    @property
    def averaged(self) -> frozenset[str]:
        """The data sets that the mean is of."""
        return frozenset(self.mean_of) or (LISTS if self.table == PROBLEMS else ELEVEN)

    @property
    def protocol(self) -> str:
        """What the row was made under, in a line."""
        seeds = f"{self.seeds} seed{'s' * (self.seeds != 1)}" if self.seeds else "seeds not stated"
        by_set = self.selection_by_set or {}
        other = ", ".join(f"{name} {CHOSEN[policy]}" for name, policy in by_set.items())
        return "; ".join(
            [
                seeds,
                CHOSEN[self.selection] + (f" ({other})" if other else ""),
                f"text: {self.text}",
                MARKS[self.mark],
                *([self.remark] if self.remark else []),
            ]
        )

    def policy(self, dataset: str) -> str:
        """The policy of the number at a data set, or of the mean."""
        by_set = self.selection_by_set or {}
        if dataset != MEAN:
            return by_set.get(dataset, self.selection)
        found = {by_set.get(name, self.selection) for name in self.averaged}
        return found.pop() if len(found) == 1 else SEVERAL

    def at(self, dataset: str, shots: int, measure: str = ACCURACY) -> float | None:
        """The number at that data set and number of shots, if there is one.

        The mean of harmonic means is that of the sets' own, as in our tables; papers print the
        harmonic mean of the means.
        """
        by_set = self.numbers.get(measure, {})
        if measure == HARMONIC and dataset == MEAN:
            own = [self.at(name, shots, measure) for name in sorted(self.averaged)]
            known = [number for number in own if number is not None]
            return sum(known) / len(known) if len(known) == len(own) else None
        held = by_set.get(dataset, {})
        return held.get(str(shots), held.get("0"))


Beside = list[tuple[Published, list[float | None]]]


@cache
def published() -> tuple[Published, ...]:
    """Every row of the shipped file."""
    return tuple(read(data_path("published.json").read_text(encoding="utf-8")))


def read(text: str) -> list[Published]:
    """The rows of a file of published numbers."""
    return [_row(row) for row in json.loads(text)]


def _row(row: Mapping[str, Any]) -> Published:
    told = {key: value for key, value in row.items() if key not in MEASURES}
    return Published(**told, numbers={m: row[m] for m in MEASURES if m in row})


def beside(section: Section, shots: int) -> dict[str, Beside]:
    """What was published under a section's terms: by policy, a number a data set, then the mean.

    Terms are task, measure, source, OpenAI's weights of the backbone (of problems, any) and whether
    test pictures are seen together. A number stands under the policy that it was made by itself;
    the mean beside the mean of the same sets alone. Rows without a number are out.
    """
    places = section.datasets
    scored = frozenset(place for place in places if place != section.source)
    found: dict[str, Beside] = {}
    for row in published():
        if not _same_terms(row, section):
            continue
        columns = [*places, *([MEAN] if scored == row.averaged else [])]
        numbers = [row.at(column, shots, section.measure or ACCURACY) for column in columns]
        for policy in CHOSEN:
            own = [
                number if row.policy(column) == policy else None
                for column, number in zip(columns, numbers, strict=True)
            ]
            if any(number is not None for number in own):
                found.setdefault(policy, []).append((row, own))
    return found


def _same_terms(row: Published, section: Section) -> bool:
    """Whether the row is of the same task, source and backbone, and as transductive."""
    if (row.table, row.transductive) != (section.task, section.transductive):
        return False
    if row.table == PROBLEMS:
        return section.source == PROBLEMS
    model = section.backbone.removesuffix(OPENAI).removesuffix(QUICK)
    # Without a source the row was not fitted, and is the same from any.
    return (
        section.backbone.endswith(OPENAI)
        and row.backbone == model
        and (not row.train or row.train == section.source)
    )
