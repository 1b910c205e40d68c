"""How methods made of methods are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from adapters.expression import field_of, leaves, parts, with_base
from adapters.registry import names
from featcache.errors import MethodError

NAMES = some.sampled_from(names())
OVERS = some.lists(NAMES, min_size=1, max_size=3).map("@".join)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fma", ["fma"]),
        ("fma@taskres", ["fma", "taskres"]),
        ("sum:gda+fma", ["gda", "fma"]),
        ("sum:lp+++fma", ["lp++", "fma"]),
        ("sum:gda+fma@taskres", ["gda", "fma@taskres"]),
    ],
)
def test_parts(name: str, expected: list[str]) -> None:
    assert parts(name) == expected


@pytest.mark.parametrize(
    "name", ["", "sum:", "gda@", "@gda", "@", "sum:gda+", "sum:gda,ncm", "sum:gda ncm", "sum:+gda"]
)
def test_what_names_no_method_is_refused(name: str) -> None:
    with pytest.raises(MethodError, match="names no methods; write one"):
        leaves(name)


def test_bases_find_their_method() -> None:
    assert with_base("fma", "fma", "taskres") == "fma@taskres"
    assert with_base("sum:gda+fma", "fma", "taskres") == "sum:gda+fma@taskres"
    assert leaves("sum:gda+fma@taskres") == ["gda", "fma", "taskres"]
    assert with_base("fma", "gda", "taskres") == "fma"
    assert with_base("fma@taskres", "taskres", "ncm") == "fma@taskres"


@given(OVERS)
def test_what_is_on_top_of_what_is_read_from_the_top(name: str) -> None:
    assert leaves(name) == name.split("@")
    top, *rest = name.split("@", 1)
    assert parts(name) == [top, *rest]


@given(some.lists(OVERS, min_size=2, max_size=4))
def test_a_sum_has_its_parts_whatever_their_names(members: list[str]) -> None:
    name = "sum:" + "+".join(members)
    assert parts(name) == members
    assert leaves(name) == [leaf for each in members for leaf in each.split("@")]


@given(some.lists(OVERS, min_size=1, max_size=9, unique=True))
def test_each_part_is_a_field_of_its_own(members: list[str]) -> None:
    found = [field_of(each) for each in members]
    assert all(each.isidentifier() for each in found)
    assert len({*found}) == len(members)


def test_a_field_spells_its_part() -> None:
    assert field_of("fma@tip-adapter-f") == "fma_over_tip_adapter_f"
    assert field_of("lp++") == "lppp"
