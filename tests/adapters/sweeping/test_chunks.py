"""How runs are dealt out: each once, to chunks and to machines."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.sweeping.chunks import cell_of, chunks, cost, following, shard
from featcache.errors import ConfigError
from featcache.store.cache import FeatureCache
from tests.adapters.sweeping.quick import runs_of


def test_chunks_that_may_stack_hold_several_seeds(cache: FeatureCache) -> None:
    runs = runs_of(cache, method=["fma", "gda"], settings={"fma.learning_rate": [1e-3, 1e-2]})
    for chunk in chunks(runs, 1, "auto"):
        own = {(run.experiment.method, run.experiment.shots) for run in chunk.runs}
        assert len(own) == 1
        seeds = {run.experiment.seed for run in chunk.runs}
        assert len(seeds) == (3 if ("fma", chunk.runs[0].experiment.shots) in own else 1)


def test_every_run_is_in_one_chunk_of_its_own_cell(cache: FeatureCache) -> None:
    runs = runs_of(cache, method=["fma", "gda", "linear-probe"], settings={"fma.blocks": [1, 2]})
    for parts in (1, 3, 8, 1000):
        found = chunks(runs, parts)
        assert sorted(run.id for chunk in found for run in chunk.runs) == sorted(
            run.id for run in runs
        )
        assert all(len({run.cell for run in chunk.runs}) == 1 for chunk in found)
        prices = [sum(map(cost, chunk.runs)) for chunk in found]
        assert prices == sorted(prices, reverse=True)
    assert len(chunks(runs)) == 6  # a draw each
    assert len(chunks(runs, 1000)) == len(runs)


def test_a_worker_goes_on_with_its_draw_and_away_from_those_of_others(cache: FeatureCache) -> None:
    a, b, c = (run.cell for run in runs_of(cache, method="gda", shots=1, seed=[1, 2, 3]))
    assert following([a, b, a], None, set()) == 0
    assert following([a, b, a], None, {a}) == 1
    assert following([a, b, c, b], b, {a}) == 1
    assert following([a, c, a, b], b, {c}) == 3
    assert following([a, c], b, {a, c}) == 0
    assert following([None, b], b, set()) == 0  # which is dear
    assert following([a, None], None, {a}) == 1
    words: dict[str, Any] = {"shots": 1, "seed": 1, "settings": {"fma.steps": 900}}
    first, *others = chunks(runs_of(cache, method=["gda", "ncm", "zero-shot", "fma"], **words), 3)
    assert [run.experiment.method for run in first.runs] == ["fma"]
    assert [*map(cell_of, (first, *others))] == [None, *[a] * len(others)]


def test_a_search_over_fits_costs_more(cache: FeatureCache) -> None:
    def price(method: str, **words: Any) -> float:
        return cost(runs_of(cache, method=method, shots=2, seed=1, **words)[0])

    assert price("fma") > price("zero-shot")
    assert price("fma", settings={"preset": "paper"}) > price("fma", settings={"steps": 1})
    assert price("lp++", policy="full-val") == 4 * price("lp++", policy="none")
    assert price("fma@taskres") > price("fma")


@pytest.mark.parametrize("of", [1, 2, 3, 5])
def test_shards_are_a_partition(cache: FeatureCache, of: int) -> None:
    runs = runs_of(cache)
    parts = [shard(runs, part + 1, of) for part in range(of)]
    assert sorted(r.id for part in parts for r in part) == sorted(r.id for r in runs)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert [r.id for r in shard(runs[::-1], 1, of)][::-1] == [r.id for r in parts[0]]
    with pytest.raises(ConfigError):
        shard(runs, of + 1, of)


def test_a_chunk_is_no_dearer_than_its_share_unless_it_is_one_run(cache: FeatureCache) -> None:
    runs = runs_of(cache, method=["fma", "gda"], shots=1, seed=1,
                   settings={"fma.steps": [10, 20, 40, 80, 160]})  # fmt: skip
    whole = sum(map(cost, runs))
    for parts in (1, 2, 4):
        for chunk in chunks(runs, parts):
            assert sum(map(cost, chunk.runs)) <= whole / parts or len(chunk.runs) == 1
            prices = [cost(run) for run in chunk.runs]
            assert prices == sorted(prices, reverse=True)
    [all_of_them] = chunks(runs, 1)
    assert len(all_of_them.runs) == 6
    assert {chunk.stack for chunk in chunks(runs, 2)} == {"off"}
    assert {chunk.stack for chunk in chunks(runs, 2, "on")} == {"on"}


def test_the_cost_is_that_of_training_steps(cache: FeatureCache) -> None:
    def price(method: str, **words: Any) -> float:
        words = {"shots": 2, "seed": 1, "policy": "none", **words}
        return cost(runs_of(cache, method=method, **words)[0])

    assert price("zero-shot") == 1
    assert price("fma", settings={"steps": 7}) == 1 + 7
    both = price("fma", settings={"steps": 7}) + price("zero-shot")
    assert price("sum:fma+zero-shot", settings={"fma.steps": 7}) == both
    assert price("taskres", settings={"epochs": 5}) > price("taskres", settings={"epochs": 4})


@pytest.mark.parametrize(("part", "of"), [(0, 3), (4, 3), (1, 0), (-1, 3)])
def test_a_part_that_there_is_not_is_refused(cache: FeatureCache, part: int, of: int) -> None:
    says = f"there is no part {part} of {of}; parts count from 1 to {of}"
    with pytest.raises(ConfigError, match=says):
        shard(runs_of(cache), part, of)
