"""Where a set's classifiers are asked by custom: the columns of the data-set table that say so."""

from __future__ import annotations

import json
from functools import cache

from featcache.resources import data_path

KINDS = ("targets", "transfers")


def targets_of(dataset: str, kind: str) -> tuple[str, ...]:
    """Names of the sets beside this one, in the order of tables; empty where custom names none.

    `kind` is `targets`, the same classes in other pictures (domain generalisation), or `transfers`,
    other classes (cross-dataset). `dataset` is a name as entries of a cache carry it. Raises
    ValueError for another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be {' or '.join(KINDS)}, not {kind}")
    return _table().get((dataset, kind), ())


@cache
def _table() -> dict[tuple[str, str], tuple[str, ...]]:
    rows = json.loads(data_path("datasets.json").read_text(encoding="utf-8"))
    return {(row["name"], kind): tuple(row.get(kind, ())) for row in rows for kind in KINDS}
