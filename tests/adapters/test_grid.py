"""A grid in words: which runs it means, and what is refused before any of them starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.sweeping.grid import axes, grid, read, spread, union
from adapters.registry import names
from featcache.store.cache import FeatureCache
from featcache.errors import ConfigError, FeatcacheError, MethodError
from tests.adapters.entries import make_entry


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    """Two data sets in one cache."""
    folder = tmp_path_factory.mktemp("grid")
    make_entry(folder)
    make_entry(folder, name="beasts")
    return FeatureCache(folder / "cache")


def settings_of(methods: list[str], **settings: Any) -> list[tuple[str, dict[str, Any]]]:
    return list(spread(methods, {k.replace("__", "."): v for k, v in settings.items()}))


def test_all_combinations_once_each(cache: FeatureCache) -> None:
    runs = grid(
        cache,
        method=["tip-adapter", "fma"],
        dataset=["animals", "beasts"],
        shots=[1, 2, 2],
        seed=[1, 2, 3],
        policy=["none", "full-val"],
        settings={"fma.blocks": [2, 3]},
    )
    assert len(runs) == 2 * 2 * 3 * 2 * (1 + 2)
    assert len({run.id for run in runs}) == len(runs)
    assert [r.id for r in runs] == [r.id for r in grid(cache, method=["tip-adapter", "fma"],
        dataset=["animals", "beasts"], shots=[1, 2], seed=[1, 2, 3], policy=["none", "full-val"],
        settings={"fma.blocks": [2, 3]})]  # fmt: skip


def test_a_default_among_the_values_is_the_run_without_it(cache: FeatureCache) -> None:
    plain = grid(cache, method="fma")
    swept = grid(cache, method="fma", settings={"blocks": [2, 3]})
    assert plain[0].id in {run.id for run in swept}


def test_a_named_setting_goes_to_its_method_alone() -> None:
    assert settings_of(["fma", "gda"], fma__blocks=[2, 6]) == [
        ("fma", {"blocks": 2}),
        ("fma", {"blocks": 6}),
        ("gda", {}),
    ]


def test_a_setting_without_a_name_goes_to_all_that_have_it() -> None:
    found = settings_of(["fma", "clip-adapter", "gda"], steps=[5])
    assert found == [("fma", {"steps": 5}), ("clip-adapter", {"steps": 5}), ("gda", {})]
    named = settings_of(["fma", "clip-adapter"], steps=[5], fma__steps=[7])
    assert named == [("fma", {"steps": 7}), ("clip-adapter", {"steps": 5})]


def test_settings_of_composed_methods_carry_the_parts_name() -> None:
    assert settings_of(["fma@taskres"], blocks=[2], taskres__alpha=[0.5]) == [
        ("fma@taskres", {"fma.blocks": 2, "taskres.alpha": 0.5})
    ]
    assert settings_of(["fma", "gda"], fma__base=["none", "taskres"], blocks=[2]) == [
        ("fma", {"blocks": 2}),
        ("fma@taskres", {"fma.blocks": 2}),
        ("gda", {}),
    ]


def test_presets_are_settings_and_default_is_none_of_them() -> None:
    assert settings_of(["fma", "gda"], preset=["default", "paper"]) == [
        ("fma", {}),
        ("fma", {"preset": "paper"}),
        ("gda", {}),
    ]


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


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"method": "tip-adaptor"}, "tip-adapter"),
    ({"method": "coop"}, "text tower"),
    ({"method": "fma", "settings": {"block": [2]}}, "fma.blocks"),
    ({"method": "fma", "settings": {"gda.alpha": [2]}}, "unknown setting"),
    ({"method": "fma", "settings": {"blocks": [2, -1]}}, "blocks"),
    ({"method": "fma", "settings": {"preset": ["papr"]}}, "paper"),
    ({"dataset": ["animals", "animal"]}, "animals"),
    ({"backbone": "ViT-B/16"}, "ViT-B-32"),
    ({"shots": [1, 0]}, "at least 1"),
    ({"shots": "many"}, "whole numbers"),
    ({"seed": 1.5}, "whole numbers"),
    ({"policy": "best"}, "few-shot-val"),
    ({"policy": ["none", "transfer"]}, "--transfer"),
    ({"task": "both"}, "base-to-new"),
    ({"shots": []}, "no values"),
    ({"settings": {"blocks": []}}, "no values"),
    ({"settings": {"blocks": ["1..3"]}}, "--search"),
    ({"task": "base-to-new", "method": "gda"}, "new"),
]


@pytest.mark.parametrize(("words", "says"), REFUSED, ids=[str(words) for words, _ in REFUSED])
def test_what_cannot_be_run_is_refused_at_once(
    cache: FeatureCache, words: dict[str, Any], says: str
) -> None:
    with pytest.raises(FeatcacheError, match=says):
        grid(cache, **words)


def test_all_is_every_method_that_can_do_the_task(cache: FeatureCache) -> None:
    assert {run.experiment.method for run in grid(cache, method="all")} == set(names())
    new = {run.experiment.method for run in grid(cache, method="all", task="base-to-new")}
    assert {"zero-shot", "fma"} <= new < set(names())
    with pytest.raises(MethodError):
        grid(cache, method=["zero-shot", "gda"], task="base-to-new")


FILE = """
dataset: [animals, beasts]
seed: [1, 2]
set:
  fma.blocks: [2, 3]
grids:
  - method: [fma, gda]
    shots: [1, 2]
  - method: fma
    shots: 1
    set: {fma.learning_rate: 1e-3}
"""


def test_a_grid_file_says_the_same_words(cache: FeatureCache, tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(FILE)
    runs = union(cache, path, {})
    # The second block's runs are among the first's: 1e-3 is the default learning rate.
    assert len(runs) == 2 * 2 * (2 * 2 + 2)
    fewer = union(cache, path, {"dataset": ["animals"], "settings": {"fma.blocks": [2]}})
    assert len(fewer) == 2 * (2 * 1 + 2)
    assert {run.id for run in fewer} < {run.id for run in runs}


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
