"""Tables to be made anew: every one has its rows, its data and methods that take its settings."""

from __future__ import annotations

from typing import Any

import pytest

from adapters import registry
from adapters.ability import check
from adapters.compose import get
from adapters.episode import TEXT_TOWER
from adapters.experiment import Experiment, configured
from adapters.reproducing import tables
from adapters.reproducing.tables import Line, Reproduction, named
from featcache.datasets.table import named as dataset_named
from featcache.errors import UnknownNameError

EVERY = tables.tables()


def test_the_tables_that_were_asked_for_are_there() -> None:
    assert {
        "demo", "tip-rn50", "fma-groups", "clip-svd-vitb16", "maple-base-to-new",
        "coop-cross-dataset", "coop-dg", "bongard-hoi",
    } <= {table.name for table in EVERY}  # fmt: skip
    assert len({table.name for table in EVERY}) == len(EVERY)


@pytest.mark.parametrize("table", EVERY, ids=lambda table: table.name)
def test_every_line_has_one_row_with_numbers_at_its_shots(table: Reproduction) -> None:
    for line in table.lines:
        row = table.row(line)
        counts = {k for by_set in row.numbers.values() for held in by_set.values() for k in held}
        assert counts & {"0", *map(str, table.shots)}
        known = set(table.datasets) | set(table.on) | {"mean"} | set(row.groups or ())
        for by_set in row.numbers.values():
            assert set(by_set) <= known


@pytest.mark.parametrize("table", EVERY, ids=lambda table: table.name)
def test_every_line_can_be_fitted_or_says_why_not(table: Reproduction) -> None:
    assert any(not line.refusal for line in table.lines) != bool(table.only)
    for line in table.lines:
        if line.refusal:
            assert line.fitted not in registry.names()
            assert line.refusal != "is not one of the methods"
            continue
        policy = table.policy(line, table.datasets[0], on_test=False)
        asked = Experiment(line.fitted, 16, 1, policy, line.settings, task=table.task)
        check(asked)
        assert configured(asked).method
        # What is read beside embeddings is said, or the sets that have it not would fail.
        assert (TEXT_TOWER in get(line.fitted).needs) == (line.extra == "text-tower")


@pytest.mark.parametrize("table", EVERY, ids=lambda table: table.name)
def test_every_data_set_is_a_name(table: Reproduction) -> None:
    for name in (*table.datasets, *table.on, *table.prompts):
        known = dataset_named(name)
        assert known is not None
        assert known.name == name


def test_an_unknown_table_is_told_which_there_are() -> None:
    assert named("tip-rn50").backbone == "RN50:openai"
    with pytest.raises(UnknownNameError, match=r"unknown table 'tip-rn51'.*tip-rn50"):
        named("tip-rn51")


def test_settings_are_chosen_as_there_but_on_test_only_where_that_is_asked_for(
    small: Reproduction,
) -> None:
    zero, gda, maple = small.lines
    assert [small.policy(gda, name, False) for name in small.datasets] == ["full-val"] * 2
    assert [small.policy(gda, name, True) for name in small.datasets] == ["oracle-test", "full-val"]
    assert small.policy(zero, "animals", True) == "none"
    assert small.policy(maple, "animals", True) == "full-val"
    assert maple.refusal.startswith("trains parameters")
    assert Line("gda@nothing").refusal == "is not one of the methods"


def test_a_line_that_has_no_row_of_its_own_is_a_mistake(small: Reproduction) -> None:
    with pytest.raises(ValueError, match="not enough"):
        small.row(Line("ncm"))


def test_text_and_extras(small: Reproduction) -> None:
    changed: Any = {**vars(small), "prompts": {"animals": "seven"}}
    table = Reproduction(**changed)
    assert [table.bank(name) for name in table.datasets] == ["seven", "dataset"]
    assert table.extras == []
    assert [table.extras for table in EVERY if table.name == "fma-groups"] == [["text-tower"]]
