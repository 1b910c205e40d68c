"""A sweep as it goes: a bar and the best row of each method on a terminal, else a line at times.

Test accuracy is shown as it will stand in the results; nothing is chosen by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from adapters.scoring import Row

SECONDS = 30.0  # between two lines of a log
SHOWN = 20  # methods in the table under the bar


class Tally:
    """What has become of a sweep's runs so far."""

    def __init__(self, total: int, workers: int) -> None:
        self.total, self.workers = total, workers
        self.done = self.failed = 0
        self.best: dict[str, Row] = {}
        self.began = time.monotonic()

    def add(self, row: Row) -> None:
        """Count a row."""
        if row["status"] == "failed":
            self.failed += 1
            return
        self.done += 1
        best = self.best.get(row["method"])
        if best is None or row["accuracy"] > best["accuracy"]:
            self.best[row["method"]] = row

    def __str__(self) -> str:
        ended = self.done + self.failed
        passed = time.monotonic() - self.began
        left = self.total - ended
        words = [f"{self.done} of {self.total} runs done", f"{min(left, self.workers)} running"]
        if self.failed:
            words.append(f"{self.failed} failed")
        if ended:
            words += [f"{ended / passed:.1f} runs/s", f"{_clock(left * passed / ended)} left"]
        return ", ".join(words)


@contextmanager
def watched(console: Console, total: int, workers: int) -> Iterator[Callable[[Row], None]]:
    """Show the rows that the yielded function is told of."""
    tally = Tally(total, workers)
    with (_live if console.is_terminal else _lines)(console, tally) as show:

        def on_row(row: Mapping[str, Any]) -> None:
            tally.add(dict(row))
            show()

        yield on_row


@contextmanager
def _lines(console: Console, tally: Tally) -> Iterator[Callable[[], None]]:
    said = tally.began

    def show() -> None:
        nonlocal said
        if time.monotonic() - said > SECONDS:
            said = time.monotonic()
            console.print(str(tally), markup=False)

    yield show


@contextmanager
def _live(console: Console, tally: Tally) -> Iterator[Callable[[], None]]:
    from rich.live import Live

    def picture() -> Any:
        return _picture(tally)

    with Live(console=console, get_renderable=picture, refresh_per_second=4, transient=True):
        yield lambda: None


def _picture(tally: Tally) -> Any:
    from rich import box
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    bar = ProgressBar(total=max(tally.total, 1), completed=tally.done + tally.failed, width=60)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("method", "best so far", "on"):
        table.add_column(head)
    best = sorted(tally.best.values(), key=lambda row: -row["accuracy"])
    for row in best[:SHOWN]:
        where = f"{row['dataset']}, shots {row['shots']}, seed {row['seed']}"
        table.add_row(Text(row["method"]), f"{row['accuracy']:.2f} %", Text(where))
    whole = Table.grid()
    for part in (bar, Text(str(tally)), table):
        whole.add_row(part)
    return whole


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
