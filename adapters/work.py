"""What a worker does with a chunk of runs: the rows, as they come.

Runs that can be trained as one are prepared together, trained, and then done like any other with
the states at hand: policies see no difference.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Generator

from adapters.configure import configure
from adapters.episode import BaseToNew, Draw, Episode, base_to_new, draw
from adapters.experiment import run as run_few_shot
from adapters.experiment import run_base_to_new, spelt_out
from adapters.grid import Cell, Run
from adapters.method import Fit, State
from adapters.registry import code_version, get
from adapters.selection import candidates, chance, score, validation
from adapters.stacking import Fitted, at_once, fit_all
from adapters.training import Training
from featcache.cache import Entry, ImageFeatures, TextFeatures
from featcache.errors import ConfigError, FeatcacheError

Row = dict[str, Any]
MOMENT = 0.1  # seconds
KEPT = 2  # entries whose features a worker keeps in memory


@dataclass(frozen=True)
class Chunk:
    """Runs of one cell, so that one draw serves them all, or of cells that may stack."""

    runs: tuple[Run, ...]
    stack: str = "off"


class Worker:
    """Does runs one after the other; keeps the last draw and the last entries in memory."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device_of(device)
        self._entries: dict[Path, _Held] = {}
        self._drawn: tuple[Cell, Draw | BaseToNew] | None = None
        self._faster: dict[Hashable, bool] = {}
        self._ahead: dict[tuple[str, Any], Fitted] = {}  # by run and config

    def rows(self, chunk: Chunk) -> Iterator[Row]:
        """One row a run, in order; a run that cannot be done gives a row that says why."""
        if chunk.stack == "off":
            yield from map(self._tried, chunk.runs)
            return
        most = at_once(self.device)
        for first in range(0, len(chunk.runs), most):
            runs = chunk.runs[first : first + most]
            self._ahead = fit_all(self._trainings(runs), chunk.stack, self._faster)
            yield from map(self._tried, runs)
        self._ahead = {}

    def _tried(self, run: Run) -> Row:
        try:
            return self._row(run)
        except Exception as error:
            return failed(run, _sentence(error))

    def _trainings(self, runs: Sequence[Run]) -> dict[tuple[str, Any], Training]:
        """What the runs have to train, by run and config; those that cannot are left out."""
        found: dict[tuple[str, Any], Training] = {}
        for run in runs:
            try:
                found |= self._training(run)
            except Exception:  # its own row will say why
                continue
        return found

    def _training(self, run: Run) -> dict[tuple[str, Any], Training]:
        experiment = spelt_out(run.experiment)
        method = get(experiment.method)
        if method.prepare is None or experiment.policy == "transfer":
            return {}
        config, fixed = configure(experiment.method, method, experiment.settings)
        drawn = self.draw(run.cell)
        base = drawn.base if isinstance(drawn, BaseToNew) else drawn
        held = validation(base, experiment.policy)
        prepared = {
            (run.id, each): method.prepare(base.episode, each, chance(base.episode))
            for each in candidates(method, config, held, fixed)
        }
        return {name: each for name, each in prepared.items() if each is not None}

    def draw(self, cell: Cell) -> Draw | BaseToNew:
        """The cell's draw, on this worker's device. Raises what `adapters.episode.draw` raises."""
        if self._drawn is None or self._drawn[0] != cell:
            make = base_to_new if cell.task == "base-to-new" else draw
            entry = self._held(cell.entry)
            found = make(
                entry,
                cell.shots,
                cell.seed,
                bank=cell.bank,
                views=cell.views,
                extras=cell.extras,
            )
            self._drawn = cell, _to(found, self.device)
        return self._drawn[1]

    def _row(self, run: Run) -> Row:
        drawn = self.draw(run.cell)
        ahead = {config: each for (name, config), each in self._ahead.items() if name == run.id}
        fit = _known(ahead, get(run.experiment.method).fit) if ahead else None
        if isinstance(drawn, BaseToNew):
            outcome, base = run_base_to_new(run.entry, run.experiment, drawn, fit), drawn.base
        else:
            outcome, base = run_few_shot(run.entry, run.experiment, drawn, fit), drawn
        row = {**outcome.row, "run": run.id, "status": "done"}
        row["stacked"] = max((each.stacked for each in ahead.values()), default=1)
        row["fit_seconds"] += sum(each.seconds for each in ahead.values())
        if row["val_score"] is None and run.experiment.policy not in ("none", "transfer"):
            # Where there was nothing to choose, searches still want to know how good it was.
            held = validation(base, run.experiment.policy)
            assert held is not None
            with torch.inference_mode():
                row["val_score"] = score(
                    get(run.experiment.method), outcome.adapter.logits(held.query), held
                )
        return row

    def _held(self, entry: Entry) -> Entry:
        held = self._entries.pop(entry.folder, None)
        if held is None or held.manifest != entry.manifest:
            held = _Held(entry.folder, entry.manifest)
        self._entries = dict([*self._entries.items()][1 - KEPT :])
        self._entries[entry.folder] = held  # the one used last is last
        return held


def portions(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """The rows in portions of a moment each: one message and one commit for many quick runs."""
    held: list[Row] = []
    sent = time.monotonic()
    for row in rows:
        held.append(row)
        if time.monotonic() - sent > MOMENT:
            yield held
            held, sent = [], time.monotonic()
    if held:
        yield held


def failed(run: Run, reason: str) -> Row:
    """The row of a run that could not be done."""
    e = run.experiment
    return {
        "run": run.id,
        "dataset": run.entry.dataset,
        "backbone": run.entry.backbone,
        "entry": run.entry.key,
        "task": run.task,
        "method": e.method,
        "policy": e.policy,
        "shots": e.shots,
        "seed": e.seed,
        "bank": e.bank,
        "views": e.views,
        "settings": dict(e.settings),
        "transfer": e.transfer and e.transfer.key,
        "code": code_version(e.method),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "status": "failed",
        "reason": reason,
    }


class _Held(Entry):
    """An entry whose features stay in memory once they are read."""

    @cached_property
    def _kept(self) -> dict[tuple[str, str | None], Any]:
        return {}

    def images(self, split: str) -> ImageFeatures:
        """As of the entry."""
        if ("images", split) not in self._kept:
            self._kept["images", split] = super().images(split)
        found: ImageFeatures = self._kept["images", split]
        return found

    def text(self, bank: str | None = None) -> TextFeatures:
        """As of the entry."""
        if ("text", bank) not in self._kept:
            self._kept["text", bank] = super().text(bank)
        found: TextFeatures = self._kept["text", bank]
        return found


def device_of(name: str) -> torch.device:
    """The device of that name; `auto` is the processor, where every method is tested.

    Raises `ConfigError` for one that there is not.
    """
    try:
        found = torch.device("cpu" if name == "auto" else name)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from None
    return found


def _to(value: Any, device: torch.device) -> Any:
    """The value with every tensor in it moved to the device."""
    if device.type == "cpu":
        return value
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if is_dataclass(value) and not isinstance(value, type):
        moved = {each.name: _to(getattr(value, each.name), device) for each in fields(value)}
        return replace(value, **moved)
    return value


def _known(ahead: Mapping[Any, Fitted], fit: Fit) -> Fit:
    """The fit that has the states of some configs at hand."""

    def found(episode: Episode, config: Any, generator: Generator) -> State:
        return ahead[config].state if config in ahead else fit(episode, config, generator)

    return found


def _sentence(error: Exception) -> str:
    if isinstance(error, FeatcacheError):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
