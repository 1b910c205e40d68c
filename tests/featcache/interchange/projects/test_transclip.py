"""TransCLIP: views first, pictures first, or one view; told from Tip-Adapter by the axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featcache.errors import ImportRefusedError
from featcache.interchange.offer import Said, look
from tests.entries import NARROW
from tests.featcache.interchange import layouts


@pytest.mark.parametrize(("views", "told"), [(0, "mean"), (1, "mean"), (3, "stacked")])
def test_views_are_told_by_the_axes(tmp_path: Path, views: int, told: str) -> None:
    held = layouts.transclip(tmp_path, views)
    offer = look([tmp_path], "pets", NARROW, Said())
    assert (offer.project, offer.taken.views) == ("transclip", told)
    np.testing.assert_array_equal(offer.taken.supports[0].features, held.supports[2, None][0])
    assert offer.taken.classes == layouts.CLASSES
    assert len(offer.taken.remarks) == (told == "mean")


def test_other_numbers_of_pictures_and_labels_are_refused(tmp_path: Path) -> None:
    held = layouts.transclip(tmp_path)
    layouts.save(held.folder / "values_2shots.pt", layouts.one_hot(layouts.drawn(1)))
    with pytest.raises(ImportRefusedError, match=r"has 5 rows"):
        look([tmp_path], "pets", NARROW, Said())


def test_the_format_can_be_said(tmp_path: Path) -> None:
    """Where nothing tells pictures from numbers, neither project claims the files."""
    y = layouts.drawn()
    layouts.save(tmp_path / "keys_2shots.pt", np.ones((10, 10)))
    layouts.save(tmp_path / "values_2shots.pt", layouts.one_hot(y))
    assert look([tmp_path], "pets", NARROW, Said()).project == "plain"
    with pytest.raises(ImportRefusedError, match="nothing tells which axis"):
        look([tmp_path], "pets", NARROW, Said(format="transclip"))
