"""A sweep by two workers, which say where the processor's seconds of a run went."""

from __future__ import annotations

import statistics
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from reading_parts.processes import of_proc

GRID = {
    "method": ["zero-shot", "ncm", "ss-text", "gda", "proto-clip", "ape", "timo", "tip-adapter"],
    "shots": [1, 2, 4, 8, 16],
    "seed": [1, 2, 3],
    "policy": ["none"],
}


def killed(count: int, folder: Path, rows: Path) -> dict[str, Any]:
    """The sweep in a process that is killed once so many runs are done; how many were kept."""
    from adapters.results import Results

    process = get_context("spawn").Process(target=swept, args=(folder, rows))
    process.start()
    while process.is_alive() and (not rows.exists() or len(Results(rows).frame()) < count):
        time.sleep(1)
    process.kill()
    process.join()
    return {"done": len(Results(rows).frame())}


def swept(folder: Path, rows: Path) -> dict[str, Any]:
    """Processor seconds of the runs and what they were for; the peak of both workers together."""
    import threading

    from adapters.results import Results
    from adapters.sweeping.engines.local import Local
    from adapters.sweeping.plan import plan
    from featcache.store.cache import FeatureCache

    kind: Any = worker
    cache, engine = FeatureCache(folder.parents[2]), Local(2, worker=kind)
    peak, done, told = [0.0], threading.Event(), list[dict[str, Any]]()

    def watch() -> None:
        while not done.wait(0.2):
            pids = [process.pid for process in engine._pool.values()]
            peak[0] = max(peak[0], sum(of_proc(f"{pid}/smaps_rollup", "Pss") for pid in pids))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        whole = plan(cache, {"dataset": ["made"], **GRID}, Results(rows))
        summary, _ = whole.carry_out(engine, told.append, "off")
    finally:
        done.set()
        watcher.join()
        engine.close()
    return {
        "before": summary.before,
        "done": summary.done,
        "failed": summary.failed,
        "workers_mb": round(peak[0]),
        **_spent([row for row in told if "all_s" in row]),
    }


def _spent(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Seconds of all runs for fits, answers and scores; a worker's first draw; a run's others."""
    first = [row["draw_s"] for row in rows if row["first"]]
    sums = {
        name: sum(row[key] for row in rows)
        for name, key in (("fits_s", "fit_seconds"), ("answers_s", "predict_seconds"),
                          ("scores_s", "score_s"), ("draws_s", "draw_s"), ("all_s", "all_s"))
    }  # fmt: skip
    runs = max(1, len(rows))
    parts = ("fit_seconds", "predict_seconds", "score_s", "draw_s")
    beside = [row["all_s"] - sum(row[key] for key in parts) for row in rows]
    return {
        **{name: round(value, 1) for name, value in sums.items()},
        "first_draw_s": round(max(first, default=0), 2),
        "draw_ms": round(1000 * (sums["draws_s"] - sum(first)) / runs, 1),
        "score_ms": round(1000 * sums["scores_s"] / runs, 1),
        "beside_ms": round(1000 * statistics.median(beside or [0]), 1),
        "beside_once_s": round(sum(beside) - len(beside) * statistics.median(beside or [0]), 2),
    }


def timed() -> Any:
    """A worker's class whose rows say where the processor's seconds of a run went."""
    import adapters.fitting as room
    from adapters.sweeping.worker import Worker

    clock = time.process_time
    time.perf_counter = clock  # of the worker's process, which does nothing else
    spent = {"score": 0.0, "draw": 0.0}
    score = room.score_target

    def scored(*words: Any) -> Any:
        began = clock()
        found = score(*words)
        spent["score"] += clock() - began - found.seconds
        return found

    room.score_target = scored

    class Timed(Worker):
        drawn = 0

        def draw(self, cell: Any) -> Any:
            began = clock()
            found = super().draw(cell)
            spent["draw"] += clock() - began
            return found

        def _rows(self, each: Any) -> list[dict[str, Any]]:
            before, first, began = dict(spent), not self.drawn, clock()
            self.drawn += 1
            rows = super()._rows(each)
            told = {f"{name}_s": spent[name] - before[name] for name in spent}
            return [row | told | {"first": first, "all_s": clock() - began} for row in rows]

    return Timed


def worker(device: str = "cpu") -> Any:
    """Such a worker, made in its process."""
    return timed()(device)
