"""Batches that have no room are halved, said so, and give what they would have given."""

from __future__ import annotations

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
from featcache.encoding.staging import Staging
from featcache.errors import BackboneError
from tests.featcache.encoding.noise import noise
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
    wanted = encode_dataset(noise(), tiny, FeatureCache(tmp_path / "a"), batch_size=16).entry
    with_room_for(5, monkeypatch)
    report = encode_dataset(noise(), tiny, FeatureCache(tmp_path / "b"), batch_size=16)
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
