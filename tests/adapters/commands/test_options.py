"""Options that several commands take mean the same in each."""

from __future__ import annotations

import inspect
from typing import get_type_hints

from adapters.commands import ask, fit, report, results, sweep
from adapters.commands.options import RESULTS, AdapterFolder, Transfer, Where


def test_every_command_reads_and_writes_the_same_results_by_default() -> None:
    assert RESULTS.as_posix() == "runs/results.sqlite"
    for command in (sweep.sweep, report.report):
        assert inspect.signature(command).parameters["results"].default == RESULTS
    assert inspect.signature(fit.fit).parameters["out"].default == RESULTS.parent


def test_shared_options_are_the_shared_ones() -> None:
    for command, name, option in (
        (ask.predict, "adapter", AdapterFolder),
        (ask.evaluate, "adapter", AdapterFolder),
        (report.flow, "adapter", AdapterFolder),
        (results.results, "where", Where),
        (report.report, "where", Where),
        (fit.fit, "transfer", Transfer),
        (sweep.sweep, "transfer", Transfer),
    ):
        hints = get_type_hints(command, include_extras=True)
        assert hints[name] == option, command
