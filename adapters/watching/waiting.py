"""What is said while a long training goes on: how long it takes, by its first step, and a bar."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

from featcache import notebook, terminal

LONG = 10.0  # seconds from which on it is worth a word
ASKED = 1.0  # the same where somebody asked for a bar


@contextmanager
def waiting(long: float = LONG) -> Iterator[None]:
    """Say of each training meanwhile how long it takes, where that is long, and how far it is."""
    from adapters.maths import training

    with ExitStack() as stack, training.watched(Waiting(stack, long=long), say):
        yield


def shown(progress: bool | None) -> AbstractContextManager[None]:
    """`waiting`, where it is asked for or, with None, where this is a notebook."""
    if progress is None:
        return waiting() if notebook.here() else nullcontext()
    return waiting(ASKED) if progress else nullcontext()


class Waiting:
    """What a training tells its steps: it estimates the time left once the first is done."""

    def __init__(
        self,
        stack: ExitStack,
        clock: Callable[[], float] = time.perf_counter,
        long: float = LONG,
    ) -> None:
        self.stack, self.clock, self.long, self.began = stack, clock, long, 0.0
        self.update: Callable[[int, int], None] | None = None

    def __call__(self, done: int, total: int) -> None:
        """So many steps are done."""
        if done == 0:
            self.began = self.clock()
        elif done == 1:
            step = self.clock() - self.began
            if step * (total - 1) > self.long:
                terminal.people(True).print(said(total, step), markup=False)
                if self.update is None:
                    shown = terminal.progress("steps", "fitting")
                    self.update = self.stack.enter_context(shown)
        if self.update is not None:
            self.update(done, total)


def say(sentence: str) -> None:
    """What a training says of its cost, to people."""
    terminal.people(True).print(sentence, markup=False)


def said(steps: int, seconds: float) -> str:
    """How long so many steps of so many seconds take."""
    whole = steps * seconds
    about = f"{whole:.0f} s" if whole < 120 else f"{whole / 60:.0f} min"
    return f"{steps} steps of {seconds:.2g} s: this takes about {about}."
