"""Published domains by name: the same as in a folder of domains of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.datasets.registry import Reading, load, load_all
from featcache.datasets.table import family, names
from featcache.errors import UnknownNameError
from featcache.targets import targets_of
from tests.featcache.datasets.kinds.test_domains import office, pacs

FAMILIES = {"pacs": (pacs, "PACS"), "office-home": (office, "OfficeHomeDataset_10072016")}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_its_domains(tmp_path: Path, name: str) -> None:
    make, folder = FAMILIES[name]
    make(tmp_path / folder)
    by_name = load_all(name, Reading(tmp_path))
    by_folder = load_all(str(tmp_path / folder), Reading(name=name, layout="domains"))
    assert by_name == by_folder
    assert [each.name for each in by_name] == [info.name for info in family(name)]
    one = by_name[2]
    assert load(one.name, tmp_path) == one
    with pytest.raises(UnknownNameError, match=one.name):
        load(name, tmp_path)


def test_the_published_counts_add_up_and_domains_are_each_others_targets() -> None:
    assert sum(info.pictures or 0 for info in family("PACS")) == 9_991
    assert sum(info.pictures or 0 for info in family("Office_Home")) == 15_588
    for info in names():
        if info.family:
            others = {other.name for other in family(info.family)} - {info.name}
            assert set(targets_of(info.name, "targets")) == others
    assert family("./pacs") == family("pac") == ()
