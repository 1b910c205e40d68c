"""Whenever a command is killed, the same command goes on to the same end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trust.kills import KILLS, kill
from tests.trust.scenes import scene
from tests.trust.warm import Warm


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLS)
def test_killed_at_any_moment(
    name: str, warm: list[Warm], tmp_path: Path, tell: Callable[[str], None]
) -> None:
    killed = kill(scene(name, warm[0], tmp_path), KILLS[name], warm, tmp_path, seed=1)
    tell(f"{name}: {killed}")
    assert killed.wrong == []
    assert killed.kills == KILLS[name]


def test_killed_a_few_times(warm: list[Warm], tmp_path: Path) -> None:
    killed = kill(scene("import", warm[0], tmp_path), 3, warm[:1], tmp_path, seed=1)
    assert (killed.wrong, killed.kills) == ([], 3)
