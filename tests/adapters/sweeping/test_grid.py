"""A grid in words: which runs it means, and what is refused before any of them starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.compose import get
from adapters.registry import names
from adapters.sweeping.grid import grid, left_out, union, without
from featcache.errors import ConfigError, FeatcacheError, MethodError
from featcache.store.cache import FeatureCache
from tests.entries import make_entry


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    """Two data sets in one cache."""
    folder = tmp_path_factory.mktemp("grid")
    make_entry(folder)
    make_entry(folder, name="beasts")
    return FeatureCache(folder / "cache")


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


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"method": "tip-adaptor"}, "tip-adapter"),
    ({"method": "maple"}, "both towers"),
    ({"method": "fma", "settings": {"block": [2]}}, "fma.blocks"),
    ({"method": "fma", "settings": {"gda.alpha": [2]}}, "unknown setting"),
    ({"method": "fma", "settings": {"blocks": [2, -1]}}, "blocks"),
    ({"method": "fma", "settings": {"preset": ["papr"]}}, "paper"),
    ({"dataset": ["animals", "animal"]}, "animals"),
    ({"backbone": "ViT-B/16"}, "hf-hub:made/narrow"),
    ({"shots": [1, 0]}, "at least 1"),
    ({"shots": "many"}, "whole numbers"),
    ({"seed": 1.5}, "whole numbers"),
    ({"policy": "best"}, "few-shot-val"),
    ({"policy": ["none", "transfer"]}, "--transfer"),
    ({"task": "both"}, "base-to-new"),
    ({"shots": []}, "no values"),
    ({"views": [0, -1]}, "views must be whole numbers of at least 0"),
    ({"dataset": {"a": 1}}, "dataset takes a name"),
    ({"dataset": [101]}, "unknown cached data set '101'"),
    ({"backbone": [["x"]]}, "backbone takes a name"),
    ({"prompts": [[3]]}, "prompts takes a name"),
    ({"transfer": {"a": 1}, "policy": "transfer"}, "transfer takes a name"),
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
    cached = {name for name in names() if not get(name).needs}
    assert {run.experiment.method for run in grid(cache, method="all")} == cached
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


GENERALIZE, ACROSS = "domain-generalization", "cross-dataset"


def test_other_sets_are_those_of_each_run_together(cache: FeatureCache) -> None:
    words: dict[str, Any] = {"method": "gda", "dataset": "animals", "task": GENERALIZE}
    runs = grid(cache, **words, on=["beasts"], shots=[1, 2])
    assert [[on.dataset for on in run.experiment.on] for run in runs] == [["beasts"]] * 2
    both = grid(cache, **{**words, "task": ["few-shot", GENERALIZE]}, on="beasts")
    assert [len(run.experiment.on) for run in both] == [0, 1]
    with pytest.raises(ConfigError, match="few-shot scores its own data set, so it takes no --on"):
        grid(cache, method="gda", dataset="animals", on="beasts")
    with pytest.raises(ConfigError, match="animals has no usual targets"):
        grid(cache, **words)


def test_each_task_has_the_methods_that_can_do_it(cache: FeatureCache) -> None:
    words: dict[str, Any] = {"dataset": "animals", "on": "beasts", "method": "all"}
    runs = grid(cache, **words, task=[GENERALIZE, ACROSS])
    found: dict[str, set[str]] = {GENERALIZE: set(), ACROSS: set()}
    for run in runs:
        found[run.experiment.task].add(run.experiment.method)
    cached = {name for name in names() if not get(name).needs}
    assert found[GENERALIZE] == cached
    assert found[ACROSS] == {name for name in cached if get(name).with_text}
    out = left_out(None, {"method": "all", "task": [GENERALIZE, ACROSS]})
    assert {*out} == {ACROSS}
    assert {*out[ACROSS]} == {name for name in names() if not get(name).with_text}
    assert left_out(None, {"method": "fma", "task": ACROSS}) == {}
    with pytest.raises(MethodError, match="none for new ones"):
        grid(cache, **{**words, "method": ["zero-shot", "gda"]}, task=ACROSS)


def test_what_is_not_cached_is_left_out_with_a_reason(cache: FeatureCache, tmp_path: Path) -> None:
    entry = cache.find("beasts")
    found = without(cache, None, {"method": "all", "dataset": "beasts"})
    assert {*found} == {entry.key}
    assert found[entry.key].keys() == {name for name in names() if get(name).needs}
    assert "--extra pre-projection" in found[entry.key]["prolip"]
    assert without(cache, None, {"method": "prolip", "dataset": "beasts"}) == {}
    path = tmp_path / "grid.yaml"
    path.write_text("dataset: [animals, beasts]\nmethod: all\n")
    assert len(without(cache, path, {"settings": {}})) == 2
    assert without(cache, path, {"method": "gda"}) == {}


def test_a_grid_file_may_say_on(cache: FeatureCache, tmp_path: Path) -> None:
    """Which YAML would take for `yes`."""
    path = tmp_path / "grid.yaml"
    path.write_text("dataset: animals\nmethod: all\ntask: cross-dataset\non: [beasts]\n")
    runs = union(cache, path, {})
    assert {run.experiment.on[0].dataset for run in runs} == {"beasts"}
    assert {*left_out(path, {})} == {ACROSS}
    assert union(cache, path, {"method": "zero-shot", "on": "beasts"})[0].id in {r.id for r in runs}


def test_draws_of_files_are_runs_of_all_they_list(cache: FeatureCache, tmp_path: Path) -> None:
    ids = cache.find("animals").images("train").id
    for name, some in (("a.json", ids[:6]), ("b.json", ids[:9])):
        (tmp_path / name).write_text(json.dumps(some))
    files = [str(tmp_path / name) for name in ("a.json", "b.json")]
    words = {"method": "ncm", "dataset": "animals", "shots": [1, 2]}
    runs = grid(cache, draw=["balanced", *files], **words)
    told = [(run.experiment.drawn.partition("@")[0], run.experiment.shots) for run in runs]
    listed = [("file:a.json", "all"), ("file:b.json", "all")]
    assert told == [("balanced", 1), ("balanced", 2), *listed]
    assert [dict(run.cell.way) for run in runs] == [{}, {}, *({"kind": file} for file in files)]
    before = {run.id for run in runs}
    (tmp_path / "b.json").write_text(json.dumps(ids[:3]))
    after = {run.id for run in grid(cache, draw=["balanced", *files], **words)}
    assert len(before & after) == len(before) - 1
    with pytest.raises(FeatcacheError, match="unknown draw"):
        grid(cache, draw="c.json", **words)
