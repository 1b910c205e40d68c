"""How methods made of methods are written."""

from __future__ import annotations

import pytest

from adapters.expression import leaves, parts, with_base


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


def test_bases_find_their_method() -> None:
    assert with_base("fma", "fma", "taskres") == "fma@taskres"
    assert with_base("sum:gda+fma", "fma", "taskres") == "sum:gda+fma@taskres"
    assert leaves("sum:gda+fma@taskres") == ["gda", "fma", "taskres"]
