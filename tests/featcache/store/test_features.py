"""What an entry gives cannot be changed by whoever asked first."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from tests.featcache.store.made import made


def test_what_is_given_names_its_parts_and_stays(tmp_path: Path) -> None:
    entry = made(tmp_path)
    images, text, projection = entry.images("train"), entry.text(), entry.projection()
    assert images.embedding.shape == (10, 2)
    assert (len(images.label), len(images.id), len(images.valid), len(images.reason)) == (10,) * 4
    assert text.embedding.shape[:2] == text.mask.shape == (2, 2)
    assert [len(mine) for mine in text.prompts] == text.mask.sum(1).tolist()
    assert projection is not None
    assert projection.weight.shape == (3, 2)
    for given in (images, text, projection):
        with pytest.raises(FrozenInstanceError):
            given.embedding = None  # type: ignore[misc,union-attr]
