"""Batches of one shape: features land in their rows, whatever the size of a batch."""

from __future__ import annotations

import numpy as np
import pytest

from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import encode_pictures
from featcache.encoding.batches import Batches, UnitEncoder, feature_shapes
from featcache.encoding.crops import Crops
from featcache.encoding.plan import Unit
from featcache.encoding.report import Report
from featcache.errors import UnknownNameError
from featcache.store.entry import Entry


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
    batches = Batches(tiny, out, size)
    rows = [4, 0, 5, 1, 2]
    for row, crop in zip(rows, crops, strict=True):
        batches.add(row, crop)
    assert batches.done == full
    batches.flush()
    batches.flush()
    assert batches.done == 5
    assert batches.seconds > 0
    np.testing.assert_allclose(out["embedding"][rows], encode_pictures(tiny, crops), atol=1e-5)
    assert not out["embedding"][3].any()


def test_a_batch_is_padded_so_that_its_numbers_do_not_depend_on_the_last(tiny: Backbone) -> None:
    crops = squares(3)
    alone, after = ({"embedding": np.zeros((1, 32), np.float32)} for _ in range(2))
    Batches(tiny, alone, 2).add(0, crops[2])
    one = Batches(tiny, alone, 2)
    one.add(0, crops[2])
    one.flush()
    other = Batches(tiny, {"embedding": np.zeros((3, 32), np.float32)}, 2)
    for row, crop in enumerate(crops):
        other.add(row, crop)
    other.out = after
    other.rows = [0]
    other.flush()
    np.testing.assert_array_equal(alone["embedding"], after["embedding"])


def test_a_unit_has_its_rows_and_its_views(tiny: Backbone, tmp_path: object) -> None:
    unit = Unit("train", 10, 13, ("embedding",), ("embedding",), (10, 12))
    pictures = squares(7)
    given = iter(
        [
            Crops(pictures[0], [pictures[1], pictures[2]], "", 1.0, 2.0),
            Crops(None, [], "is empty.", 1.0, 2.0),
            Crops(pictures[3], [pictures[4], pictures[5]], "", 1.0, 2.0),
        ]
    )
    report = Report(Entry.__new__(Entry), crops=100)
    told: list[int] = []
    encoder = UnitEncoder(tiny, feature_shapes(tiny, ()), 2, 4)
    found = encoder.features(unit, given, report, told.append)
    assert found.reasons == ["", "is empty.", ""]
    wanted = encode_pictures(tiny, pictures)
    centre, views = found.centre["embedding"], found.views["embedding"]
    np.testing.assert_allclose(centre[[0, 2]], wanted[[0, 3]], atol=1e-5)
    assert not centre[1].any()
    assert views.shape == (2, 2, 32)
    np.testing.assert_allclose(views.reshape(4, 32), wanted[[1, 2, 4, 5]], atol=1e-5)
    assert (report.seconds["read"], report.seconds["decode"]) == (3.0, 6.0)
    assert report.seconds["forward"] > 0
    assert report.crops == 100 + 2 + 4
    assert told == sorted(told)
    assert told[-1] <= 6
    assert found.digests == ["", "", ""]


def test_patches_are_half_floats_from_the_start(tiny: Backbone) -> None:
    unit = Unit("train", 0, 1, ("embedding", "patches"), (), ())
    encoder = UnitEncoder(tiny, feature_shapes(tiny, ["patches"]), 0, 4)
    report = Report(Entry.__new__(Entry))
    crops = iter([Crops(squares(1)[0], [], "", 0.0, 0.0)])
    found = encoder.features(unit, crops, report, lambda _: None)
    assert found.centre["patches"].dtype == np.float16
    assert found.centre["patches"].shape == (1, 16, 32)
    assert found.centre["embedding"].dtype == np.float32
