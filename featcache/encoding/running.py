"""Units of one data set through one or several backbones: each picture is read and decoded once.

Workers decode ahead, this thread hands crops to the models, and one more writes what they made, so
that neither waits for the disk. A backbone that fails is left out from there on; the others go on.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from featcache.datasets.dataset import Dataset
from featcache.encoding.batches import UnitBatches, UnitEncoder
from featcache.encoding.decoding import processes
from featcache.encoding.decoding.crops import (
    Asked,
    Digests,
    Given,
    Maker,
    crops_ahead,
    wanted_of,
)
from featcache.encoding.plan import Unit
from featcache.encoding.report import Progress, Report
from featcache.encoding.writing import UnitWriter

UNWRITTEN = 1  # units that may wait to be written, for each backbone

Key = tuple[str, int, int]


@dataclass
class Job:
    """What is to be done for one backbone, and what stopped it, if anything did."""

    report: Report
    units: Sequence[Unit]
    encoder: UnitEncoder
    writer: UnitWriter
    maker: Maker
    digests: Digests
    failed: Exception | None = None
    waiting: deque[Future[None]] = field(default_factory=deque)

    def crops(self, unit: Unit) -> int:
        """How many crops a unit takes."""
        return unit.crops(self.encoder.views)


@dataclass(frozen=True)
class Decoding:
    """By how many workers (0: one a core) pictures are decoded, and where: `processes.WHERE`."""

    workers: int = 0
    where: str = "auto"


def run(jobs: Sequence[Job], dataset: Dataset, decoding: Decoding, progress: Progress) -> None:
    """Encode and write the units of all jobs; what stopped one is its `failed`."""
    keys = _places(jobs, dataset)
    total = sum(job.crops(unit) for job in jobs for unit in job.units)
    done = said = 0
    progress(done, total)
    makers = [job.maker for job in jobs]
    on_cpu = any(job.encoder.backbone.device.type == "cpu" for job in jobs)
    apart = processes.chosen(decoding.where, makers, total, on_cpu)
    ahead = processes.crops_from_processes if apart else crops_ahead
    with (
        _listed(jobs),
        ThreadPoolExecutor(1) as disk,
        ahead(_asked(jobs, keys, dataset), makers, decoding.workers) as given,
    ):
        for units in keys.values():
            begun = [
                job.encoder.begin(unit) if unit and not job.failed else None
                for job, unit in zip(jobs, units, strict=True)
            ]
            for _ in range(len(_rows(units))):
                _add(jobs, begun, next(given))
                now = done + sum(each.done for each in begun if each)
                if now != said:  # after each batch: to be told of each picture takes time
                    progress(now, total)
                    said = now
            for job, each in zip(jobs, begun, strict=True):
                _hand_over(job, each, disk)
            # Bad pictures and those taken over count too, or the bar would never reach its end.
            done += sum(job.crops(unit) for job, unit in zip(jobs, units, strict=True) if unit)
            progress(done, total)
            if all(job.failed for job in jobs):
                break
        for written in (each for job in jobs for each in job.waiting):
            written.result()
    for job in jobs:
        job.report.notes += job.encoder.staging.notes


@contextmanager
def _listed(jobs: Sequence[Job]) -> Iterator[None]:
    """All that the block writes is listed in the end, also where it is interrupted."""
    try:
        yield
    finally:
        for job in jobs:
            try:
                job.writer.listing.finish()
            except Exception as error:
                job.failed = job.failed or error


def _places(jobs: Sequence[Job], dataset: Dataset) -> dict[Key, list[Unit | None]]:
    """The units of each place in the order of splits and rows, one or none for each job."""
    order = {split: i for i, split in enumerate(dataset.splits)}
    by_job = [{(u.split, u.start, u.stop): u for u in job.units} for job in jobs]
    keys = sorted({key for mine in by_job for key in mine}, key=lambda k: (order[k[0]], *k[1:]))
    return {key: [mine.get(key) for mine in by_job] for key in keys}


def _rows(units: Sequence[Unit | None]) -> set[int]:
    return {row for unit in units if unit for row in unit.rows}


def _asked(
    jobs: Sequence[Job], keys: dict[Key, list[Unit | None]], dataset: Dataset
) -> Iterator[Asked]:
    digests = [job.digests for job in jobs]
    for units in keys.values():
        yield from wanted_of(units, dataset, digests)


def _add(jobs: Sequence[Job], begun: list[UnitBatches | None], given: Given) -> None:
    for i, (job, crops) in enumerate(zip(jobs, given, strict=True)):
        each = begun[i]
        if crops is None or each is None:
            continue
        job.report.seconds["read"] += crops.read
        job.report.seconds["decode"] += crops.decode
        try:
            each.add(crops)
        except Exception as error:
            job.failed, begun[i] = error, None


def _hand_over(job: Job, begun: UnitBatches | None, disk: ThreadPoolExecutor) -> None:
    """Have a unit written once its model is done with it."""
    if begun is None:
        return
    try:
        begun.flush()
    except Exception as error:
        job.failed = error
        return
    job.report.crops += begun.done
    job.report.taken += begun.taken
    job.waiting.append(disk.submit(_write, job, begun))
    while len(job.waiting) > UNWRITTEN:
        job.waiting.popleft().result()


def _write(job: Job, begun: UnitBatches) -> None:
    if job.failed:
        return
    try:
        features = begun.finish()
        job.report.seconds["forward"] += begun.seconds
        began = time.perf_counter()
        job.writer.write(begun.unit, features)
        job.report.seconds["write"] += time.perf_counter() - began
    except Exception as error:
        job.failed = error
