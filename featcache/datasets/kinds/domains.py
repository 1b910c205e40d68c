"""A folder of domains: in each of its folders the same classes in other pictures.

As PACS (Li et al. 2017) and Office-Home (Venkateswara et al. 2017) are published; each domain is a
data set of class folders of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from featcache.datasets.checks import few, slug
from featcache.datasets.dataset import Dataset
from featcache.datasets.layouts import folders
from featcache.datasets.layouts._class_folders import Walk, class_folders, inner_folders
from featcache.errors import DatasetError


def read_all(path: Path, *, name: str, walk: Walk) -> list[Dataset]:
    """A data set for each domain, called `<name>-<domain>`; classes are in the order of names.

    Each is read as class folders are, with its own splits or divided. Which classes a domain lacks
    is noted. Raises DatasetError for less than two domains, for class folders in their place, and
    for what the reader of class folders refuses.
    """
    domains = class_folders(path, path, Walk(follow_links=walk.follow_links))
    if len(domains) < 2 or not all(inner_folders(path / each, path, walk) for each in domains):
        raise DatasetError(
            f"{path} is no folder of two domains or more, each with a folder for each class; it "
            f"has {few(domains)}. Leave out --layout domains if these are classes."
        )
    names = {domain: f"{name}-{slug(domain)}" for domain in domains}
    if len(set(names.values())) < len(names):
        raise DatasetError(f"{path}: two of {few(domains)} have one name; rename one.")
    found = {
        domain: folders.read(
            path / domain, name=names[domain], walk=Walk(walk.recursive, walk.follow_links)
        )
        for domain in domains
    }
    return [_noted(domain, found) for domain in domains]


def _noted(domain: str, found: Mapping[str, Dataset]) -> Dataset:
    mine = found[domain]
    every = sorted({name for each in found.values() for name in each.classnames})
    lacks = [name for name in every if name not in mine.classnames]
    if not lacks:
        return mine
    note = f"{mine.name}: lacks classes that other domains have: {few(lacks)}."
    return replace(mine, notes=(*mine.notes, note))
