"""On which device a sweep's runs are done where nobody has said."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.devices.crossover import GPU, PROCESSOR, pays
from adapters.experiment import spelt_out
from adapters.expression import leaves
from adapters.sweeping.chunks import cost, pictures
from adapters.sweeping.runs import Run


def device_for(name: str, runs: Sequence[Run]) -> str:
    """The device as it was named, where `auto` is the GPU if it pays for most of the work.

    Of an adaptive search, whose runs are not known before it is under way, it is the processor.
    """
    if name != "auto":
        return name
    work = {True: 0.0, False: 0.0}
    for run in runs:
        work[pays(leaves(spelt_out(run.experiment).method), pictures(run))] += cost(run)
    return GPU if work[True] > work[False] else PROCESSOR
