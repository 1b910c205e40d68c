"""Batches of a few sizes: features land in their rows, whatever the size of a batch."""

from __future__ import annotations

import numpy as np
import pytest

from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import encode_pictures
from featcache.encoding.batches import Batches, UnitEncoder, feature_shapes
from featcache.encoding.decoding.crops import Crops
from featcache.encoding.plan import Unit
from featcache.encoding.staging import Staging
from featcache.errors import UnknownNameError


def squares(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def test_shapes_are_those_of_one_picture(tiny: Backbone) -> None:
    assert feature_shapes(tiny, ()) == {"embedding": (32,)}
    assert feature_shapes(tiny, ["patches", "pre-projection"]) == {
        "embedding": (32,),
        "patches": (16, 32),
        "pre-projection": (32,),
    }
    with pytest.raises(UnknownNameError, match="unknown extra feature"):
        feature_shapes(tiny, ["patch"])


@pytest.mark.parametrize(("size", "full"), [(1, 5), (2, 4), (5, 5), (8, 0)])
def test_features_land_in_their_rows(tiny: Backbone, size: int, full: int) -> None:
    crops, out = squares(5), {"embedding": np.zeros((6, 32), np.float32)}
    batches = Batches(Staging(tiny, size), out)
    rows = [4, 0, 5, 1, 2]
    for row, crop in zip(rows, crops, strict=True):
        batches.add(row, crop)
    assert batches.done == full
    batches.flush()
    batches.flush()
    batches.collect()
    assert batches.done == 5
    assert batches.seconds > 0
    np.testing.assert_allclose(out["embedding"][rows], encode_pictures(tiny, crops), atol=1e-5)
    assert not out["embedding"][3].any()


def test_numbers_do_not_depend_on_what_was_in_the_buffer_before(tiny: Backbone) -> None:
    crops, staging = squares(9), Staging(tiny, 8)
    alone, after = (np.zeros((9, 32), np.float32) for _ in range(2))
    for staged, out in (
        (Staging(tiny, 8), alone),
        (staging, np.zeros_like(after)),
        (staging, after),
    ):
        batches = Batches(staged, {"embedding": out})
        for row in range(9) if out is not alone else [8]:
            batches.add(row, crops[row])
        batches.flush()
    np.testing.assert_array_equal(alone[8], after[8])


UNIT = Unit("train", 10, 13, ("embedding",), ("embedding",), (10, 12))


def given(pictures: np.ndarray) -> list[Crops]:
    return [
        Crops(pictures[0], [pictures[1], pictures[2]], "", 1.0, 2.0),
        Crops(None, [], "is empty.", 1.0, 2.0),
        Crops(pictures[3], [pictures[4], pictures[5]], "", 1.0, 2.0),
    ]


def test_a_unit_has_its_rows_and_its_views(tiny: Backbone) -> None:
    pictures = squares(7)
    begun = UnitEncoder(Staging(tiny, 4), feature_shapes(tiny, ()), 2).begin(UNIT)
    told = []
    for crops in given(pictures):
        begun.add(crops)
        told.append(begun.done)
    begun.flush()
    found = begun.finish()
    assert found.reasons == ["", "is empty.", ""]
    wanted = encode_pictures(tiny, pictures)
    centre, views = found.centre["embedding"], found.views["embedding"]
    np.testing.assert_allclose(centre[[0, 2]], wanted[[0, 3]], atol=1e-5)
    assert not centre[1].any()
    assert views.shape == (2, 2, 32)
    np.testing.assert_allclose(views.reshape(4, 32), wanted[[1, 2, 4, 5]], atol=1e-5)
    assert begun.seconds > 0
    assert (told, begun.done, begun.taken) == ([0, 0, 4], 6, 0)
    assert found.digests == ["", "", ""]


def test_a_picture_that_stands_twice_in_a_unit_goes_through_the_model_once(tiny: Backbone) -> None:
    pictures = squares(4)
    unit = Unit("test", 0, 5, ("embedding", "pre-projection"), (), ())
    encoder = UnitEncoder(Staging(tiny, 4), feature_shapes(tiny, ["pre-projection"]), 0)
    begun = encoder.begin(unit)
    for which, digest in ((0, "a"), (1, "b"), (0, "a"), (2, ""), (3, "")):
        begun.add(Crops(pictures[which], [], "", 0.0, 0.0, digest))
    begun.flush()
    found = begun.finish()
    assert begun.done == 4
    wanted = encode_pictures(tiny, pictures)
    np.testing.assert_allclose(found.centre["embedding"], wanted[[0, 1, 0, 2, 3]], atol=1e-5)
    for array in found.centre.values():
        np.testing.assert_array_equal(array[0], array[2])
        assert array.any(axis=1).all()
    assert found.digests == ["a", "b", "a", "", ""]


def test_patches_are_half_floats_from_the_start(tiny: Backbone) -> None:
    unit = Unit("train", 0, 1, ("embedding", "patches"), (), ())
    encoder = UnitEncoder(Staging(tiny, 4), feature_shapes(tiny, ["patches"]), 0)
    begun = encoder.begin(unit)
    begun.add(Crops(squares(1)[0], [], "", 0.0, 0.0))
    begun.flush()
    found = begun.finish()
    assert found.centre["patches"].dtype == np.float16
    assert found.centre["patches"].shape == (1, 16, 32)
    assert found.centre["embedding"].dtype == np.float32
