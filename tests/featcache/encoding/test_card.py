"""The way by a card, walked on a CPU: near features, in their rows, in an entry of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from featcache import FeatureCache, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.datasets.dataset import Dataset, Item
from featcache.encoding import batches, card, encode
from featcache.encoding.decoding.crops import Coded
from featcache.errors import BackboneError, ConfigError
from featcache.pictures.card import on_card
from tests.featcache.encoding.noise import VIEWS, Noise
from tests.featcache.pictures.test_card import jpeg


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Jpegs in colour; one in grey, a made one, and one that is cut."""
    items = []
    for i in range(20):
        path = tmp_path / f"{i}.jpg"
        path.write_bytes(jpeg(30 + i, 40, "L" if i == 3 else "RGB"))
        items.append(Item(path.name, path, i % 2))
    items.append(Item("made", Noise(3), 0))
    (tmp_path / "7.jpg").write_bytes(jpeg(80, 90)[:900])
    return Dataset("mixed", ("a", "b"), {"train": tuple(items)})


def test_features_are_near_and_in_their_rows(
    tiny: Backbone, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "_on_card", lambda b: replace(b, preprocess=on_card(b.preprocess)))
    cache = FeatureCache(tmp_path / "cache")
    here = encode_dataset(data, tiny, cache, views=VIEWS).entry
    there = encode_dataset(data, tiny, cache, views=VIEWS, decode_in="card").entry
    assert here.key != there.key
    assert "nvjpeg" in there.manifest["backbone"]["preprocess"]["decoder"]
    one, other = here.images("train"), there.images("train")
    assert one.reason == other.reason
    assert np.flatnonzero(~other.valid).tolist() == [7]
    lengths = np.linalg.norm(one.embedding, axis=1)
    apart = np.linalg.norm(one.embedding - other.embedding, axis=1)
    assert (apart[one.valid] < 0.02 * lengths[one.valid]).all()
    rows = np.flatnonzero(one.valid)
    views = here.views("train", rows), there.views("train", rows)
    assert views[0] is not None
    assert views[1] is not None
    assert np.abs(views[0] - views[1]).max() < 0.02 * lengths.max()
    again = encode_dataset(data, tiny, cache, views=VIEWS, decode_in="card")
    assert again.crops == 0


def test_one_that_the_card_refuses_costs_no_other(
    tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder of many says that one is damaged, not which: the CPU tells."""
    whole = jpeg(40, 50)
    damaged = whole[:200] + b"\xff\xd9"
    backbone = replace(tiny, preprocess=on_card(tiny.preprocess))
    contents = (np.frombuffer(content, np.uint8).copy() for content in (whole, damaged, whole))
    coded = [Coded(content, True, [], 2000) for content in contents]
    first, bad, last = card.squares(coded, backbone)
    assert bad[0] is None
    assert "damaged" in bad[2]
    assert first[0] is not None
    assert last[0] is not None
    assert torch.equal(first[0], last[0])
    assert list(card.squares([], backbone)) == []


def test_without_room_for_all_they_are_made_by_halves(
    tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = replace(tiny, preprocess=on_card(tiny.preprocess))
    contents = [np.frombuffer(jpeg(30 + i, 40), np.uint8).copy() for i in range(7)]
    coded = [Coded(each, True, [], 1200) for each in contents]
    wanted, decode_all, room = card.squares(coded, backbone), card.card.decode_all, [2]

    def little(contents: list[torch.Tensor], device: torch.device) -> list[torch.Tensor]:
        if len(contents) > room[0]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return decode_all(contents, device)

    monkeypatch.setattr(card.card, "decode_all", little)
    for (one, _, _), (other, _, _) in zip(card.squares(coded, backbone), wanted, strict=True):
        assert one is not None
        assert other is not None
        assert torch.equal(one, other)
    room[0] = 0
    with pytest.raises(BackboneError, match="no room to decode a single picture"):
        card.squares(coded, backbone)


def test_large_pictures_are_few_together(
    tiny: Backbone, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together: list[int] = []
    squares = card.squares
    monkeypatch.setattr(encode, "_on_card", lambda b: replace(b, preprocess=on_card(b.preprocess)))
    monkeypatch.setattr(
        batches, "squares", lambda coded, b: together.append(len(coded)) or squares(coded, b)
    )
    monkeypatch.setattr(batches, "PIXELS_TOGETHER", 4 * 40 * 40)
    encode_dataset(data, tiny, FeatureCache(tmp_path / "cache"), decode_in="card")
    assert 2 <= max(together) <= 5


def test_without_a_card_it_is_refused(tiny: Backbone, data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pictures are decoded on a card by CUDA alone"):
        encode_dataset(data, tiny, FeatureCache(tmp_path / "cache"), decode_in="card")
