"""Workers and drivers that are killed on the way, and what is there in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from featcache.encoding import plan
from featcache.store.cache import FeatureCache
from featcache.store.cleaning import DRAFT
from tests.featcache.encoding.engines import slow_motion
from tests.featcache.encoding.spread import aged, here, order_of, tree

PATIENCE = 300.0  # seconds on a machine with other work


def once_hit(traps: Path) -> Callable[[Any, Any], None]:
    """What a worker calls before its part: after a unit it gets the signal of the part's trap.

    A trap is a file named as the number of the part, with a signal in it; it snaps once.
    """

    def hit(order: Any, part: Any) -> None:
        from featcache.encoding import plan
        from featcache.encoding.writing import UnitWriter

        plan.SHARD_ROWS = 4
        write = UnitWriter.write
        trap = traps / str(part[0])

        def deadly(self: Any, unit: Any, features: Any) -> None:
            write(self, unit, features)
            if trap.exists():
                number = int(trap.read_text())
                trap.unlink()
                os.kill(os.getpid(), number)

        UnitWriter.write = deadly  # type: ignore[method-assign]

    return hit


def trapped(folder: Path, signals: dict[int, signal.Signals]) -> Path:
    """A folder of such traps."""
    folder.mkdir()
    for part, number in signals.items():
        (folder / str(part)).write_text(str(int(number)))
    return folder


def a_driver_that_is_killed(name: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is started again, and what is there then is what a plain encode gives."""
    monkeypatch.chdir(path)
    monkeypatch.setattr(plan, "SHARD_ROWS", slow_motion.ROWS)
    order = aged(order_of(path))
    script = [sys.executable, slow_motion.__file__, name, order.dataset, str(order.cache), "2"]
    driver = subprocess.Popen(script)
    began = time.monotonic()
    while not _listed(order.cache):
        assert driver.poll() is None
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.05)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert not FeatureCache(order.cache).entries()[0].complete
    subprocess.run(script, check=True, timeout=PATIENCE)
    # Who is killed while writing leaves a draft, which `featcache gc` deletes.
    left = tree(order.cache).items()
    there = {name: each for name, each in left if not DRAFT.fullmatch(Path(name).name)}
    plain = tree(here(order))
    assert sorted(there) == sorted(plain)
    assert [name for name in plain if there[name] != plain[name]] == []


def _listed(cache: Path) -> bool:
    entries = FeatureCache(cache).entries()
    return any("start" in record for e in entries for record in e.manifest["shards"].values())
