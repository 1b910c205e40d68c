"""Whatever call of a command fails: a sentence, and a state from which the same command goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trust.faults import SAMPLED, chosen, some, walk
from tests.trust.scenes import LINES, scene
from tests.trust.warm import KINDS, Warm


@pytest.mark.slow
@pytest.mark.parametrize("name", LINES)
def test_every_single_fault(
    name: str, warm: list[Warm], tmp_path: Path, tell: Callable[[str], None]
) -> None:
    seen = scene(name, warm[0], tmp_path)
    walked = walk(seen, chosen(seen), warm, tmp_path)
    tell(f"{name}: {walked}")
    assert walked.wrong == []
    assert walked.runs > (20 if name in SAMPLED else 100)


@pytest.mark.slow
def test_a_fault_of_each_kind(warm: list[Warm], tmp_path: Path) -> None:
    told = 0
    for name, kinds in {"import": KINDS, "sweep": ("read", "write", "lock")}.items():
        seen = scene(name, warm[0], tmp_path)
        assert all(seen.whole.calls[kind] for kind in kinds)  # the harness sees them
        walked = walk(seen, some(seen.whole.calls, 1, seed=1), warm[:1], tmp_path)
        assert walked.wrong == []
        told += walked.ends["told"]
    assert told > 3
