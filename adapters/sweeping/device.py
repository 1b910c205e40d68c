"""On which device a sweep's runs are done where nobody has said."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.compose import get
from adapters.devices.crossover import GPU, PROCESSOR, pays, saved
from adapters.experiment import pictures, spelt_out
from adapters.expression import leaves
from adapters.sweeping.engine import cores
from adapters.sweeping.runs import Run


def device_for(name: str, runs: Sequence[Run], stack: str = "auto") -> str:
    """The device as it was named, where `auto` is the GPU if it is sooner done with all the runs.

    That is against all cores of the processor, each as busy as can be; the GPU has what was
    measured, stacked where a method can be. Of an adaptive search, whose runs are not known before
    it is under way, it is the processor.
    """
    if name != "auto":
        return name
    return GPU if runs and pays(sum(_saved(run, stack) for run in runs)) else PROCESSOR


def _saved(run: Run, stack: str) -> float:
    words = spelt_out(run.experiment)
    together = stack != "off" and get(words.method).prepare is not None
    return saved(leaves(words.method), pictures(run.entry, words), cores(), together)
