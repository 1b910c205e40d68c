"""Sizes of batches: few of them, little padding, the same for whoever goes on with an entry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache import Entry, FeatureCache, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.encoding.sizes import PARTS, default_size, padded, size_of
from featcache.store.entry import reload
from tests.featcache.encoding.noise import VIEWS, files, noise


@given(st.integers(1, 600), st.data())
def test_a_batch_is_padded_by_less_than_an_eighth(size: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, size))
    found = padded(count, size)
    assert count <= found <= size
    assert found - count < -(-size // PARTS)
    assert len({padded(each, size) for each in range(1, size + 1)}) <= PARTS


@pytest.mark.parametrize(("side", "size"), [(32, 256), (64, 256), (224, 32), (336, 16), (900, 16)])
def test_on_a_cpu_larger_pictures_go_in_smaller_batches(
    tiny: Backbone, side: int, size: int
) -> None:
    assert default_size(replace(tiny, preprocess=replace(tiny.preprocess, size=side))) == size


def test_an_entry_keeps_the_size_that_it_was_begun_with(tmp_path: Path, tiny: Backbone) -> None:
    whole, parts = FeatureCache(tmp_path / "whole"), FeatureCache(tmp_path / "parts")
    first = encode_dataset(noise(40, 6), tiny, whole, views=VIEWS, batch_size=5)
    assert first.batch_size == 5
    assert first.entry.manifest["batch"] == {"cpu": 5}
    encode_dataset(noise(40, 6), tiny, parts, views=VIEWS, batch_size=5, part=(1, 2))
    assert encode_dataset(noise(40, 6), tiny, parts, views=VIEWS).batch_size == 5
    assert files(parts) == files(whole)
    # Where nothing is done, nothing is noted.
    encode_dataset(noise(40, 6), tiny, whole, views=VIEWS, batch_size=7)
    assert files(parts) == files(whole)


def test_of_two_that_begin_at_once_the_first_says_what_fits(tmp_path: Path, tiny: Backbone) -> None:
    """A worker beside this one may have found other memory free since the manifest was read."""
    entry = encode_dataset(noise(4, 6), tiny, FeatureCache(tmp_path), batch_size=5).entry
    before = Entry(entry.folder, {**entry.manifest, "batch": {}})
    assert size_of(before, tiny, None, work=True) == 5
    assert size_of(before, tiny, 9, work=True) == 9
    assert reload(entry).manifest["batch"] == {"cpu": 9}
