"""Batches that have no room are halved, said so, and give what they would have given."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from featcache import FeatureCache, encode_dataset
from featcache.backbones import compiling
from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import encode_pictures, features_of
from featcache.encoding import staging
from featcache.encoding.batches import Batches
from featcache.encoding.staging import Staging
from featcache.errors import BackboneError
from tests.featcache.encoding.noise import VIEWS, files, noise
from tests.featcache.encoding.test_batches import squares


def with_room_for(most: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A device on which no more pictures than that have room at once; the batches that did."""
    done: list[int] = []

    def features(backbone: Backbone, batch: torch.Tensor, *rest: Any) -> dict[str, torch.Tensor]:
        if len(batch) > most:
            raise torch.OutOfMemoryError("out of memory")
        done.append(len(batch))
        return features_of(backbone, batch, *rest)

    monkeypatch.setattr(staging, "features_of", features)
    return done


def test_a_batch_without_room_is_halved(tiny: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    done, crops = with_room_for(3, monkeypatch), squares(15)
    staged = Staging(tiny, 16)
    buffer = staged.take()
    buffer.pixels[:15] = crops
    made = staged.run(buffer, 15)
    np.testing.assert_allclose(made.features["embedding"], encode_pictures(tiny, crops), atol=1e-5)
    assert done == [2] * 7 + [1]
    assert staged.size == 2
    assert [note.split(";")[1].strip()[:2] for note in staged.notes] == ["8 ", "4 ", "2 "]


@pytest.mark.parametrize(("count", "size"), [(15, 4), (11, 4), (7, 8), (16, 5), (1, 16)])
def test_a_batch_that_was_begun_before_the_halving_is_whole_on_the_device(
    tiny: Backbone, count: int, size: int
) -> None:
    staged, crops = Staging(tiny, 16), squares(count)
    buffer = staged.take()
    apart = staging.Buffer(buffer.host, torch.full_like(buffer.host, 7))
    apart.pixels[:count] = crops
    staged.size = size
    made = staged.run(apart, count)
    np.testing.assert_allclose(made.features["embedding"], encode_pictures(tiny, crops), atol=1e-5)


def test_without_room_for_a_single_picture_there_is_a_way_out(
    tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_room_for(0, monkeypatch)
    staged = Staging(tiny, 2)
    with pytest.raises(BackboneError, match="no room on cpu for a single picture; make room"):
        staged.run(staged.take(), 1)


def test_an_entry_made_with_little_room_is_whole_and_says_so(
    tiny: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = encode_dataset(noise(40, 6), tiny, FeatureCache(tmp_path / "a"), batch_size=16).entry
    with_room_for(5, monkeypatch)
    report = encode_dataset(noise(40, 6), tiny, FeatureCache(tmp_path / "b"), batch_size=16)
    assert report.entry.complete
    assert "4 at a time from there on (--batch-size 4)" in report.notes[1]
    for split in wanted.splits:
        np.testing.assert_allclose(
            report.entry.images(split).embedding, wanted.images(split).embedding, atol=2e-3
        )


def test_whole_batches_are_compiled_and_others_are_not(
    tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[tuple[int, bool]] = []

    def features(b: Backbone, batch: torch.Tensor, extras: Any, model: Any = None) -> Any:
        used.append((len(batch), model is not None))
        return features_of(b, batch, extras, model)

    monkeypatch.setattr(staging, "features_of", features)
    monkeypatch.setattr(compiling, "compiled", lambda model: model)
    staged = Staging(tiny, 8, compiled=True)
    for count in (8, 3):
        staged.run(staged.take(), count)
    assert used == [(8, True), (3, False)]


def test_a_tower_that_cannot_be_compiled_runs_as_it_is(
    tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(torch.nn.Module):
        def encode_image(self, *_: Any, **__: Any) -> torch.Tensor:
            raise NotImplementedError("no compiler")

    monkeypatch.setattr(compiling, "compiled", lambda model: Broken())
    staged, crops = Staging(tiny, 4, compiled=True), squares(4)
    for _ in range(2):
        buffer = staged.take()
        buffer.pixels[:] = crops
        if staged._compiled is not None:
            with pytest.warns(UserWarning, match="no compiler"):
                made = staged.run(buffer, 4)
        else:
            made = staged.run(buffer, 4)
        np.testing.assert_allclose(
            made.features["embedding"], encode_pictures(tiny, crops), atol=1e-5
        )


class Mark:
    """An event; who waits for the n-th of them knows that all before have passed."""

    marks: list[Mark] = []  # noqa: RUF012

    def __init__(self) -> None:
        self.recorded = self.waited = False
        Mark.marks.append(self)

    def record(self, stream: Any) -> None:
        self.recorded = True

    def synchronize(self) -> None:
        assert self.recorded
        self.waited = True

    def elapsed_time(self, other: Mark) -> float:
        return 1000.0


class Stream:
    """A stream of a device whose batches are done when somebody waits for them."""

    def wait_stream(self, other: Stream) -> None:
        assert other is not self


def ahead(tiny: Backbone, size: int, patch: pytest.MonkeyPatch) -> Staging:
    """The path of CUDA with everything of CUDA but the device itself made up."""
    Mark.marks.clear()
    empty = torch.empty
    patch.setattr(torch, "empty", lambda *a, pin_memory=False, **k: empty(*a, **k))
    patch.setattr(staging, "_event", Mark)
    patch.setattr(staging, "_stream", lambda device: Stream())
    patch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    patch.setattr(torch.cuda, "current_stream", lambda device: Stream())
    staged = Staging(tiny, size)
    staged.overlaps = True
    return staged


def test_a_device_that_works_ahead_gives_the_same_and_is_waited_for_in_time(
    tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    crops = squares(40)
    wanted = {"embedding": np.zeros((40, 32), np.float32)}
    found = {"embedding": np.zeros((40, 32), np.float32)}
    for out, staged in ((wanted, Staging(tiny, 4)), (found, ahead(tiny, 4, monkeypatch))):
        batches = Batches(staged, out)
        for row, crop in enumerate(crops):
            batches.add(row, crop)
        batches.flush()
        if staged.overlaps:
            # Nothing came back so far, and no more batches were under way than have buffers.
            assert not found["embedding"].any()
            ends = Mark.marks[1::2]
            assert [mark.waited for mark in ends] == [True] * 5 + [False] * 5
        batches.collect()
    np.testing.assert_array_equal(found["embedding"], wanted["embedding"])
    assert batches.seconds == 10
    assert all(mark.waited for mark in Mark.marks[1::2])


def test_a_run_on_a_device_that_works_ahead_is_the_same_entry(
    tiny: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extras = ["pre-projection", "patches"]
    caches = FeatureCache(tmp_path / "here"), FeatureCache(tmp_path / "there")
    encode_dataset(noise(40, 6), tiny, caches[0], views=VIEWS, extras=extras, batch_size=8)
    made = ahead(tiny, 8, monkeypatch)
    monkeypatch.setattr("featcache.encoding.encode.Staging", lambda *_: made)
    report = encode_dataset(noise(40, 6), tiny, caches[1], views=VIEWS, extras=extras, batch_size=8)
    assert files(caches[0]) == files(caches[1])
    assert report.seconds["forward"] > 1
