"""What half precision cannot hold is a bad picture, or an error where an extra is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featcache import FeatureCache
from featcache.backbones.backbone import Backbone
from featcache.encoding.batches import Features
from featcache.encoding.identity import find_entry
from featcache.encoding.plan import NO_VIEWS, Unit, announce
from featcache.encoding.writing import UnitWriter, write_projection
from featcache.errors import BackboneError, CacheError
from featcache.pictures.digest import UNKNOWN
from featcache.store.entry import reload
from featcache.store.writing import Listing
from tests.featcache.encoding.noise import noise

HUGE = 1e9


@pytest.fixture
def writer(tmp_path: Path, tiny: Backbone) -> UnitWriter:
    entry = find_entry(noise(), tiny, FeatureCache(tmp_path)).entry
    entry = announce(entry, ["test"], NO_VIEWS, [])
    return UnitWriter(Listing(entry), noise(), "net", "set", frozenset({"test/1"}))


def features(**arrays: np.ndarray) -> Features:
    centre = {n.replace("_", "-"): a for n, a in arrays.items()}
    return Features(centre, {}, [""] * 21, ["ab"] * 21, [UNKNOWN] * 21)


def test_an_embedding_that_is_not_finite_is_a_bad_picture(writer: UnitWriter) -> None:
    embedding = np.ones((21, 32), np.float32)
    embedding[3, 4] = HUGE
    unit = Unit("test", 0, 21, ("embedding",), (), ())
    found = features(embedding=embedding)
    found.reasons[5] = "is empty."
    writer.write(unit, found)
    images = reload(writer.entry).images("test")
    assert np.flatnonzero(~images.valid).tolist() == [1, 3, 5]
    assert not images.embedding[3].any()
    assert images.reason[3] == "its embedding is not finite"
    assert images.reason[5] == "is empty."
    assert images.id[:2] == ("test/0", "test/1")
    record = reload(writer.entry).manifest["shards"]["images-test-00000.h5"]
    assert record["bad"] == 3


def test_an_extra_that_is_not_finite_is_refused_but_not_of_bad_pictures(
    writer: UnitWriter,
) -> None:
    unit = Unit("test", 0, 21, ("pre-projection",), (), ())
    values = np.ones((21, 8), np.float32)
    values[1] = HUGE  # a picture that is known to be bad
    writer.write(unit, features(pre_projection=values))
    held = reload(writer.entry).extra("pre-projection", "test", np.array([0, 1]))
    assert held is not None
    assert held.tolist() == [[1] * 8, [0] * 8]
    values[2] = HUGE
    with pytest.raises(BackboneError) as error:
        writer.write(unit, features(pre_projection=values))
    assert str(error.value) == (
        "net gave pre-projection features of noise that half precision cannot hold; "
        "encode without --extra pre-projection."
    )


def test_a_picture_lost_since_is_named(writer: UnitWriter) -> None:
    unit = Unit("test", 0, 21, ("patches",), (), ())
    found = features(patches=np.zeros((21, 2, 3), np.float16))
    found.reasons[1] = "known"
    writer.write(unit, found)
    found.reasons[2] = "is gone"
    with pytest.raises(CacheError) as error:
        writer.write(unit, found)
    assert str(error.value) == (
        "the picture test/2 of noise could be read when it was embedded and cannot now "
        "(is gone); mend it and run again."
    )


def test_views_of_bad_pictures_are_left_out(writer: UnitWriter) -> None:
    unit = Unit("train", 0, 32, (), ("embedding",), (1, 4, 7))
    stack = np.arange(3 * 2 * 32, dtype=np.float32).reshape(3, 2, 32)
    writer.write(
        unit, Features({}, {"embedding": stack}, ["", "is empty.", ""], [""] * 3, [UNKNOWN] * 3)
    )
    record = reload(writer.entry).manifest["shards"]["views-train-set-00000.h5"]
    assert list(record) == ["kind", "split", "start", "stop", "set", "bytes", "sha256", "sums"]
    from featcache.store import shard

    held = shard.read(writer.entry.folder / "views-train-set-00000.h5")
    assert held["row"].tolist() == [1, 7]
    np.testing.assert_array_equal(held["embedding"], stack[[0, 2]].astype(np.float16))


def test_the_projection_is_written_once(writer: UnitWriter, tiny: Backbone) -> None:
    write_projection(writer.entry, tiny)
    entry = reload(writer.entry)
    before = (entry.folder / "projection.h5").stat().st_mtime_ns
    write_projection(entry, tiny)
    assert (entry.folder / "projection.h5").stat().st_mtime_ns == before
    projection = entry.projection()
    assert projection is not None
    assert projection.weight.shape == (32, 32)
