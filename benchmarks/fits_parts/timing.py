"""Seconds of a piece of work, of the clock and of the processor."""

from __future__ import annotations

import signal
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

SHORT = 0.5  # seconds; what takes less is repeated
NOT_MEASURED = {"failed": "not measured: no time left"}
Row = dict[str, Any]
Rows = Iterator[tuple[str, Row]]


class TooLongError(Exception):
    """A measurement has had its time."""


def timed(work: Callable[[], Any], limit: float) -> dict[str, Any]:
    """Seconds of the clock and of the processor: the median, where it is short and repeated."""

    def too_long(*_: object) -> None:
        raise TooLongError

    if limit <= 0:
        return dict(NOT_MEASURED)
    signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, limit)
    walls, cpus = list[float](), list[float]()
    try:
        while not walls or (sum(walls) < SHORT and len(walls) < 5):
            began, busy = time.perf_counter(), time.process_time()
            work()
            walls.append(time.perf_counter() - began)
            cpus.append(time.process_time() - busy)
    except TooLongError:
        return {"failed": f"more than {limit:.0f} s"}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return {"wall": statistics.median(walls), "cpu": statistics.median(cpus)}
