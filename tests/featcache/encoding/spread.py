"""What tests of engines share: few pictures in many units, an engine in this process, trees."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from featcache.encoding.encode import Request
from featcache.encoding.order import Order, encode, load, read
from featcache.encoding.spreading import Lost, Part, Reports, part_of
from featcache.pictures.digest import YOUNG
from featcache.pictures.views import ViewRecipe
from tests.featcache.encoding.folder import folder

Answer = Reports | Exception | Lost


def order_of(path: Path, cache: str = "spread", backbone: str = "demo") -> Order:
    """An order for 26 pictures, 16 of them with two views."""
    pictures = path / "pictures"
    if not pictures.exists():
        folder(pictures)
    views = Request(views=ViewRecipe(2))
    return Order(str(pictures), path / cache, (backbone,), device="cpu", request=views)


def aged(order: Order) -> Order:
    """The order, once its pictures are old enough for their times to say that they are the same."""
    newest = max(p.stat().st_ctime_ns for p in Path(order.dataset).rglob("*"))
    while (left := newest + YOUNG - time.time_ns()) >= 0:
        time.sleep(left / 1e9 + 0.01)
    return order


def here(order: Order, cache: str = "plain") -> Path:
    """The cache that a plain encode of the order gives."""
    order = replace(order, cache=order.cache.with_name(cache))
    ((data, bank),) = read(order)
    reports = encode(order, data, bank, [load(order, name) for name in order.backbones])
    assert not [each for each in reports if isinstance(each, Exception)]
    return order.cache


def tree(path: Path) -> dict[str, bytes]:
    """All that lies below a folder."""
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


class Here:
    """An engine of this process; `before` may lose a part, in place of which it is then told."""

    def __init__(
        self, workers: int, before: Callable[[Part], Lost | None] = lambda part: None
    ) -> None:
        self.workers = workers
        self.before = before
        self.asked = list[Part]()

    def run(self, order: Order, parts: Sequence[Part]) -> Iterator[tuple[Part, Answer]]:
        """The last part first: they end in any order."""
        for part in reversed(parts):
            self.asked.append(part)
            yield part, self.before(part) or part_of(order, part)

    def close(self) -> None:
        """There is nothing to stop."""
