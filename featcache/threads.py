"""How many threads an operation gets, and how they wait: set here, unless somebody else has.

A step of a small fit takes less time than threads take to meet. Where a core is busy with other
work, those that are there wait for the one that is not: actively, a hundred times as long as the
step takes. So what is small has one thread, and threads that are worth their while wait passively.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # that torch reads
ARRAYS = "OPENBLAS_NUM_THREADS"  # and NumPy's library beside these
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
LARGE = 10**9  # multiplications that are worth several threads: some 20 ms of one core

# Of this thread, outside all that it is doing: libraries count for each thread by itself.
_outside: ContextVar[int | None] = ContextVar("outside", default=None)


def wait_passively() -> None:
    """Have this process's threads wait without a core, unless the environment says how.

    The libraries read it once, as they are loaded: a command calls this before anything else.
    """
    if not any(name in os.environ for name in WAITING):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


@contextmanager
def for_work(multiplications: float) -> Iterator[None]:
    """One thread where an operation is small, else as many as torch has.

    Nothing is done where a user has said how many: in the environment (`OMP_NUM_THREADS`,
    `MKL_NUM_THREADS`), or by `torch.set_num_threads` another count than a machine gives by itself.
    Work within work has what it would have alone.
    """
    before = _count()
    most = _outside.get() or before
    token = _outside.set(most)
    _set(1 if multiplications < LARGE and not _chosen(most) else most)
    try:
        yield
    finally:
        _set(before)
        _outside.reset(token)


@contextmanager
def for_arrays(multiplications: float) -> Iterator[None]:
    """The same for products of NumPy and SciPy, whose library counts its threads by itself.

    It also leaves alone what `OPENBLAS_NUM_THREADS` says.
    """
    from threadpoolctl import threadpool_limits

    few = multiplications < LARGE and not any(name in os.environ for name in (*COUNTS, ARRAYS))
    with threadpool_limits(1 if few else None, user_api="blas"):
        yield


def _chosen(count: int) -> bool:
    """Whether a user has said how many threads torch has."""
    return any(name in os.environ for name in COUNTS) or count not in _usual()


def _usual() -> set[int]:
    """What a library takes by itself: every core, or every second where two are one."""
    cores = {len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1}
    cores.add(os.cpu_count() or 1)
    return cores | {max(each // 2, 1) for each in cores}


def _count() -> int:
    import torch

    return torch.get_num_threads()


def _set(count: int) -> None:
    import torch

    if torch.get_num_threads() != count:
        torch.set_num_threads(count)
