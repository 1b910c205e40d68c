"""Parts as tasks of a Ray cluster, or of a Ray of one's own on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import ray

from featcache.encoding.order import Order
from featcache.encoding.spreading import Lost, Part, Reports, part_of
from featcache.engines.options import EngineOptions
from featcache.engines.ray import resources
from featcache.errors import ConfigError

CUDA = "cuda"


class Ray:
    """A task a GPU, or where there are none a node, unless `jobs` says how many at once.

    Each has an even share of the cores. The data set and the cache must lie under the same paths
    on every node. Raises `ConfigError` where GPUs are asked for and there are none.
    """

    def __init__(self, jobs: int = 0, device: str = "auto", address: str | None = None) -> None:
        there = resources(0, address)
        gpus = int(there.get("GPU", 0))
        if device.startswith(CUDA) and not gpus:
            raise ConfigError("this Ray has no GPU; take --device cpu, or another --address.")
        on_gpu = gpus > 0 and device.startswith((CUDA, "auto"))
        nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
        self.workers = jobs or (gpus if on_gpu else sum(cores > 0 for cores in nodes)) or 1
        self.workers = min(self.workers, gpus) if on_gpu else self.workers
        self.cores = max(1, int(min(there.get("CPU", 1) // self.workers, max(nodes))))
        self._part = ray.remote(
            num_cpus=self.cores, num_gpus=int(on_gpu), max_retries=0, max_calls=1
        )(_part)
        # Of the cards each task sees its own alone.
        self.device = CUDA if on_gpu else device
        self._running: dict[Any, Part] = {}

    def run(
        self, order: Order, parts: Sequence[Part]
    ) -> Iterator[tuple[Part, Reports | Exception | Lost]]:
        """What the tasks answer, as they end."""
        decoding = replace(order.decoding, workers=order.decoding.workers or self.cores)
        order = replace(order, device=self.device, decoding=decoding)
        self._running = {self._part.remote(order, part): part for part in parts}
        while self._running:
            (task,), _ = ray.wait([*self._running], num_returns=1)
            part = self._running.pop(task)
            try:
                found: Reports | Exception | Lost = ray.get(task)
            except ray.exceptions.RayError as error:
                found = Lost(f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}")
            yield part, found

    def close(self) -> None:
        """Stop the tasks; Ray itself stays for who else uses it."""
        for task in self._running:
            ray.cancel(task, force=True)
        self._running = {}


def _part(order: Order, part: Part) -> Reports | Exception:
    return part_of(order, part)


def engine(options: EngineOptions) -> Ray:
    """Tasks on the cluster at `address`, or on a Ray of one's own."""
    return Ray(options.jobs, options.device, options.address)
