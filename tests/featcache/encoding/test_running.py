"""Several backbones, one decode: each entry is as it is alone; one that fails stops no other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from featcache import FeatureCache, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.datasets.dataset import Dataset, Item
from featcache.encoding.encode import Request, encode_together
from featcache.encoding.report import Report
from featcache.errors import BackboneError
from tests.featcache.encoding.noise import VIEWS, Noise, noise, spoil

EXTRA = ["pre-projection"]
SMALL = noise(train=42, rest=6)
REQUEST = Request(views=VIEWS, extras=EXTRA, batch_size=16)
ASKED: Counter[int] = Counter()


@dataclass(frozen=True)
class Counted(Noise):
    """Noise that says how often it was decoded."""

    def pixels(self) -> NDArray[np.uint8]:
        ASKED[self.seed] += 1
        return super().pixels()


def counted() -> Dataset:
    splits = {
        split: tuple(replace(item, source=Counted(item.source.seed)) for item in items)  # type: ignore[union-attr]
        for split, items in SMALL.splits.items()
    }
    return replace(SMALL, splits=splits)


@pytest.fixture
def both(tiny: Backbone) -> list[Backbone]:
    """Two backbones, the second with larger pictures in another range."""
    other = replace(
        tiny,
        slug="other",
        fingerprint="other",
        preprocess=replace(tiny.preprocess, mean=(0.1, 0.2, 0.3), interpolation="bilinear"),
    )
    return [tiny, other]


def everything(cache: FeatureCache) -> dict[str, bytes]:
    paths = [p for p in cache.root.rglob("*") if p.is_file() and p.name != ".lock"]
    return {str(p.relative_to(cache.root)): p.read_bytes() for p in paths}


def test_entries_are_those_of_separate_runs_and_pictures_are_decoded_once(
    tmp_path: Path, both: list[Backbone]
) -> None:
    data = counted()
    apart, together = FeatureCache(tmp_path / "apart"), FeatureCache(tmp_path / "together")
    for backbone in both:
        encode_dataset(data, backbone, apart, views=VIEWS, extras=EXTRA, batch_size=16)
    encode_dataset(data, both[1], together, part=(3, 4), views=VIEWS, extras=EXTRA, batch_size=16)
    ASKED.clear()
    steps: list[tuple[int, int]] = []
    reports = encode_together(
        data, both, together, REQUEST, progress=lambda *now: steps.append(now)
    )
    assert everything(together) == everything(apart)
    first, second = reports
    assert isinstance(first, Report)
    assert isinstance(second, Report)
    assert (first.encoded, second.encoded, second.skipped) == (54, 48, 6)
    assert steps == sorted(steps)
    assert steps[-1] == (first.crops + second.crops,) * 2
    # Sixteen are looked at besides to find each entry, as pictures that are no files are.
    assert set(ASKED.values()) == {1, 3}
    assert sum(count == 3 for count in ASKED.values()) == 16


def test_bad_pictures_are_bad_for_all(tmp_path: Path, both: list[Backbone]) -> None:
    data, _ = spoil(SMALL, tmp_path)
    reports = encode_together(data, both, FeatureCache(tmp_path / "cache"), REQUEST)
    assert [r.bad[0][0] for r in reports if isinstance(r, Report)] == ["train/40"] * 2


@pytest.mark.parametrize("where", ["model", "disk", "extras"])
def test_one_that_fails_leaves_the_others_right(
    tmp_path: Path, both: list[Backbone], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featcache.encoding import batches, running, staging

    alone, cache = FeatureCache(tmp_path / "alone"), FeatureCache(tmp_path / "cache")
    encode_dataset(SMALL, both[0], alone, views=VIEWS, extras=EXTRA, batch_size=16)

    def refuse(*_: object, **__: object) -> None:
        raise BackboneError("no more")

    broken = both[1]
    if where == "model":
        run = staging.Staging.run
        monkeypatch.setattr(
            batches.Staging,
            "run",
            lambda self, *rest: (refuse if self.backbone is broken else run.__get__(self))(*rest),
        )
    elif where == "disk":
        write = running.UnitWriter.write
        monkeypatch.setattr(
            running.UnitWriter,
            "write",
            lambda self, *rest: (
                refuse if "other" in str(self.entry.folder) else write.__get__(self)
            )(*rest),
        )
    else:
        monkeypatch.setattr(
            "featcache.encoding.encode.check_space",
            lambda entry, *_: refuse() if "other" in str(entry.folder) else None,
        )
    report, error = encode_together(SMALL, both, cache, REQUEST)
    assert isinstance(report, Report)
    assert isinstance(error, BackboneError)
    whole = everything(alone)
    assert {k: v for k, v in everything(cache).items() if "other" not in k} == whole
    monkeypatch.undo()
    again = encode_together(SMALL, both, cache, REQUEST)
    assert all(isinstance(each, Report) and each.entry.complete for each in again)


def test_what_is_written_is_listed_where_a_run_is_interrupted(
    tmp_path: Path, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where listing takes long, so that it is not done for each unit."""
    monkeypatch.setattr("featcache.encoding.plan.SHARD_ROWS", 8)
    monkeypatch.setattr("featcache.store.writing.SHORT", -1)
    monkeypatch.setattr("featcache.store.writing.RARELY", 1e9)

    def stop(done: int, total: int) -> None:
        if done > 40:
            raise KeyboardInterrupt

    cache = FeatureCache(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        encode_dataset(SMALL, tiny, cache, batch_size=8, progress=stop)
    report = encode_dataset(SMALL, tiny, cache, batch_size=8)
    assert report.entry.complete
    assert 24 <= report.skipped < 54


def test_nothing_to_do_is_nothing_read(tmp_path: Path, both: list[Backbone]) -> None:
    data, cache = counted(), FeatureCache(tmp_path)
    encode_together(data, both, cache, REQUEST)
    ASKED.clear()
    before = everything(cache)
    reports = encode_together(data, both, cache, REQUEST)
    assert [r.crops for r in reports if isinstance(r, Report)] == [0, 0]
    assert everything(cache) == before
    assert set(ASKED.values()) == {2}
    assert len(ASKED) == 16  # which are looked at to find each entry


def test_an_item_of_one_backbone_alone_is_read_for_that_one(
    tmp_path: Path, both: list[Backbone]
) -> None:
    one = Dataset("one", ("a", "b"), {"train": (Item("x", Noise(1), 0), Item("y", Noise(2), 1))})
    cache = FeatureCache(tmp_path)
    encode_dataset(one, both[0], cache, batch_size=16)
    first, second = encode_together(one, both, cache, Request(batch_size=16))
    assert isinstance(first, Report)
    assert isinstance(second, Report)
    assert (first.encoded, second.encoded) == (0, 2)
