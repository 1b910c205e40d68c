"""Runs on a Ray cluster, or on a Ray of one's own on this machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import ray

from adapters.scoring import Row
from adapters.sweeping.runs import Chunk
from adapters.sweeping.worker import Worker, portions
from featcache.engines.options import EngineOptions
from featcache.engines.ray import resources


class Ray:
    """Actors of one core, or one GPU, each; one that dies is replaced.

    Without an `address` Ray starts on this machine with `jobs` cores (0: all). On a cluster `jobs`
    limits the actors (0: as many as there is room for), and the cache must lie under the same path
    on every node.
    """

    def __init__(self, jobs: int = 0, device: str = "auto", address: str | None = None) -> None:
        there = resources(jobs, address)
        self.device = device
        unit = "GPU" if self.device.startswith("cuda") else "CPU"
        self.workers = max(1, min(jobs or int(there[unit]), int(there.get(unit, 1))))
        gpus = 1 if unit == "GPU" else 0
        self._kind = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(_Actor)
        self._idle: list[Any] = []

    def run(self, chunks: Sequence[Chunk]) -> Iterator[list[Row]]:
        """Rows in portions, from whichever actor has some."""
        waiting = deque(chunks)
        busy: dict[Any, Any] = {}  # streams of rows, with the actors that make them
        while waiting or busy:
            while waiting and len(busy) < self.workers:
                actor = self._idle.pop() if self._idle else self._kind.remote(self.device)
                stream = actor.rows.options(num_returns="streaming").remote(waiting.popleft())
                busy[stream] = actor
            ready, _ = ray.wait([*busy], num_returns=1, fetch_local=True)
            for stream in ready:
                try:
                    yield ray.get(next(stream))
                except StopIteration:
                    self._idle.append(busy.pop(stream))
                except ray.exceptions.RayError:  # the actor has died, and its stream with it
                    busy.pop(stream)

    def close(self) -> None:
        """Let the actors go; Ray itself stays for who else uses it."""
        for actor in self._idle:
            ray.kill(actor)
        self._idle = []


class _Actor:
    def __init__(self, device: str) -> None:
        self.worker = Worker(device)

    def rows(self, chunk: Chunk) -> Iterator[list[Row]]:
        yield from portions(self.worker.rows(chunk))


def engine(options: EngineOptions) -> Ray:
    """Actors on the cluster at `address`, or on a Ray of one's own."""
    return Ray(options.jobs, options.device, options.address)
