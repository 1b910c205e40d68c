"""Whatever bit flips in what was written, no other number is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trust.flips import flip, prepare
from tests.trust.warm import Warm


@pytest.mark.slow
def test_two_thousand_flips(warm: list[Warm], tmp_path: Path, tell: Callable[[str], None]) -> None:
    prepare(warm[0], tmp_path)
    flipped = flip(tmp_path, 2000, seed=1)
    tell(f"{flipped}")
    assert flipped.wrong == []


def test_a_few_flips(warm: list[Warm], tmp_path: Path) -> None:
    prepare(warm[0], tmp_path)
    flipped = flip(tmp_path, 90, seed=2)
    assert flipped.wrong == []
    assert flipped.ends["manifest", "told"] > 10
