"""What reading costs at ImageNet's size: draws, opening, import and fits, a sweep. Prints JSON.

    python benchmarks/reading.py                 draws, opening, fits: a minute and 3 GB of disk
    python benchmarks/reading.py grid            the sweep: many minutes; kept for docs/scale.md

Features are made up in a temporary folder: 1,281,167 training rows of 1,000 classes, 512 wide, and
50,000 to test. Seconds are of the processor and of the wall, memory is the peak of a process of its
own, libraries included.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLASSES, WIDTH, TRAIN, TEST, SHARD = 1000, 512, 1_281_167, 50_000, 65_536
SHARDS, SHARD_OF_MANY = 10_000, 2_000
METHODS = ("zero-shot", "ncm")
QUICK = ("draws", "opening", "fits")
KILLED = 40  # runs after which the sweep is killed
Found = Iterator[tuple[str, Any]]
GRID = {
    "method": ["zero-shot", "ncm", "ss-text", "gda", "proto-clip", "ape", "timo", "tip-adapter"],
    "shots": [1, 2, 4, 8, 16],
    "seed": [1, 2, 3],
    "policy": ["none"],
}


def draws(root: Path) -> Found:
    """A draw of 16 a class from 50,000 rows, of a pool and of a list, and from 1,281,167."""
    from featcache.draws import few_shot, pool_indices

    rng = np.random.default_rng(0)
    small, large = (rng.integers(0, CLASSES, rows) for rows in (TEST, TRAIN))
    yield "pool of 50,000", _seconds(lambda: pool_indices(small, 1))
    yield "list of 50,000", _seconds(lambda: few_shot(small, None, 16, 1))
    yield "list of 1,281,167", _seconds(lambda: few_shot(large, None, 16, 1))


def opening(root: Path) -> Found:
    """10,000 shards and 20 M rows (8 wide, one file under many names): opened, drawn from."""
    from featcache.store.entry import reload
    from featcache.store.writing import amend

    rows = SHARDS * SHARD_OF_MANY
    entry = made(root / "many", SHARD_OF_MANY, 8, SHARD_OF_MANY)
    name, record = next(iter(entry.shards("images", "train").items()))
    with amend(entry) as listed:
        listed["dataset"]["splits"]["train"] = rows
        for number in range(1, SHARDS):
            other, start = f"images-train-{number:05d}.h5", number * SHARD_OF_MANY
            os.link(entry.folder / name, entry.folder / other)
            listed["shards"][other] = record | {"start": start, "stop": start + SHARD_OF_MANY}
    folder = reload(entry).folder
    yield "open", measured(_open, root / "many")
    yield "index, made once", measured(_index, folder)
    yield "draw", measured(_draw, folder)


def fits(root: Path) -> Found:
    """An import of 1,281,167 rows of half precision; a fit of each method on what it made.

    And one on what 16 a class need of it.
    """
    from featcache.store.cache import FeatureCache
    from featcache.store.reducing import reduce

    root.mkdir(parents=True)
    _files(root)
    yield "import", measured(_import, root)
    entry = FeatureCache(root / "cache").find("taken")
    small = reduce(entry, [16], [1], root / "small")
    for method in METHODS:
        for name, each in (("large", entry), ("16 a class", small)):
            yield f"{name}, {method}", measured(_fit, each.folder, method)


def grid(root: Path) -> Found:
    """8 methods x 5 shots x 3 seeds on the large entry by two workers: killed, resumed, again."""
    folder, rows = made(root / "large").folder, root / "rows.sqlite"
    yield "index, made once", measured(_index, folder)
    yield "killed", killed(KILLED, folder, rows)
    yield "resumed", measured(_sweep, folder, rows)
    yield "again", measured(_sweep, folder, rows)


PARTS: dict[str, Callable[[Path], Found]] = {
    each.__name__: each for each in (draws, opening, fits, grid)
}


def made(root: Path, rows: int = TRAIN, width: int = WIDTH, shard: int = SHARD) -> Any:
    """An entry of so many training rows, sorted by class, written shard by shard below `root`."""
    from featcache.store.entry import open_entry, reload
    from featcache.store.writing import NewShard, image_arrays, put, put_text

    names = [f"class {c}" for c in range(CLASSES)]
    splits = {"train": rows, "test": TEST}
    entry = open_entry(root / "made" / "made" / "000000000000", _header(names, splits, width))
    for split, many in splits.items():
        for number, (start, x, label) in enumerate(_features(split, many, width, shard)):
            n = len(x)
            ids = [f"{split}/{row:08d}" for row in range(start, start + n)]
            arrays = image_arrays(x, label, ids, np.ones(n, bool), [""] * n)
            record = {"kind": "images", "split": split, "start": start, "stop": start + n, "bad": 0}
            put(entry, [NewShard(f"images-{split}-{number:05d}.h5", record, arrays)])
    prompts = [[f"a photo of a {name}."] for name in names]
    put_text(entry, "made", _centres(width).astype(np.float16), prompts)
    return reload(entry)


def _files(root: Path) -> None:
    """Both splits and the text as `.npy` files, written in portions."""
    for split, rows in (("train", TRAIN), ("test", TEST)):
        x = np.lib.format.open_memmap(
            root / f"{split}_features.npy", mode="w+", dtype=np.float16, shape=(rows, WIDTH)
        )
        labels = np.empty(rows, np.int64)
        for start, part, label in _features(split, rows, WIDTH, SHARD):
            x[start : start + len(part)] = part
            labels[start : start + len(part)] = label
        x.flush()
        np.save(root / f"{split}_labels.npy", labels)
    np.save(root / "text.npy", _centres(WIDTH))
    (root / "classes.txt").write_text("\n".join(f"class {c}" for c in range(CLASSES)))


def measured(do: Callable[..., Any], *words: Any) -> dict[str, Any]:
    """What a process of its own costs that does this, and what it gives."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_child, args=(theirs, do, words))
    process.start()
    theirs.close()  # so that a child that dies is not waited for
    found: dict[str, Any] = ours.recv()
    process.join()
    return found


def killed(count: int, folder: Path, rows: Path) -> dict[str, Any]:
    """The sweep in a process that is killed once so many runs are done; how many were kept."""
    from adapters.results import Results

    process = get_context("spawn").Process(target=_sweep, args=(folder, rows))
    process.start()
    while process.is_alive() and (not rows.exists() or len(Results(rows).frame()) < count):
        time.sleep(1)
    process.kill()
    process.join()
    return {"done": len(Results(rows).frame())}


def _child(connection: Any, do: Callable[..., Any], words: tuple[Any, ...]) -> None:
    import resource

    from featcache.threads import wait_passively

    wait_passively()  # as the door does
    began = time.perf_counter()
    found = do(*words)
    wall = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "processor_s": round(used.ru_utime + used.ru_stime, 2),
        "wall_s": round(wall, 2),
        "peak_mb": round(_of_proc("self/status", "VmHWM") or used.ru_maxrss / 1024),
    }
    connection.send(told | (found or {}))


def _fit(folder: Path, method: str) -> dict[str, Any]:
    from adapters.fitting import fit

    outcome = fit(_entry(folder), method, shots=16, seed=1, policy="none")
    return {"accuracy": outcome.row["accuracy"]}


def _open(root: Path) -> dict[str, Any]:
    from featcache.store.cache import FeatureCache

    began = time.process_time()
    entry = FeatureCache(root).find("made")
    return {"rows": entry.encoded("train"), "to open_s": round(time.process_time() - began, 3)}


def _index(folder: Path) -> None:
    _entry(folder).index("train")


def _draw(folder: Path) -> dict[str, Any]:
    """Two draws, of which the first looks up what is known of rows."""
    import random

    from featcache.draws import draw_places

    entry, clock = _entry(folder), [time.process_time()]
    index, records = entry.index("train"), entry.shards("images", "train")
    for seed in (1, 2):
        places = draw_places(index.groups, 16, random.Random(seed))
        index.read(entry.folder, records, index.groups.rows[places].astype(np.int64))
        clock.append(time.process_time())
    spent = (round(after - before, 3) for before, after in itertools.pairwise(clock))
    return dict(zip(("first draw_s", "next draw_s"), spent, strict=True))


def _import(folder: Path) -> None:
    from featcache.interchange.importing import import_features
    from featcache.store.cache import FeatureCache

    files = [folder / f"{split}_{what}.npy" for split in ("train", "test")
             for what in ("features", "labels")]  # fmt: skip
    cache, text = FeatureCache(folder / "cache"), folder / "text.npy"
    import_features(
        files, "taken", "hf-hub:made/narrow", cache, text=text, classes=folder / "classes.txt"
    )


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


def _sweep(folder: Path, rows: Path) -> dict[str, Any]:
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
            peak[0] = max(peak[0], sum(_of_proc(f"{pid}/smaps_rollup", "Pss") for pid in pids))

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


def _of_proc(path: str, name: str) -> float:
    """A number of MB that Linux tells of a process; 0 where it does not.

    `ru_maxrss` counts what a parent held when the process was forked.
    """
    try:
        lines = (Path("/proc") / path).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), 0)


def _entry(folder: Path) -> Any:
    from featcache.store import manifest
    from featcache.store.entry import Entry

    return Entry(folder, manifest.load(folder))


def _header(names: list[str], splits: dict[str, int], width: int) -> dict[str, Any]:
    return {
        "dataset": {"name": "made", "fingerprint": "made", "classnames": names, "splits": splits},
        "backbone": {
            "name": "made", "fingerprint": "made", "width": width, "logit_scale": 100.0,
        },
        "asked": list(splits),
    }  # fmt: skip


def _centres(width: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(CLASSES, width)).astype(np.float32)


def _features(
    split: str, rows: int, width: int, shard: int
) -> Iterator[tuple[int, NDArray[np.float16], NDArray[np.int64]]]:
    """First row, features and labels of each shard: noise around centres, sorted by class."""
    rng, centres = np.random.default_rng(len(split)), _centres(width)
    noise = 3 * rng.standard_normal((min(rows, shard), width), np.float32)
    for number, start in enumerate(range(0, rows, shard)):
        label = np.arange(start, min(start + shard, rows)) * CLASSES // rows
        mine = np.roll(noise[: len(label)], number, 1)  # made once, for that takes longest
        yield start, (centres[label] + mine).astype(np.float16), label


def _seconds(do: Callable[[], Any]) -> float:
    do()  # what is imported and allocated once counts for none
    began = time.process_time()
    do()
    return round(time.process_time() - began, 3)


def main(names: Sequence[str] = ()) -> dict[str, Any]:
    """What the parts of these names, or all but the grid, measured."""
    return {name: dict(found(name)) for name in names or QUICK}


def found(name: str) -> Found:
    """What a part finds, as it comes."""
    with TemporaryDirectory() as folder:
        yield from PARTS[name](Path(folder) / name)


def keep(grid: dict[str, Any]) -> None:
    """Have the grid's figures in the results and on the page."""
    import fits as fitting
    import scale

    kept = grid | fitting.machine() | {"load": os.getloadavg()[0]}
    (scale.RESULTS / "reading_grid.json").write_text(json.dumps(kept, indent=1) + "\n")
    scale.write()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=str([*PARTS])
    )
    asked = parser.parse_args().parts
    measurements = main(asked)
    if "grid" in measurements:
        keep(measurements["grid"])
    print(json.dumps(measurements, indent=1))
