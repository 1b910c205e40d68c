"""Parts of one encode, done by an engine of this process: the bytes of a plain one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from featcache import load_backbone
from featcache.backbones.backbone import Backbone
from featcache.encoding import plan, spreading
from featcache.encoding.encode import Request
from featcache.encoding.order import Order, read
from featcache.encoding.report import Report
from featcache.encoding.spreading import Lost, engine, part_of, spread
from featcache.encoding.writing import UnitWriter
from featcache.engines.options import EngineOptions
from featcache.errors import CacheError, FeatcacheError, UnknownNameError
from featcache.pictures import digest
from featcache.store.cache import FeatureCache
from tests.featcache.encoding import spread as shared
from tests.featcache.encoding.folder import paint
from tests.featcache.encoding.spread import Here, here, order_of, tree


@pytest.fixture(autouse=True)
def many_units(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Four units, one and two; models are loaded once."""
    monkeypatch.setattr(plan, "SHARD_ROWS", 4)
    monkeypatch.setattr(digest, "YOUNG", -(10**18))  # what was just made counts as old
    monkeypatch.chdir(tmp_path)  # a worker goes where the order is from
    for room in (spreading, shared):
        monkeypatch.setattr(room, "load", loaded)


@cache
def _loaded(name: str, precision: str) -> Backbone:
    return load_backbone(name, device="cpu", precision=precision)


def loaded(order: Order, name: str) -> Backbone:
    return _loaded(name, order.precision)


@pytest.fixture
def order(tmp_path: Path, tiny_folder: Path) -> Order:
    return order_of(tmp_path, backbone=f"local-dir:{tiny_folder}")


def done(order: Order, engine: Here) -> Report:
    ((report,),) = spread(order, [data for data, _ in read(order)], engine)
    if isinstance(report, Exception):
        raise report
    return report


@pytest.mark.parametrize("workers", [3, 50])
def test_parts_give_the_bytes_of_a_plain_encode(order: Order, workers: int) -> None:
    working = Here(workers)
    told = done(order, working)
    assert len(working.asked) == min(workers, 7)
    assert (told.encoded, told.skipped, told.crops, told.prompts) == (26, 0, 58, 2)
    assert told.entry.complete
    assert tree(order.cache) == tree(here(order))
    again = done(order, working)
    assert (again.encoded, again.skipped, again.crops, again.prompts) == (0, 26, 0, 0)


def test_several_backbones_are_an_entry_each(order: Order, tiny_folder: Path) -> None:
    order = replace(order, backbones=(*order.backbones, "demo"))
    ((data, _),) = read(order)
    ((one, two),) = spread(order, [data], Here(2))
    assert isinstance(one, Report)
    assert isinstance(two, Report)
    assert [each.entry.backbone for each in (one, two)] == [f"local-dir:{tiny_folder}", "demo"]
    assert tree(order.cache) == tree(here(order))


def test_a_part_that_is_lost_is_done_again(order: Order) -> None:
    """Also where it had written something, and where somebody else has done it meanwhile."""
    once = [(2, 3), (3, 3)]

    def before(part: Any) -> Lost | None:
        if part not in once:
            return None
        once.remove(part)
        if part == (2, 3):
            part_of(order, part)
        return Lost("killed")

    working = Here(3, before)
    assert done(order, working).entry.complete
    assert working.asked == [(3, 3), (2, 3), (1, 3), (2, 3), (3, 3)]
    assert tree(order.cache) == tree(here(order))


def test_a_part_that_kills_its_worker_twice_is_named(order: Order) -> None:
    working = Here(3, lambda part: Lost("its log is x") if part == (2, 3) else None)
    with pytest.raises(
        CacheError, match=r"part 2 of 3 was lost 2 times: .*its log is x.*run the s"
    ):
        done(order, working)
    assert not FeatureCache(order.cache).entries()[0].complete
    assert done(order, Here(3)).entry.complete
    assert tree(order.cache) == tree(here(order))


def test_what_stops_a_part_is_told_with_it_and_the_others_are_done(
    order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = UnitWriter.write

    def refuse(self: UnitWriter, unit: Any, features: Any) -> None:
        if unit.split == "val":
            raise CacheError("the disk is full; make room.")
        write(self, unit, features)

    with monkeypatch.context() as patched:
        patched.setattr(UnitWriter, "write", refuse)
        with pytest.raises(FeatcacheError, match=r"part 2 of 3: the disk is full; make room\."):
            done(order, Here(3))
    assert done(order, Here(3)).encoded == 4
    assert tree(order.cache) == tree(here(order))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FeatcacheError("no such model."), "part 1 of 2: no such model."),
        (RuntimeError("CUDA"), r"part 1 of 2 failed \(RuntimeError: CUDA\); mend .* run the same"),
    ],
)
def test_what_stops_all_of_it_is_told_once(
    order: Order, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def refuse(*given: Any, **words: Any) -> None:
        raise error

    monkeypatch.setattr(spreading, "load", refuse)
    working = Here(2)
    with pytest.raises(FeatcacheError, match=told):
        spread(order, [data for data, _ in read(order)], working)
    assert working.asked == [(2, 2), (1, 2)]


def test_bad_pictures_are_tried_again_once_each(order: Order) -> None:
    """A part does not take off the list what another part has just written."""
    spoilt = [Path(order.dataset, "train", name, "00.png") for name in ("ant", "bee")]
    for path in spoilt:
        path.write_bytes(b"no picture")
    assert [bad for bad, _ in done(order, Here(3)).bad] == ["train/ant/00.png", "train/bee/00.png"]
    again = replace(order, request=replace(order.request, retry_bad=True))
    told = done(again, Here(3))
    assert told.entry.complete
    assert len(told.bad) == 2
    assert told.encoded == 8


def test_an_entry_is_brought_up_to_date_once(order: Order) -> None:
    """What no longer fits is set aside by the first part, and done away with at the end."""
    done(order, Here(3))
    here(order)
    paint(Path(order.dataset, "train", "ant", "00.png"), 99)
    told = done(order, Here(3))
    assert (told.encoded, told.taken) == (1, 3)
    assert told.notes == [f"{told.entry.key} was brought up to date; its older state is gone."]
    assert tree(order.cache) == tree(here(order))


def test_workers_that_write_into_two_entries_are_told(
    order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    def precision(part: Any) -> None:
        kind = "bf16" if part == (1, 2) else "fp32"
        monkeypatch.setattr(spreading, "load", lambda order, name: _loaded(name, kind))

    with pytest.raises(CacheError, match=r"some workers wrote .* say --device and --precision"):
        done(order, Here(2, precision))


def test_an_engine_that_is_not_there_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown engine 'cloud'; known are: local, ray, sl"):
        engine(EngineOptions("cloud"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"backbones": ("ViT-B/16", "nosuch")}, "unknown backbone 'nosuch'"),
        ({"request": Request(splits=["train", "tset"])}, "has no split 'tset'"),
    ],
)
def test_what_no_part_could_do_is_refused_before_any_is_handed_out(
    order: Order, change: dict[str, Any], says: str
) -> None:
    class Unasked(Here):
        def run(self, *_: Any) -> Any:
            raise AssertionError

    order = replace(order, **change)
    with pytest.raises(FeatcacheError, match=says):
        spread(order, [data for data, _ in read(order)], Unasked(2))
