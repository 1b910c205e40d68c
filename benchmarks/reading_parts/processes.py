"""What a process of its own costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any


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
        "peak_mb": round(of_proc("self/status", "VmHWM") or used.ru_maxrss / 1024),
    }
    connection.send(told | (found or {}))


def of_proc(path: str, name: str) -> float:
    """A number of MB that Linux tells of a process; 0 where it does not.

    `ru_maxrss` counts what a parent held when the process was forked.
    """
    try:
        lines = (Path("/proc") / path).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), 0)
