"""Data sets by name or folder: which reader or world gives them, and where their files lie."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from featcache.catalogue import load as load_module
from featcache.datasets.checks import no_name, slug
from featcache.datasets.dataset import Dataset
from featcache.datasets.kind import AUTO, DOMAINS, KINDS, check_layout, kind_of
from featcache.datasets.kind import read as read_kind
from featcache.datasets.kinds.domains import read_all as read_domains
from featcache.datasets.layouts import coop, folders
from featcache.datasets.layouts._class_folders import Walk
from featcache.datasets.notes import noted
from featcache.datasets.presence import ALL, CLASSES, PRESENT, partial, present
from featcache.datasets.remote import is_url, mirrored
from featcache.datasets.table import DatasetInfo, bare, family, named, names
from featcache.errors import DatasetError, UnknownNameError

LINKING = ("coop", "bongard-hoi")  # readers of lists, which may name pictures behind links
OWN_MARKERS = ("split_", "bongard_hoi_")  # files that no other set has
LISTS = ("coop", "aircraft", "cub")  # readers of lists, which may name pictures that are not there


@dataclass(frozen=True)
class Reading:
    """How a data set is read where its name or path does not say all; the words of `load`."""

    root: Path | None = None
    recursive: bool = False
    follow_links: bool = False
    name: str | None = None
    classes: str = ALL
    layout: str = AUTO

    def __post_init__(self) -> None:
        if self.classes not in CLASSES:
            known = " or ".join(CLASSES)
            raise DatasetError(f"classes are {known}, not {self.classes!r}; give one.")
        check_layout(self.layout)

    def walk(self) -> Walk:
        """A walk through class folders of one's own, which notes what it passes over."""
        return Walk(self.recursive, self.follow_links)

    @property
    def some(self) -> bool:
        """Whether classes without pictures are left out."""
        return self.classes == PRESENT


AS_USUAL = Reading()


def load(
    name_or_path: str,
    root: Path | None = None,
    *,
    recursive: bool = False,
    follow_links: bool = False,
    name: str | None = None,
    classes: str = ALL,
    layout: str = AUTO,
) -> Dataset:
    """Load a named data set, or what one has: a folder, a table, shards (see `LAYOUTS`).

    `root` is the folder above the set's own or that folder itself; without it, FEATCACHE_DATA
    says. In class folders of one's own, `recursive` takes pictures in the folders inside them;
    there and in the layouts of CoOp and Bongard-HOI, `follow_links` takes those that links out of
    the folder lead to.
    `name` is what a folder's data set is called, in place of the folder's own name. `classes` is
    `present` for the classes alone whose pictures are there, numbered anew in their order. `layout`
    says how a path is to be read where that is not to be told by what lies there.
    What people should know of what was read stands in the `notes`. Raises UnknownNameError for a
    name that is none, DatasetError for data that is not as it should be.
    """
    how = Reading(root, recursive, follow_links, name, classes, layout)
    if is_url(name_or_path):
        return _remote(name_or_path, lambda path: [_load(path, how)])[0]
    return _load(name_or_path, how)


def load_all(name_or_path: str, how: Reading = AS_USUAL) -> list[Dataset]:
    """Load a data set as `load` does, or each of a folder of domains or a published set of them.

    Domains are what `how.layout` says, and names such as `pacs`. Raises as `load` does.
    """
    if is_url(name_or_path):
        return _remote(name_or_path, lambda path: load_all(path, how))
    domains = family(name_or_path)
    every = [info.name for info in domains] or [name_or_path]
    if domains or how.layout != DOMAINS:
        return [_load(each, how) for each in every]
    top = _folder(name_or_path)
    if how.some:
        raise DatasetError(
            f"the classes of domains are those that are there; leave out {how.classes}."
        )
    own = how.name or slug(top.resolve().name)
    _called(Dataset(own, (), {}), how.name)
    return [noted(each, pictures=True) for each in read_domains(top, name=own, walk=how.walk())]


def _remote(url: str, read: Callable[[str], list[Dataset]]) -> list[Dataset]:
    """What lies at a url, read as a folder or a list would be."""
    with mirrored(url) as mirror:
        return [mirror.moved(each) for each in read(str(mirror.path))]


def _load(name_or_path: str, how: Reading) -> Dataset:
    info = named(name_or_path)
    if info is None:
        return _called(noted(_load_own(name_or_path, how), pictures=True), how.name)
    if how.layout != AUTO:
        raise DatasetError(f"{info.name} has its layout already; leave out --layout {how.layout}.")
    if how.name is not None:
        raise DatasetError(f"{info.name} has its name already; leave out --name {how.name}.")
    _refuse_walking(info, how.recursive, how.follow_links)
    if info.folder is None:
        world = load_module("featcache.datasets.worlds", info.reader)
        made: Dataset = world.make(info)
        return made
    folder = _locate(info, root_of(info, how.root))
    return noted(_read(info, folder, how.follow_links, how.some))


def root_of(info: DatasetInfo, root: Path | None) -> Path:
    """The folder given, or that of FEATCACHE_DATA; DatasetError where neither says one."""
    if root is None and os.environ.get("FEATCACHE_DATA"):
        root = Path(os.environ["FEATCACHE_DATA"])
    if root is None:
        raise DatasetError(
            f"{info.name} is read from files; say with --root or FEATCACHE_DATA which folder "
            f"holds {info.folder}/."
        )
    return root.expanduser()


def _refuse_walking(info: DatasetInfo, recursive: bool, follow_links: bool) -> None:
    if recursive or (follow_links and info.reader not in LINKING):
        option = "--recursive" if recursive else "--follow-links"
        raise DatasetError(
            f"{info.name} is read as it was published, and so without {option}; leave it out."
        )


def _called(dataset: Dataset, name: str | None) -> Dataset:
    if name is not None and (why := no_name(name)):
        raise DatasetError(why)
    return dataset if name is None else replace(dataset, name=name)


def _read(info: DatasetInfo, folder: Path, follow_links: bool, some: bool) -> Dataset:
    layout = load_module("featcache.datasets.layouts", info.reader)
    marker = info.marker_in(folder) or info.marker
    own: dict[str, Any] = {"name": info.name, "templates": info.templates}
    if follow_links:
        own["follow_links"] = True
    if some and info.reader == "imagenet":  # which refuses classes without training pictures
        own["some"] = True
    read: Dataset = layout.read(folder, info.images, marker, **own)
    return _there(read, some) if some or info.reader in LISTS else read


def _there(dataset: Dataset, some: bool) -> Dataset:
    """The classes that are there, or all with a note on what is not."""
    if some:
        return present(dataset)
    note = partial(dataset)
    return replace(dataset, notes=(*dataset.notes, note)) if note else dataset


def _locate(info: DatasetInfo, root: Path) -> Path:
    inner = root / (info.folder or "")
    for folder in (inner, root):
        if info.marker_in(folder):
            return folder
    if not root.is_dir():
        raise DatasetError(f"there is no folder {root}; give the one that holds {info.folder}/.")
    marker = info.marker.replace("|", " or ")
    raise DatasetError(
        f"{info.name} needs {marker}, which is neither in {inner} nor in {root}; put the data "
        "there as CoOp's DATASETS.md or docs/encoding.md describes, or give another root."
    )


def _folder(path: str) -> Path:
    """The folder at a path. Raises DatasetError or UnknownNameError where there is none."""
    folder = Path(path).expanduser()
    if path and folder.is_dir():
        return folder
    if re.search(r"[/\\]|^[.~]", path) or folder.is_file():
        if folder.is_file():
            raise DatasetError(f"{folder} is no table and no shard that is read; see --layout.")
        raise DatasetError(f"there is no folder {folder}; check the path.")
    known = [info.name for info in names()]
    raise UnknownNameError("data set", path, known, "Or give the path of a folder.")


def _load_own(path: str, how: Reading) -> Dataset:
    where, walk = Path(path).expanduser(), how.walk()
    if how.layout == DOMAINS:
        raise DatasetError(f"{where} is to be a data set a domain, and one is asked for; give one.")
    if how.layout == AUTO and where.is_dir() and (dataset := _listed(where, walk, how.some)):
        return dataset
    kind = kind_of(where) if how.layout == AUTO and path else how.layout
    if kind in KINDS:
        if how.recursive:
            raise DatasetError(f"{where} is no folder of classes; leave out --recursive.")
        called = where.resolve().name if where.is_dir() else re.sub(r"\{.*\}", "", where.stem)
        return _there(read_kind(kind, where, name=slug(called), walk=walk), how.some)
    folder = _folder(path)
    return folders.read(folder, name=slug(folder.resolve().name), walk=walk)


def _listed(folder: Path, walk: Walk, some: bool) -> Dataset | None:
    """What a published file or CoOp's list in the folder says; None where there is neither."""
    own = slug(folder.resolve().name)
    for info in names():
        # A published set keeps its name and templates, whichever way it is found.
        ours = info.marker.startswith(OWN_MARKERS) or bare(own) in info.spellings
        if info.folder and ours and info.marker_in(folder):
            _refuse_walking(info, walk.recursive, walk.follow_links)
            return _read(info, folder, walk.follow_links, some)
    found = sorted(file.name for file in folder.glob("split_zhou_*.json"))
    if len(found) > 1:
        raise DatasetError(f"{folder} holds {' and '.join(found)}; keep one split file.")
    if not found:
        return None
    images = coop.find_images(folder, found[0])
    listed = coop.read(folder, images, found[0], name=own, follow_links=walk.follow_links)
    if len(listed.classnames) == 1:
        raise DatasetError(
            f"{folder / found[0]} lists one class, {listed.classnames[0]!r}; list others to "
            "tell it from."
        )
    return _there(listed, some)
