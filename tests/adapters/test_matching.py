"""Which classes of one set are those of another: ids, then equal lists, then names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from adapters import matching
from adapters.matching import Classes, columns
from featcache.errors import EpisodeError
from tests import frozen

WNIDS = ("n01", "n02", "n03", "n04")
IMAGENET = Classes("imagenet", ("tench", "missile", "missile", "crane"), WNIDS)


@given(some.permutations(range(6)), some.integers(1, 6))
def test_columns_are_where_the_classes_stand_in_the_source(order: list[int], kept: int) -> None:
    names = tuple("abcdef")
    chosen = order[:kept]
    target = Classes("t", tuple(names[i] for i in chosen))
    assert columns(Classes("s", names), target) == tuple(chosen)


def test_ids_tell_classes_of_one_name_apart() -> None:
    a = Classes("imagenet-a", ("missile", "tench"), ("n03", "n01"))
    assert columns(IMAGENET, a) == (2, 0)
    # Of names that mean something else, ids know better.
    assert columns(IMAGENET, Classes("x", ("crane", "tench"), ("n02", "n04"))) == (1, 3)


def test_equal_lists_of_names_are_the_same_classes_in_order() -> None:
    assert columns(IMAGENET, Classes("imagenet-v2", IMAGENET.names)) == (0, 1, 2, 3)


def test_names_are_compared_as_written_and_then_without_case_and_punctuation() -> None:
    source = Classes("s", ("Annual Crop Land", "sea_lake", "Sea-Lake", "river"))
    target = Classes("t", ("annual_crop land", "Sea-Lake", "River"))
    assert columns(source, target) == (0, 2, 3)


def test_classes_that_the_source_has_not_are_named_with_the_way_out() -> None:
    target = Classes("pets", ("tench", "pug", "beagle"))
    with pytest.raises(EpisodeError) as refusal:
        columns(IMAGENET, target)
    assert str(refusal.value) == (
        "2 of the 3 classes of pets are none of imagenet (pug, beagle); score it as a target of "
        "--task cross-dataset."
    )
    many = Classes("pets", tuple(f"dog {i}" for i in range(9)))
    with pytest.raises(EpisodeError, match=r"\(dog 0, dog 1, dog 2, dog 3, dog 4, … \(9\)\)"):
        columns(IMAGENET, many)
    with pytest.raises(EpisodeError, match="1 of the 1 classes of x are none of imagenet"):
        columns(IMAGENET, Classes("x", ("tench",), ("n09",)))


@pytest.mark.parametrize("name", ["missile", "Missile"])
def test_a_name_that_could_be_several_classes_is_refused(name: str) -> None:
    says = rf"1 classes of a could be several of imagenet by their names \({name}\); encode both"
    with pytest.raises(EpisodeError, match=says):
        columns(IMAGENET, Classes("a", ("tench", name)))


def test_two_classes_that_come_to_one_are_refused() -> None:
    says = r"2 classes of a could be several of s .*\(crow, Crow\)"
    with pytest.raises(EpisodeError, match=says):
        columns(Classes("s", ("crow", "gull")), Classes("a", ("crow", "Crow")))


def test_classes_stay_as_they_were() -> None:
    assert frozen.thawed(matching) == []
