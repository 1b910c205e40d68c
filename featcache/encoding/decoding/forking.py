"""Processes that wait to decode: forked ahead, for that takes as long as a batch of pictures.

A fresh Python runs this file, imports what is needed once and is forked while it has no thread yet;
the caller is not forked, and no script of it run again. What was forked waits at one socket for
whom it is to serve, and waits again when that is done. All end when the caller's ends of the
sockets do, as when it is killed.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock

from featcache.encoding.decoding.serving import serve

# One thread each, and memory that is kept rather than given back and faulted in for each picture.
SURROUNDINGS = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(64 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}


class Waiting:
    """The processes of one caller: how many there are, and how many of them serve."""

    def __init__(self) -> None:
        (self._forking, forks), (self._work, works) = socket.socketpair(), socket.socketpair()
        self._lock, self.forked, self.serving = Lock(), 0, 0
        path = os.pathsep.join(each or str(Path.cwd()) for each in sys.path)
        with forks, works:
            subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, str(forks.fileno()), str(works.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **SURROUNDINGS, "PYTHONPATH": path},
                pass_fds=[forks.fileno(), works.fileno()],
                process_group=0,  # Ctrl-C is for the caller, who lets them end
            )
        atexit.register(self.end)

    def have(self, count: int) -> None:
        """See that there are so many, or will be; raises OSError where it has ended."""
        with self._lock:
            if count > self.forked:
                self._forking.sendall(b"+" * (count - self.forked))
                self.forked = count

    def take(self, *files: int) -> None:
        """Have one serve by these files, which go over to it; raises OSError where it has ended."""
        with self._lock:
            self.serving += 1
            wanted = self.serving
        try:
            self.have(wanted)
            socket.send_fds(self._work, [b"+"], files)
        except OSError:
            self.give_back(1)
            raise
        finally:
            for file in files[:2]:
                os.close(file)

    def give_back(self, count: int) -> None:
        """So many serve no more."""
        with self._lock:
            self.serving -= count

    def end(self) -> None:
        """Let all of them end, those that serve when they have no more to do."""
        self._forking.close()
        self._work.close()


@cache
def waiting(caller: int) -> Waiting:
    """Those of this process; a fork of it has others."""
    return Waiting()


def _fork_when_asked(forking: socket.socket, work: socket.socket) -> None:
    """A process for each byte that comes. This one has imported all and has no thread."""

    def fork() -> None:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            forking.close()
            _serve_when_asked(work)
            os._exit(0)

    def ended(*_: object) -> None:
        with suppress(ChildProcessError):
            while (one := os.waitpid(-1, os.WNOHANG))[0]:
                if one[1]:  # killed, perhaps while it waited: others count on it
                    fork()

    signal.signal(signal.SIGCHLD, ended)
    with suppress(ConnectionError):  # the caller was killed
        while forking.recv(1):
            fork()


def _serve_when_asked(work: socket.socket) -> None:
    """Serve one after the other, by the three files that come for each."""
    with suppress(ConnectionError):
        while True:
            asked, files, _, _ = socket.recv_fds(work, 1, 3)
            if not asked:
                return
            with (
                suppress(BrokenPipeError, EOFError),
                os.fdopen(files[0], "rb") as asking,
                os.fdopen(files[1], "wb") as answering,
            ):
                serve(asking, answering, files[2])
            os.close(files[2])


if __name__ == "__main__":
    _fork_when_asked(*(socket.socket(fileno=int(each)) for each in sys.argv[1:]))
