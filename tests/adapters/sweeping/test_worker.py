"""A worker: the rows of each run together, the last draw and entries at hand, reasons in rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters import targets
from adapters.fitting import run as run_alone
from adapters.results import COLUMNS
from adapters.scoring import Row
from adapters.sweeping import stacking, worker
from adapters.sweeping.chunks import chunks
from adapters.sweeping.grid import grid
from adapters.sweeping.runs import Chunk, Run
from adapters.sweeping.worker import KEPT, Worker, failed, portions
from featcache.errors import ConfigError
from featcache.store import index
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry
from tests.adapters.sweeping.quick import runs_of
from tests.entries import make_entry

SHORT = {"fma.steps": 3, "fma.width": 8}


def by_method(runs: list[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: run.experiment.method)


def done(found: Worker, runs: list[Run], stack: str = "off") -> list[list[Row]]:
    return [*found.rows(Chunk(tuple(runs), stack))]


@pytest.mark.parametrize("stack", ["off", "on"])
def test_the_rows_of_a_run_come_together(cache: FeatureCache, stack: str) -> None:
    words = {"method": ["zero-shot", "fma"], "task": ["few-shot", "base-to-new"], "shots": 1}
    runs = runs_of(cache, **words, seed=[1, 2], settings=SHORT)
    found = done(Worker(), runs, stack)
    assert [{row["run"] for row in rows} for rows in found] == [{run.id} for run in runs]
    assert [[row["target"] for row in rows] for rows in found] == [
        ["animals"] if run.experiment.task == "few-shot" else ["base", "new"] for run in runs
    ]
    assert {row["status"] for rows in found for row in rows} == {"done"}
    assert {row["reason"] for rows in found for row in rows} == {None}


def test_its_rows_are_those_of_the_run_alone(cache: FeatureCache) -> None:
    for run in runs_of(cache, shots=2, seed=1, method=["ncm", "tip-adapter"]):
        [[row]] = done(Worker(), [run])
        alone = run_alone(run.entry, run.experiment).row
        measured = {"fit_seconds", "fit_processor_seconds", "predict_seconds", "time"}
        same = {*alone} - measured - {"val_score"}
        assert {key: row[key] for key in same} == {key: alone[key] for key in same}
        assert row["stacked"] == 1


def test_what_chose_nothing_is_judged_on_validation_all_the_same(cache: FeatureCache) -> None:
    """So that a search knows how good it was; not where the policy looks at nothing."""
    [seen] = runs_of(cache, method="ncm", shots=2, seed=1, policy="full-val")
    [[row]] = done(Worker(), [seen])
    assert run_alone(seen.entry, seen.experiment).row["val_score"] is None
    assert 0 <= row["val_score"] <= 100
    assert row["tried"] == 0
    blind = runs_of(cache, method="ncm", shots=2, seed=1, policy=["none", "transfer"],
                    transfer="animals")  # fmt: skip
    assert [rows[0]["val_score"] for rows in done(Worker(), blind)] == [None, None]


def test_what_is_left_out_is_fitted_run_by_run_and_reasons_stay(cache: FeatureCache) -> None:
    """A stack would know the fit on all pictures alone, and hand it to every fold."""
    words = {"method": ["fma", "gda"], "shots": 2, "seed": 1, "settings": SHORT}
    for run in runs_of(cache, **words, policy=["loo", "hoso"]):
        [[row]] = done(Worker(), [run], "on")
        alone = run_alone(run.entry, run.experiment).row
        same = ("config", "accuracy", "tried", "val_score", "reason")
        assert [row[key] for key in same] == [alone[key] for key in same]
        assert row["stacked"] == 1
        assert (row["reason"] is None) == (row["method"] == "fma")


def test_a_stack_without_room_says_so_in_the_rows_of_its_runs(
    cache: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(trainings: Any) -> Any:
        raise MemoryError("no more")

    monkeypatch.setattr(stacking, "together", full)
    runs = runs_of(cache, method=["fma", "ncm"], shots=2, settings=SHORT, policy="none")
    runs = by_method(runs)
    found = [rows[0] for rows in done(Worker(), runs, "on")]
    says = "trained alone, a stack of 3 had too little memory: no more"
    assert [(row["method"], row["status"], row["stacked"], row["reason"]) for row in found] == [
        *[("fma", "done", 1, says)] * 3, *[("ncm", "done", 1, None)] * 3,
    ]  # fmt: skip
    monkeypatch.undo()
    again = [rows[0] for rows in done(Worker(), runs, "on")]
    assert [(row["stacked"], row["reason"]) for row in again] == [(3, None)] * 3 + [(1, None)] * 3


def test_a_stack_that_fails_fails_its_runs_and_no_others(
    cache: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(trainings: Any) -> Any:
        raise ZeroDivisionError("by\nnothing")

    monkeypatch.setattr(worker, "at_once", lambda device: 2)
    monkeypatch.setattr(stacking, "together", broken)
    runs = runs_of(cache, method=["fma", "ncm"], shots=2, seed=[1, 2], settings=SHORT)
    found = [rows[0] for rows in done(Worker(), by_method(runs), "on")]
    assert [row["status"] for row in found] == ["failed", "failed", "done", "done"]
    assert found[0]["reason"] == "ZeroDivisionError: by nothing"


def test_a_run_that_cannot_be_prepared_has_its_own_row(cache: FeatureCache) -> None:
    runs = runs_of(cache, method="fma", shots=[1, 11], seed=[1, 2], settings=SHORT, policy="none")
    found = [rows[0] for rows in done(Worker(), runs, "on")]
    assert [(row["status"], row.get("stacked")) for row in found] == [
        ("done", 2), ("done", 2), ("failed", None), ("failed", None),
    ]  # fmt: skip
    assert found[2]["reason"].startswith("the largest class of animals has 10 training pictures")


def test_a_draw_is_made_once_for_the_runs_that_share_it(
    cache: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    real = targets.draw

    def counted(*asked: Any, **more: Any) -> Any:
        drawn.append(asked[2])
        return real(*asked, **more)

    monkeypatch.setattr(worker, "draw", counted)
    runs = runs_of(cache, shots=[1, 2], seed=1)
    found = Worker()
    for chunk in chunks(runs):
        [*found.rows(chunk)]
    assert sorted(drawn) == [1, 2]


def test_few_entries_stay_in_memory_the_last_used_longest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["ants", "bees", "cows"]
    for name in names:
        make_entry(tmp_path, name=name)
    read: list[str] = []
    real = Entry.images

    def counted(entry: Entry, split: str, **how: Any) -> Any:
        read.append(entry.dataset)
        return real(entry, split, **how)

    monkeypatch.setattr(Entry, "images", counted)
    cache, found = FeatureCache(tmp_path / "cache"), Worker()

    def fresh(name: str, seed: int) -> bool:
        """Whether the entry was read from disk for a run on it."""
        read.clear()
        [run] = grid(cache, method="zero-shot", dataset=name, shots=1, seed=seed)
        next(found.rows(Chunk((run,))))
        assert {*read} <= {name}
        return bool(read)

    assert KEPT == 2
    order = ["ants", "bees", "ants", "cows", "ants", "bees"]
    assert [fresh(name, seed) for seed, name in enumerate(order)] == [
        True, True, False, True, False, True,
    ]  # fmt: skip


def test_an_entry_that_has_changed_is_read_again(tmp_path: Path) -> None:
    entry, found = make_entry(tmp_path), Worker()
    first = found._in_memory(entry)
    assert first.images("train") is first.images("train")
    assert first.text() is first.text()
    assert found._in_memory(entry) is first
    changed = Entry(entry.folder, {**entry.manifest, "asked": []})
    assert found._in_memory(changed) is not first


def test_a_device_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="tpu"):
        Worker("tpu")


def test_a_failed_row_says_which_run_it_was(cache: FeatureCache) -> None:
    words: dict[str, Any] = {"method": "tip-adapter", "shots": 2, "seed": 3, "policy": "transfer"}
    more = {"settings": {"beta": 2.0}, "views": 0, "prompts": "imported", "transfer": "animals"}
    [run] = grid(cache, **words, **more)
    row = failed(run, "no more")
    alone = run_alone(run.entry, run.experiment).row
    same = {"run", "dataset", "backbone", "entry", "task", "target", "method", "policy", "shots",
            "seed", "bank", "views", "settings", "transfer", "code", "data", "images",
            "features"}  # fmt: skip
    assert {key: row[key] for key in same} == {key: alone[key] for key in same}
    assert (row["status"], row["reason"]) == ("failed", "no more")
    assert {*row} - {"run"} <= {*COLUMNS}


def test_portions_hold_whole_runs_and_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[list[Row]] = [[{"run": str(i)}, {"run": str(i)}] for i in range(7)]
    ticks = iter(range(100))
    monkeypatch.setattr(worker.time, "monotonic", lambda: 0.04 * next(ticks))
    found = [*portions(iter(runs))]
    assert [row for rows in found for row in rows] == [row for rows in runs for row in rows]
    assert [len(rows) for rows in found] == [6, 6, 2]
    assert [*portions(iter([]))] == []


def test_rows_of_a_large_split_are_those_of_one_that_is_held_whole(
    cache: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is anything read twice: what is known of its rows stays, and so does the test split."""
    runs = runs_of(cache, shots=1, seed=[1, 2], method=["ncm", "zero-shot"])
    before = [row["accuracy"] for rows in done(Worker(), runs) for row in rows]
    monkeypatch.setattr(index, "LARGE", 1)
    asked: list[str] = []
    images, index_of = Entry.images, Entry.index
    monkeypatch.setattr(Entry, "images", lambda e, s, **how: asked.append(s) or images(e, s, **how))
    monkeypatch.setattr(Entry, "index", lambda e, s: asked.append(f"of {s}") or index_of(e, s))
    after = [row["accuracy"] for rows in done(Worker(), runs) for row in rows]
    assert after == before
    assert "train" not in asked
    assert sorted(asked) == sorted({*asked})
