"""A grid as people write it: on the command line and in YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.sweeping.words import axes, read
from featcache.errors import ConfigError, FeatcacheError


def test_values_as_typed() -> None:
    pairs = ["fma.blocks=2,6,12", "noise=0,1e-2", "solver=euler,rk4", "search=true", "x=1,a"]
    assert axes(pairs) == {
        "fma.blocks": [2, 6, 12],
        "noise": [0, 0.01],
        "solver": ["euler", "rk4"],
        "search": [True],
        "x": [1, "a"],
    }
    with pytest.raises(ConfigError, match="key=value"):
        axes(["blocks"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("metod: fma", "method"),
        ("- fma", "word"),
        ("method: [fma", "cannot be read"),
        ("set: [fma.blocks]", "`set`"),
        ("grids: fma", "`grids`"),
        ("method: !!python/object:os.system fma", "cannot be read"),
    ],
)
def test_a_grid_file_that_is_none_is_one_sentence(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(content)
    with pytest.raises(FeatcacheError, match=says):
        read(path)
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        read(tmp_path / "none.yaml")
