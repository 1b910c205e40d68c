"""Numbers that others published, to stand beside ours under their own protocol.

They lie in `data/published.json`: accuracy in per cent by data set (`mean`: of CoOp's eleven) and
shots (0: any), with the protocol they were made under and their source.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from featcache.resources import data_path

OPENAI, QUICK, MEAN = ":openai", "-quickgelu", "mean"
ELEVEN = frozenset(
    ("imagenet", "caltech101", "oxford-pets", "stanford-cars", "oxford-flowers", "food101",
     "fgvc-aircraft", "sun397", "dtd", "eurosat", "ucf101")
)  # fmt: skip


@dataclass(frozen=True)
class Published:
    """One published row: `accuracy` of each data set, by number of shots as text."""

    method: str
    backbone: str
    protocol: str
    source: str
    accuracy: Mapping[str, Mapping[str, float]]

    def at(self, dataset: str, shots: int) -> float | None:
        """The number at that data set and number of shots, if there is one."""
        held = self.accuracy.get(dataset, {})
        return held.get(str(shots), held.get("0"))


@cache
def published() -> tuple[Published, ...]:
    """Every row of the shipped file."""
    rows = json.loads(data_path("published.json").read_text(encoding="utf-8"))
    return tuple(Published(**row) for row in rows)


def beside(
    backbone: str, datasets: Sequence[str], shots: int
) -> list[tuple[Published, list[float | None]]]:
    """What was published for a backbone with OpenAI's weights: a number a data set, then the mean.

    The mean stands only beside the mean of the same eleven sets. Rows without a number are out.
    """
    if not backbone.endswith(OPENAI):
        return []
    model = backbone.removesuffix(OPENAI).removesuffix(QUICK)
    means = [MEAN] if frozenset(datasets) == ELEVEN else []
    rows = [
        (row, [row.at(dataset, shots) for dataset in [*datasets, *means]])
        for row in published()
        if row.backbone == model
    ]
    return [(row, numbers) for row, numbers in rows if any(n is not None for n in numbers)]
