"""Runs and the cells whose draw they share."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.experiment import Experiment
from adapters.run_identity import run_id
from adapters.sweeping import runs as room
from adapters.sweeping.runs import Chunk, Run
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry
from tests import frozen
from tests.entries import make_entry


def run_of(entry: Entry, **words: Any) -> Run:
    experiment = Experiment(**{"method": "gda", "shots": 2, **words})
    return Run(run_id(entry, experiment), entry, experiment)


SHARED: list[dict[str, Any]] = [
    {"method": "ncm"},
    {"policy": "none"},
    {"settings": {"alpha": 0.5}},
    {"views": 3},  # as many as there are
    {"bank": "imported"},  # the newest
    {"method": "fma", "settings": {"base": "taskres"}},
]
OTHER: list[dict[str, Any]] = [
    {"shots": 1},
    {"seed": 2},
    {"task": "base-to-new"},
    {"views": 1},
    {"views": 0},
    {"method": "attn-adapter"},
    {"method": "fma", "settings": {"base": "prolip"}},
]


def test_what_a_draw_depends_on_makes_another_cell(rich: Entry) -> None:
    cell = run_of(rich).cell
    for words in SHARED:
        assert run_of(rich, **words).cell == cell, words
        assert hash(run_of(rich, **words).cell) == hash(cell)
    for words in OTHER:
        assert run_of(rich, **words).cell != cell, words


def test_other_sets_make_another_cell_with_their_entries(rich: Entry, tmp_path: Path) -> None:
    words: dict[str, Any] = {"task": "domain-generalization"}
    one, two = (make_entry(tmp_path / n, name=n) for n in ("beasts", "pests"))
    cells = [run_of(rich, **words, on=on).cell for on in ((one,), (two,), (one, two))]
    assert len({*cells}) == 3
    assert cells[2].on == (one, two)
    assert run_of(rich, **words, on=(one,), method="ncm").cell == cells[0]


def test_the_same_entry_in_another_place_is_another_cell(
    cache: FeatureCache, tmp_path: Path
) -> None:
    there = make_entry(tmp_path)
    assert there.key == cache.find().key
    assert run_of(there).cell != run_of(cache.find()).cell


def test_a_cell_says_how_to_draw(rich: Entry) -> None:
    cell = run_of(rich, method="prolip", shots=4, seed=3, views=2, bank="imported").cell
    assert (cell.shots, cell.seed, cell.task) == (4, 3, "few-shot")
    assert (cell.views, cell.bank, cell.entry) == (2, "imported", rich)
    assert cell.extras == {"pre-projection"}
    over = run_of(rich, method="fma", settings={"base": "prolip"}).cell
    assert over.extras == {"pre-projection"}


def test_a_chunk_can_be_sent_to_another_process(rich: Entry) -> None:
    chunk = Chunk((run_of(rich), run_of(rich, seed=2)))
    assert chunk.stack == "off"
    again = pickle.loads(pickle.dumps(chunk))
    assert [run.id for run in again.runs] == [run.id for run in chunk.runs]
    assert again.runs[0].cell == chunk.runs[0].cell
    assert "Entry" not in repr(chunk)  # whose manifest is long
    assert replace(chunk, stack="on").runs == chunk.runs


def test_work_stays_as_it_was_dealt_out() -> None:
    assert frozen.thawed(room) == []
