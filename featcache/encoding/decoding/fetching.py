"""Pictures in stores, asked for ahead of those that decode: many at once, however few crops wait.

Only bytes as they are stored wait here. They are read in the order in which they will be asked for
and hold at most so much memory, so that who decodes next never waits for what comes later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock, Thread

from featcache.datasets.dataset import Item
from featcache.datasets.remote import Remote
from featcache.errors import PictureError

# Requests at once, at least, for each decoder and at most: they wait for the network, and take
# little of a core; many more at once are what small web servers drop.
READERS, EACH, MOST = 32, 8, 128
ANNOUNCED = 256  # pictures that are known to be wanted next
ROOM = 64 << 20  # bytes that wait to be decoded, or one picture
UNLISTED = 1 << 20  # bytes of a picture whose size the store does not tell, until it is there


@dataclass(frozen=True, slots=True)
class Coming(Remote):
    """A picture in a store that has been asked for; `wait` gives its bytes, once."""

    wait: Callable[[], bytes] = field(default=bytes, compare=False, repr=False)

    def read(self) -> bytes:
        """All its bytes; raises as a `Remote` does."""
        return self.wait()

    def held(self) -> Coming:
        """The same once its bytes are here, or why they are not, for another process to read."""
        try:
            return replace(self, wait=partial(bytes, self.read()))
        except PictureError as error:
            return replace(self, wait=partial(_refuse, str(error)))


def _refuse(reason: str) -> bytes:
    raise PictureError(reason)


@contextmanager
def fetching(decoders: int) -> Iterator[Fetching]:
    """What asks for pictures ahead; who still waits for one when it ends has an error instead."""
    fetch = Fetching(min(MOST, max(READERS, EACH * decoders)))
    try:
        yield fetch
    finally:
        fetch.close()


class Fetching:
    """Reads what is announced, first come first served, as far as there is room for its bytes.

    Its threads are daemons, one a picture: nobody who presses Ctrl-C wants to wait for a server
    that does not answer.
    """

    def __init__(self, readers: int) -> None:
        self._readers, self._lock = readers, Lock()
        self._announced = deque[tuple[Remote, Future[bytes]]]()
        self._sizes = dict[Future[bytes], int]()  # of what is under way or waits
        self._reading = 0

    def coming(self, item: Item) -> Item:
        """The picture, asked for ahead where it lies in a store."""
        source = item.source
        if not isinstance(source, Remote):
            return item
        future = Future[bytes]()
        with self._lock:
            self._announced.append((source, future))
            self._go_on()
        of = (source.store, source.path, source.size, source.mark, source.listed)
        return replace(item, source=Coming(*of, lambda: self._taken(future)))

    def close(self) -> None:
        """Ask for no more."""
        with self._lock:
            for future in (*self._sizes, *(future for _, future in self._announced)):
                future.cancel()
            self._announced.clear()

    def _taken(self, future: Future[bytes]) -> bytes:
        try:
            return future.result()
        finally:
            with self._lock:
                self._sizes.pop(future, None)
                self._go_on()

    def _go_on(self) -> None:
        """Ask for what comes next while there is room."""
        while self._announced and self._reading < self._readers:
            source, future = self._announced[0]
            size = source.size if source.size >= 0 else UNLISTED
            if self._sizes and sum(self._sizes.values()) + size > ROOM:
                return
            self._announced.popleft()
            self._sizes[future] = size
            self._reading += 1
            Thread(target=self._read, args=(source, future), daemon=True).start()

    def _read(self, source: Remote, future: Future[bytes]) -> None:
        error: BaseException | None = None
        try:
            content = source.read()
        except BaseException as raised:
            error = raised
        with self._lock:
            self._reading -= 1
            if not future.cancelled():
                if error is None:
                    self._sizes[future] = len(content)
                    future.set_result(content)
                else:
                    future.set_exception(error)
            self._go_on()
