"""Which entries hold the same data, and what two of one name are called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from featcache.store.entry import Entry
from featcache.store.manifest import begin
from featcache.store.sameness import data_id, differ, same_data, shared_names, spellings
from tests.featcache.store.made import HEADER

CONTENTS = {"train": "aa", "val": "bb", "test": "cc"}


def held(
    contents: Mapping[str, str] | None = None,
    backbone: str = "demo",
    fingerprint: str | None = "f1",
    name: str = "pets",
    classnames: tuple[str, ...] = ("cat", "dog"),
    at: str = "0123",
) -> Entry:
    """An entry of that data, without features."""
    data: dict[str, Any] = {"name": name, "classnames": list(classnames), "splits": {"train": 3}}
    data |= {"contents": dict(contents)} if contents is not None else {}
    data |= {"fingerprint": fingerprint} if fingerprint else {}
    header = {**HEADER, "dataset": data, "backbone": {"name": backbone, "logit_scale": 100.0}}
    return Entry(Path("cache", name, backbone, at), begin(header))


DIGEST = st.sampled_from(["aa", "bb"])
ENTRIES = st.builds(
    held,
    st.none() | st.dictionaries(st.sampled_from(["train", "val", "test"]), DIGEST),
    st.sampled_from(["demo", "RN50"]),
    st.none() | st.sampled_from(["f1", "f2"]),
    classnames=st.sampled_from([("cat", "dog"), ("dog", "cat")]),
)


@given(ENTRIES, ENTRIES)
def test_sameness_has_no_direction_and_everything_is_as_itself(one: Entry, other: Entry) -> None:
    assert same_data(one, one)
    assert same_data(one, other) == same_data(other, one)
    assert differ([one, other]) != same_data(one, other)
    if one.classnames != other.classnames:
        assert not same_data(one, other)


WHOLE = st.fixed_dictionaries(dict.fromkeys(CONTENTS, DIGEST))


@given(WHOLE, WHOLE, st.sampled_from(["demo", "RN50"]), st.sampled_from(["f1", "f2", None]))
def test_of_wholly_encoded_data_the_pictures_alone_count(
    one: dict[str, str], other: dict[str, str], backbone: str, fingerprint: str | None
) -> None:
    first, second = held(one), held(other, backbone, fingerprint)
    assert same_data(first, second) == (one == other)
    assert (data_id(first) == data_id(second)) == (one == other)
    assert re.fullmatch("[0-9a-f]{6}", data_id(first))


def test_splits_that_both_have_decide() -> None:
    train = held({"train": "aa"}, fingerprint="f2")
    assert same_data(train, held(CONTENTS))
    assert not same_data(train, held({**CONTENTS, "train": "xx"}))
    # No split in common says nothing, so that the listings count.
    assert not same_data(train, held({"test": "cc"}))
    assert same_data(train, held({"test": "cc"}, fingerprint="f2"))


def test_entries_of_before_are_known_by_their_listing_within_a_backbone() -> None:
    old = held()
    assert same_data(old, held(CONTENTS))
    assert not same_data(old, held(fingerprint="f2"))
    assert not same_data(old, held(CONTENTS, fingerprint="f2"))
    assert same_data(old, held(fingerprint="f2", backbone="RN50"))
    assert data_id(old) == data_id(held({}, backbone="RN50")) != data_id(held(fingerprint="f2"))
    assert data_id(held(fingerprint=None)) != data_id(old)


def test_classes_and_their_order_are_data() -> None:
    turned = held(CONTENTS, classnames=("dog", "cat"))
    assert not same_data(held(CONTENTS), turned)
    assert data_id(held(CONTENTS)) != data_id(turned)


def test_one_that_differs_is_found_wherever_it_stands() -> None:
    odd, rest = held({"train": "xx"}), [held({"train": "aa"}, at=str(i)) for i in range(3)]
    assert not differ(rest)
    assert not differ([])
    for place in range(4):
        assert differ([*rest[:place], odd, *rest[place:]])


def test_a_shared_name_is_spelt_by_keys() -> None:
    one, two = held({"train": "aa"}), held({"train": "bb"}, at="4567")
    cars = [held(name="cars"), held(name="cars", backbone="RN50", fingerprint="f2")]
    assert shared_names([one, *cars]) == set()
    assert spellings([one, *cars]) == {"pets", "cars"}
    assert shared_names([one, two, *cars]) == {"pets"}
    assert spellings([one, two, *cars]) == {"pets/demo/0123", "pets/demo/4567", "cars"}
