"""Errors in words for people: one family, and names that are nearly right."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache import errors
from featcache.errors import (
    FEW,
    CacheError,
    DamagedShardError,
    FeatcacheError,
    MissingShardError,
    UnknownNameError,
)

SEVEN = ["alpha", "Beta", "beta-two", "delta", "eta", "theta", "zeta"]
words = st.lists(st.text("abcdEF-", min_size=1, max_size=8), unique=True, max_size=30)


def told(name: str, known: list[str], hint: str = "") -> str:
    return str(UnknownNameError("thing", name, known, hint))


def test_all_are_of_one_family() -> None:
    """The door catches FeatcacheError; a damaged shard is also a cache that cannot serve."""
    found = (kind for _, kind in inspect.getmembers(errors, inspect.isclass))
    every = [kind for kind in found if kind.__module__ == errors.__name__]
    assert len(every) == 13
    assert all(issubclass(kind, FeatcacheError) for kind in every)
    assert issubclass(DamagedShardError, CacheError)
    outside = {kind for kind in every if kind.__base__ is not FeatcacheError}
    assert outside == {FeatcacheError, DamagedShardError, MissingShardError}


def test_few_names_are_listed_whole_in_order() -> None:
    assert told("gamma", ["b", "a"]) == "unknown thing 'gamma'; known are: a, b."
    assert told("gamma", []) == "unknown thing 'gamma'; known are: none."
    # Even where one is near: six can be read at a glance.
    assert told("alphb", SEVEN[:FEW]) == (
        "unknown thing 'alphb'; known are: Beta, alpha, beta-two, delta, eta, theta."
    )
    assert told("x", ["a"], "See `ls`.") == "unknown thing 'x'; known are: a. See `ls`."


def test_of_many_names_the_nearest_are_offered() -> None:
    assert told("alphb", SEVEN) == "unknown thing 'alphb'; did you mean alpha?"
    # In whatever case, and all that begin so.
    assert told("BETA", SEVEN) == "unknown thing 'BETA'; did you mean Beta, beta-two, eta, zeta?"
    assert told("zet", SEVEN, "See `ls`.") == (
        "unknown thing 'zet'; did you mean Beta, eta, zeta? See `ls`."
    )


def test_where_none_is_near_twelve_are_listed() -> None:
    numbers = [f"{i:02}" for i in range(13)]
    assert told("name", SEVEN) == f"unknown thing 'name'; known are: {', '.join(sorted(SEVEN))}."
    assert told("name", numbers[:12]).endswith("09, 10, 11.")
    assert told("name", numbers).endswith("09, 10, 11, ….")
    assert told("", numbers).startswith("unknown thing ''; known are: 00, 01")


def test_no_more_than_twelve_that_begin_alike_are_offered() -> None:
    alike = [f"model-{i:02}" for i in range(13)]
    assert told("model-", alike[:12]).endswith("model-10, model-11?")
    assert told("model-", alike).endswith("model-10, model-11, …?")


@given(st.text("abcdEF-", max_size=8), words)
def test_only_known_names_are_offered(name: str, known: list[str]) -> None:
    message = told(name, known)
    listed = message.partition("; ")[2].removeprefix("did you mean ").removeprefix("known are: ")
    offered = set(listed[:-1].removesuffix(", …").split(", ")) - {"none"}
    assert offered <= set(known)
    assert bool(offered) == bool(known)
    if len(known) > FEW and name:
        begun = [n for n in known if n.lower().startswith(name.lower())]
        assert len(offered) >= min(len(begun), 12)


@pytest.mark.parametrize("kind", [CacheError, errors.DatasetError, errors.SweepError])
def test_the_text_is_what_was_said(kind: type[FeatcacheError]) -> None:
    assert str(kind("one sentence.")) == "one sentence."
