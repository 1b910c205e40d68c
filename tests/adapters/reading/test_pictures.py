"""Pictures of a split as tensors: those that could be read, with what was kept beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from adapters.reading import pictures
from featcache.errors import CacheError
from featcache.store.entry import PATCHES, PRE_PROJECTION
from tests import frozen
from tests.enriched import VIEWS, enriched
from tests.entries import make_entry


def test_its_own_records_stay_as_they_were_made() -> None:
    assert frozen.thawed(pictures) == []


def test_what_could_not_be_read_is_left_and_rows_are_counted_without(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, bad={"train": [0, 3]})
    found = pictures.valid(entry, "train", frozenset())
    kept = [row for row in range(entry.splits["train"]) if row not in (0, 3)]
    assert found.row.tolist() == kept
    raw = entry.images("train")
    some = pictures.labelled(found, np.array([2, 0]))
    assert some.x.tolist() == raw.embedding[[kept[2], kept[0]]].tolist()
    assert some.ids == (raw.id[kept[2]], raw.id[kept[0]])
    assert pictures.whole(found).labels.tolist() == raw.label[kept].tolist()
    assert found.where([1, 4]).tolist() == [0, 2]
    with pytest.raises(CacheError, match="lacks pictures of its own draws"):
        found.where([3])


@pytest.mark.parametrize("bad", [[], [0, 3]])
def test_a_large_split_stays_as_it_is_kept_and_is_the_same_once_widened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: list[int]
) -> None:
    entry = make_entry(tmp_path, bad={"test": bad} if bad else None)
    before = pictures.whole(pictures.valid(entry, "test", frozenset()))
    assert before.x.dtype == torch.float
    monkeypatch.setattr(pictures, "HALF", 2 * 8 * entry.splits["test"])
    after = pictures.whole(pictures.valid(entry, "test", frozenset()))
    assert after.x.dtype == torch.half
    assert torch.equal(after.query[:].x, before.x)
    assert torch.equal(after.query[2:5].x, before.x[2:5])
    monkeypatch.setattr(pictures, "HALF", 2 * 8 * entry.splits["test"] + 1)
    assert pictures.valid(entry, "test", frozenset()).held.embedding.dtype == np.float32


def test_a_support_has_its_centre_crop_first_and_no_extra_that_was_not_asked_for(
    tmp_path: Path,
) -> None:
    entry = enriched(make_entry(tmp_path))
    asked = pictures.valid(entry, "train", frozenset({PRE_PROJECTION}))
    rows = np.arange(2)
    found = pictures.support(asked, rows, None)
    assert found.views.shape[0] == 1 + VIEWS
    assert torch.equal(found.views[0], torch.from_numpy(asked.some(rows)[0]))
    assert found.pre is not None
    assert found.pre.shape[:2] == (1 + VIEWS, 2)
    assert found.patches is None
    assert asked.extra(PATCHES, rows) is None
    assert pictures.support(asked, rows).views.shape[0] == 1
