"""A driver whose workers take their time over each unit, to be killed on the way.

python slow_motion.py ENGINE PICTURES CACHE JOBS
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

ROWS, SECONDS = 4, 0.5  # of a unit


def slowly() -> None:
    """Make units small, and their writing slow, in this process."""
    from featcache.encoding import plan
    from featcache.encoding.writing import UnitWriter

    write = UnitWriter.write

    def slow(self: UnitWriter, unit: Any, features: Any) -> None:
        write(self, unit, features)
        time.sleep(SECONDS)

    UnitWriter.write = slow  # type: ignore[method-assign]
    plan.SHARD_ROWS = ROWS


if __name__ == "__main__":
    from featcache.encoding.encode import Request
    from featcache.encoding.order import Order, read
    from featcache.encoding.report import Report
    from featcache.encoding.spreading import engine, spread
    from featcache.engines.options import EngineOptions
    from featcache.pictures.views import ViewRecipe

    name, pictures, cache, jobs = sys.argv[1:]
    room: Any = import_module(f"featcache.encoding.engines.{name}")
    # What a script says of itself travels to its workers whole.
    if name == "slurm":

        class Slow(room._Part):  # type: ignore[misc]
            def __call__(self, order: Any, part: Any) -> Any:
                slowly()
                return super().__call__(order, part)

        room._Part = Slow
    else:
        do = room._part

        def slow_part(order: Any, part: Any) -> Any:
            slowly()
            return do(order, part)

        room._part = slow_part
    slowly()
    order = Order(pictures, Path(cache), device="cpu", request=Request(views=ViewRecipe(2)))
    slurm = {"cluster": "local"} if name == "slurm" else {}
    options = EngineOptions(
        name, int(jobs), "cpu", folder=Path(cache).with_name("slurm"), slurm=slurm
    )
    working = engine(options)
    try:
        ((report,),) = spread(order, [data for data, _ in read(order)], working)
    finally:
        working.close()
    sys.exit(0 if isinstance(report, Report) and report.entry.complete else str(report))
