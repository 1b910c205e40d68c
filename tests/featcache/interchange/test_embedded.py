"""Support sets as shards: rows by picture, as many files as they need."""

from __future__ import annotations

import numpy as np
import pytest

from featcache.backbones.names import parse
from featcache.errors import ImportRefusedError
from featcache.interchange.embedded import embedded, support_shards
from featcache.interchange.taken import Drawn
from tests.entries import NARROW
from tests.featcache.interchange.layouts import cloud, drawn

SET = Drawn(2, 3, cloud(drawn(2), 0, views=3), drawn(2))


def test_large_sets_are_several_shards() -> None:
    (each,), projection = embedded([SET], parse(NARROW, None), 16)
    assert projection is None
    shards = list(support_shards(each, 12))
    assert [s.name for s in shards] == [f"support-k2-s3-0000{i}.h5" for i in range(3)]
    assert [(s.record["start"], s.record["stop"]) for s in shards] == [(0, 4), (4, 8), (8, 10)]
    whole = np.concatenate([s.arrays["embedding"] for s in shards])
    np.testing.assert_array_equal(whole, SET.features.astype(np.float16).transpose(1, 0, 2))
    assert shards[1].arrays["id"][0] == b"k2-s3/000004"
    assert {s.record["seed"] for s in shards} == {3}


def test_what_half_precision_would_lose_is_kept() -> None:
    (each,), _ = embedded([Drawn(2, 3, SET.features * 1e6, SET.labels)], parse(NARROW, None), 16)
    assert each.embedding.dtype == np.float32


def test_all_embeddings_are_of_one_width() -> None:
    name = parse(NARROW, None)
    narrow = Drawn(2, 4, SET.features[..., 1:], SET.labels)
    for sets, width in (([SET, narrow], 0), ([SET], 15)):
        with pytest.raises(ImportRefusedError, match="15 and 16 wide"):
            embedded(sets, name, width)
    assert len(embedded([SET], name, 0)[0]) == 1
