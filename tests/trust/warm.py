"""Both commands in forks of one process that has everything imported, so that a run costs little.

That process has `shim.c` preloaded: in a fork the n-th call of a kind may fail. It reads requests
and writes answers, each a line of JSON. `Warm` starts it and asks.
"""

from __future__ import annotations

import atexit
import ctypes
import errno
import gc
import importlib
import json
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NoReturn

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("open", "read", "write", "fsync", "rename", "lock", "mkdir")  # as in shim.c
SHORT = "short"
LIMIT = 60  # seconds after which a run is taken to hang
NEEDED = "a C compiler on Linux, for calls of HDF5 and SQLite are made to fail too"


@dataclass(frozen=True)
class Fault:
    """The `n`-th call of a kind fails with an errno, by its name, or writes half (`short`)."""

    kind: str
    n: int
    error: str

    def __str__(self) -> str:
        return f"{self.kind} {self.n} {self.error}"


@dataclass(frozen=True)
class Ended:
    """How a run ended: its status, what it printed, calls of each kind, whether the fault came."""

    status: int
    out: str
    err: str
    calls: Mapping[str, int]
    fired: bool
    seconds: float


def can() -> bool:
    """Whether such a process can be had here."""
    return sys.platform == "linux" and shutil.which("cc") is not None


class Warm:
    """A process that runs command lines in forks of itself, one at a time."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch

    @cached_property
    def _process(self) -> subprocess.Popen[str]:
        shim = self._scratch / f"shim-{os.getpid()}-{id(self)}.so"
        source = Path(__file__).with_name("shim.c")
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-U_FORTIFY_SOURCE", "-o", shim, source, "-ldl"], check=True
        )
        more = {"LD_PRELOAD": str(shim), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            [sys.executable, "-m", "tests.trust.warm"],
            cwd=ROOT,
            env={**os.environ, **more},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        line: Sequence[str],
        folder: Path,
        fault: Fault | None = None,
        kill_after: float | None = None,
    ) -> Ended:
        """Run a command line in a folder, which also holds the cache; calls below it are counted.

        It is killed after so many seconds, if it still runs, and without that after `LIMIT`.
        """
        asked = {
            "line": list(line),
            "folder": str(folder.resolve()),
            "fault": asdict(fault) if fault else None,
            "kill_after": kill_after,
        }
        into, back = self._process.stdin, self._process.stdout
        assert into is not None
        assert back is not None
        into.write(json.dumps(asked) + "\n")
        into.flush()
        return Ended(**json.loads(back.readline()))

    def close(self) -> None:
        """End the process, if it was needed."""
        if "_process" in vars(self):
            self._process.communicate("")

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve() -> None:
    """Answer requests until there are no more."""
    shim = ctypes.CDLL(os.environ.pop("LD_PRELOAD"))
    shim.trust_calls.restype = shim.trust_fired.restype = ctypes.c_long
    _import_all()
    gc.freeze()
    while request := sys.stdin.readline():
        asked = json.loads(request)
        shim.trust_clear()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            began = time.monotonic()
            child = os.fork()
            if child == 0:
                _become(shim, asked, out, err)
            status = _wait(child, asked["kill_after"] or LIMIT)
            answer = Ended(
                status,
                _text(out),
                _text(err),
                {kind: shim.trust_calls(i) for i, kind in enumerate(KINDS)},
                bool(shim.trust_fired()),
                time.monotonic() - began,
            )
        sys.stdout.write(json.dumps(asdict(answer)) + "\n")
        sys.stdout.flush()


def _import_all() -> None:
    """Import the rooms of both packages and what they import when they are used."""
    importlib.import_module("cli")
    for package in ("featcache", "adapters"):
        paths = importlib.import_module(package).__path__
        for found in pkgutil.walk_packages(paths, f"{package}."):
            if not found.name.endswith((".ray", ".slurm")):
                importlib.import_module(found.name)
    for name in ("h5py", "open_clip", "safetensors.torch", "pandas", "filelock", "rich.progress"):
        importlib.import_module(name)
    import torch
    from PIL import Image

    Image.init()
    with torch.inference_mode():  # the first of a kind prepares for all
        torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8)).eval()(
            torch.zeros(2, 3, 32, 32)
        )


def _become(shim: Any, asked: dict[str, Any], out: IO[bytes], err: IO[bytes]) -> NoReturn:
    """Run the command line as if this process had been started for it."""
    folder, fault = asked["folder"], asked["fault"]
    for i, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), out.fileno(), err.fileno())):
        os.dup2(descriptor, i)
    os.chdir(folder)
    os.environ["FEATCACHE_HOME"] = f"{folder}/cache"
    sys.argv = asked["line"]
    kind, n, error = -1, 0, 0
    if fault:
        kind, n = KINDS.index(fault["kind"]), fault["n"]
        error = -1 if fault["error"] == SHORT else getattr(errno, fault["error"])
    shim.trust_arm(folder.encode(), str(ROOT / "data").encode(), kind, n, error)
    # As the interpreter ends, but for taking apart what was imported, which lasts a second.
    status: object = 0
    try:
        getattr(importlib.import_module("cli"), asked["line"][0])()
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()  # waits for threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(ValueError):  # closed
            stream.flush()
    os._exit(status if isinstance(status, int) else 1)


def _wait(child: int, seconds: float) -> int:
    """The status of a child, which is killed if it runs longer; negative for a signal."""
    until = time.monotonic() + seconds
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        time.sleep(0.0005)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


if __name__ == "__main__":
    serve()
