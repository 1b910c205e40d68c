"""Seconds of a fit as reports show them: the processor's where rows keep them, else the clock's.

The clock's count what else ran on the machine. On a GPU the processor waits, so that the clock's
are those of the fit; rows of versions before kept no others. What is averaged or has a cell to
itself is of one kind: the processor's where all of its rows have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

CLOCK = " (clock)"  # after what stands among processor seconds and is of the clock


def timed(rows: pandas.DataFrame, by: Sequence[str]) -> pandas.DataFrame:
    """The rows with `seconds` and `clock` (whether they are the clock's), one kind a group `by`.

    Rows without a fit, of saved adapters that were asked, have no seconds of either kind.
    """
    clock = rows["fit_seconds"].astype(float)
    if "fit_processor_seconds" not in rows:
        return rows.assign(seconds=clock, clock=clock.notna())
    busy = rows["fit_processor_seconds"].astype(float)
    # A row of before knows no device, nor has it processor seconds.
    waited = rows["device"].fillna("cpu") != "cpu" if "device" in rows else False
    lacks = clock.notna() & (busy.isna() | waited)
    other = lacks.groupby([rows[column] for column in by], dropna=False).transform("any")
    return rows.assign(seconds=busy.where(~other, clock), clock=other & clock.notna())


def medians(rows: pandas.DataFrame) -> pandas.DataFrame:
    """Median `seconds` by `line`, whether they are of the `clock`, and a `mark`.

    The mark is `CLOCK` on what is of the clock where other lines are not; else nothing. Lines that
    were not fitted are left out.
    """
    groups = rows.dropna(subset="seconds").groupby("line")
    found = groups["seconds"].median().to_frame().assign(clock=groups["clock"].any())
    several = found["clock"].nunique() > 1
    return found.assign(mark=[CLOCK if clock and several else "" for clock in found["clock"]])


def kind(found: pandas.DataFrame) -> str:
    """What the seconds of `medians` are called: `processor seconds`, for example."""
    clock = found["clock"]
    return (
        "seconds" if clock.nunique() > 1 else f"{'clock' if clock.any() else 'processor'} seconds"
    )


def told(found: pandas.DataFrame) -> str:
    """A sentence on what is marked with `CLOCK`, where both kinds are there; else nothing."""
    if found["clock"].nunique() < 2:
        return ""
    return (
        "Seconds are the processor's; (clock): those of the clock, which count what else ran on "
        "the machine, for fits on a GPU or of versions that kept no others."
    )
