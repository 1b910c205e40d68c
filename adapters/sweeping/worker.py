"""What a worker does with a chunk of runs: the rows of each run, as they come.

Runs that can be trained as one are prepared together, trained, and then done like any other with
the states at hand: policies see no difference.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Generator

from adapters.compose import get
from adapters.devices.device import device_of, moved, steady
from adapters.episode import Draw, Episode, Labelled
from adapters.experiment import configured, spelt_out
from adapters.fitting import ORACLE, run
from adapters.maths.training import Training
from adapters.method import Fit, State
from adapters.registry import LEFT_OUT, task
from adapters.run_identity import code_version, told
from adapters.scoring import Row
from adapters.selection import candidates, chance, score, validation
from adapters.stand_ins import whole
from adapters.sweeping.runs import Cell, Chunk, Run
from adapters.sweeping.stacking import Fitted, Stacks, at_once, fit_all
from adapters.targets import draw
from featcache import threads
from featcache.errors import FeatcacheError
from featcache.store.entry import Entry
from featcache.store.features import ImageFeatures, TextFeatures
from featcache.store.index import Index

MOMENT = 0.1  # seconds
KEPT = 2  # entries whose features a worker keeps in memory, or as many as a draw has


class Worker:
    """Does runs one after the other; keeps the last draw and the last entries in memory."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device_of(device)
        self.share = 1.0  # of the device's memory, where several workers are on it
        self._entries: dict[Path, _InMemory] = {}
        self._drawn: tuple[Cell, Draw] | None = None
        self._faster: dict[Hashable, bool] = {}
        self._ahead: Stacks[tuple[str, Any]] = Stacks({}, {})  # by run and config

    def rows(self, chunk: Chunk) -> Iterator[list[Row]]:
        """The rows of each run, in order; of a run that cannot be done one that says why."""
        most = 1 if chunk.stack == "off" else at_once(self.device)
        for first in range(0, len(chunk.runs), most):
            runs = chunk.runs[first : first + most]
            if chunk.stack != "off":
                try:
                    with threads.for_work(0):
                        self._ahead = self._stacked(runs, chunk.stack)
                except Exception as error:
                    yield from ([failed(each, _sentence(error))] for each in runs)
                    continue
            yield from map(self._tried, runs)
        self._ahead = Stacks({}, {})

    def _stacked(self, runs: Sequence[Run], stack: str) -> Stacks[tuple[str, Any]]:
        with steady(self.device):
            return fit_all(self._trainings(runs), stack, self._faster, self.share)

    def _tried(self, each: Run) -> list[Row]:
        try:
            return self._rows(each)
        except Exception as error:
            return [failed(each, _sentence(error))]

    def _trainings(self, runs: Sequence[Run]) -> dict[tuple[str, Any], Training]:
        """What the runs have to train, by run and config; those that cannot are left out."""
        found: dict[tuple[str, Any], Training] = {}
        for each in runs:
            try:
                found |= self._training(each)
            except Exception:  # its own row will say why
                continue
        return found

    def _training(self, each: Run) -> dict[tuple[str, Any], Training]:
        if task(each.experiment.task).solve is not None:
            return {}
        known = configured(each.experiment)
        prepare, policy = known.method.prepare, known.experiment.policy
        if prepare is None or policy in ("transfer", *LEFT_OUT):
            return {}
        drawn = self.draw(each.cell)
        held = validation(drawn, policy)
        episode = whole(drawn.episode, known.method.without_text)
        prepared = {
            (each.id, config): prepare(episode, config, chance(episode))
            for config in candidates(known.method, known.config, held, known.fixed)
        }
        return {name: found for name, found in prepared.items() if found is not None}

    @threads.for_work(0)
    def draw(self, cell: Cell) -> Draw:
        """The cell's draw, on this worker's device. Raises what the task's own draw raises."""
        if self._drawn is None or self._drawn[0] != cell:
            most = max(KEPT, 1 + len(cell.on))
            found = draw(
                cell.task,
                self._in_memory(cell.entry, most),
                cell.shots,
                cell.seed,
                bank=cell.bank,
                views=cell.views,
                extras=cell.extras,
                on=[self._in_memory(other, most) for other in cell.on],
                **dict(cell.way),
            )
            self._drawn = cell, moved(found, self.device)
        return self._drawn[1]

    def _rows(self, each: Run) -> list[Row]:
        if task(each.experiment.task).solve is not None:
            entry, device = self._in_memory(each.entry), str(self.device)
            solved = run(entry, each.experiment, device=device)
            return [row | {"run": each.id, "status": "done", "stacked": 1} for row in solved.rows]
        drawn = self.draw(each.cell)
        ahead = {c: fitted for (name, c), fitted in self._ahead.fitted.items() if name == each.id}
        fit = _known(ahead, get(each.experiment.method).fit) if ahead else None
        outcome = run(
            each.entry, each.experiment, drawn, fit, str(self.device), calibrate=each.calibrate
        )
        alone = [why for (name, _), why in self._ahead.alone.items() if name == each.id]
        seconds = sum(fitted.seconds for fitted in ahead.values())
        busy = sum(fitted.busy for fitted in ahead.values())
        more = {
            "run": each.id,
            "status": "done",
            "stacked": max((fitted.stacked for fitted in ahead.values()), default=1),
            "fit_seconds": outcome.row["fit_seconds"] + seconds,
            "fit_processor_seconds": outcome.row["fit_processor_seconds"] + busy,
            "reason": alone[0] if alone else outcome.row["reason"],
        }
        policy = each.experiment.policy
        if outcome.row["val_score"] is None and policy not in ("none", "transfer", *LEFT_OUT):
            # Where there was nothing to choose, searches still want to know how good it was.
            held = validation(drawn, policy)
            if isinstance(held, Labelled):
                logits = outcome.adapter.logits(held.query)
                more["val_score"] = score(get(each.experiment.method), logits, held)
        return [row | more for row in outcome.rows]

    def _in_memory(self, entry: Entry, most: int = KEPT) -> Entry:
        held = self._entries.pop(entry.folder, None)
        if held is None or held.manifest != entry.manifest:
            held = _InMemory(entry.folder, entry.manifest)
        self._entries = dict([*self._entries.items()][1 - most :])
        self._entries[entry.folder] = held  # the one used last is last
        return held


def portions(runs: Iterator[list[Row]]) -> Iterator[list[Row]]:
    """The rows in portions of a moment each: one message and one commit for many quick runs.

    The rows of a run stay together, so that it is kept whole or not at all.
    """
    held: list[Row] = []
    sent = time.monotonic()
    for rows in runs:
        held += rows
        if time.monotonic() - sent > MOMENT:
            yield held
            held, sent = [], time.monotonic()
    if held:
        yield held


def failed(each: Run, reason: str) -> Row:
    """The row of a run that could not be done."""
    e = each.experiment
    return {
        "run": each.id,
        "dataset": each.entry.dataset,
        "backbone": each.entry.backbone,
        "entry": each.entry.key,
        **told(each.entry, spelt_out(e)),
        "task": e.task,
        "target": each.entry.dataset,
        "method": e.method,
        "policy": e.policy,
        "shots": e.shots,
        "draw": e.drawn,
        "seed": e.seed,
        "bank": e.bank,
        "text": f"{ORACLE}-text" if e.text else None,
        "views": e.views,
        "settings": dict(e.settings),
        "transfer": e.transfer and e.transfer.key,
        "code": code_version(e.method, e.task),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "status": "failed",
        "reason": reason,
    }


class _InMemory(Entry):
    """An entry whose features stay in memory once they are read."""

    @cached_property
    def _kept(self) -> dict[tuple[str, str | None], Any]:
        return {}

    def images(self, split: str, *, as_kept: bool = False) -> ImageFeatures:
        """As of the entry."""
        name = f"images as kept: {as_kept}"
        if (name, split) not in self._kept:
            self._kept[name, split] = super().images(split, as_kept=as_kept)
        found: ImageFeatures = self._kept[name, split]
        return found

    def index(self, split: str) -> Index | None:
        """As of the entry."""
        if ("index", split) not in self._kept:
            self._kept["index", split] = super().index(split)
        found: Index | None = self._kept["index", split]
        return found

    def text(self, bank: str | None = None) -> TextFeatures:
        """As of the entry."""
        if ("text", bank) not in self._kept:
            self._kept["text", bank] = super().text(bank)
        found: TextFeatures = self._kept["text", bank]
        return found


def _known(ahead: Mapping[Any, Fitted], fit: Fit) -> Fit:
    """The fit that has the states of some configs at hand."""

    def found(episode: Episode, config: Any, generator: Generator) -> State:
        return ahead[config].state if config in ahead else fit(episode, config, generator)

    return found


def _sentence(error: Exception) -> str:
    if isinstance(error, FeatcacheError):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
