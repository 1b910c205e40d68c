"""Data sets by name or folder: which reader or world gives them, and where their files lie."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from featcache.catalogue import load as load_module
from featcache.datasets.checks import exists, no_name, slug
from featcache.datasets.dataset import Dataset
from featcache.datasets.layouts import coop, folders
from featcache.datasets.layouts._class_folders import Walk
from featcache.datasets.notes import noted
from featcache.datasets.presence import ALL, CLASSES, PRESENT, partial, present
from featcache.datasets.table import DatasetInfo, bare, named, names
from featcache.errors import DatasetError, UnknownNameError

LINKING = ("coop", "bongard-hoi")  # readers of lists, which may name pictures behind links
OWN_MARKERS = ("split_", "bongard_hoi_")  # files that no other set has
LISTS = ("coop", "aircraft")  # readers of lists, which may name pictures that are not there


def load(
    name_or_path: str,
    root: Path | None = None,
    *,
    recursive: bool = False,
    follow_links: bool = False,
    name: str | None = None,
    classes: str = ALL,
) -> Dataset:
    """Load a named data set, or one's own folder: split file of CoOp's layout, or class folders.

    `root` is the folder above the set's own or that folder itself; without it, FEATCACHE_DATA
    says. In class folders of one's own, `recursive` takes pictures in the folders inside them;
    there and in the layouts of CoOp and Bongard-HOI, `follow_links` takes those that links out of
    the folder lead to.
    `name` is what a folder's data set is called, in place of the folder's own name. `classes` is
    `present` for the classes alone whose pictures are there, numbered anew in their order.
    What people should know of what was read stands in the `notes`. Raises UnknownNameError for a
    name that is none, DatasetError for data that is not as it should be.
    """
    if classes not in CLASSES:
        raise DatasetError(f"classes are {' or '.join(CLASSES)}, not {classes!r}; give one.")
    info = named(name_or_path)
    some = classes == PRESENT
    if info is None:
        own = noted(_load_folder(name_or_path, recursive, follow_links, some), pictures=True)
        return _called(own, name)
    if name is not None:
        raise DatasetError(f"{info.name} has its name already; leave out --name {name}.")
    _refuse_walking(info, recursive, follow_links)
    if info.folder is None:
        world = load_module("featcache.datasets.worlds", info.reader)
        made: Dataset = world.make(info)
        return made
    return noted(_read(info, _locate(info, root_of(info, root)), follow_links, some))


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
    own: dict[str, Any] = {"name": info.name, "templates": info.templates}
    if follow_links:
        own["follow_links"] = True
    if some and info.reader == "imagenet":  # which refuses classes without training pictures
        own["some"] = True
    read: Dataset = layout.read(folder, info.images, info.marker, **own)
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
        if exists(folder / info.marker):
            return folder
    if not root.is_dir():
        raise DatasetError(f"there is no folder {root}; give the one that holds {info.folder}/.")
    raise DatasetError(
        f"{info.name} needs {info.marker}, which is neither in {inner} nor in {root}; put the data "
        "there as CoOp's DATASETS.md or docs/encoding.md describes, or give another root."
    )


def _load_folder(path: str, recursive: bool, follow_links: bool, some: bool) -> Dataset:
    folder = Path(path).expanduser()
    if not path or not folder.is_dir():
        if re.search(r"[/\\]|^[.~]", path):
            raise DatasetError(f"there is no folder {folder}; check the path.")
        known = [info.name for info in names()]
        raise UnknownNameError("data set", path, known, "Or give the path of a folder.")
    own = slug(folder.resolve().name)
    for info in names():
        # A published set keeps its name and templates, whichever way it is found.
        ours = info.marker.startswith(OWN_MARKERS) or bare(own) in info.spellings
        if info.folder and ours and exists(folder / info.marker):
            _refuse_walking(info, recursive, follow_links)
            return _read(info, folder, follow_links, some)
    found = sorted(file.name for file in folder.glob("split_zhou_*.json"))
    if len(found) > 1:
        raise DatasetError(f"{folder} holds {' and '.join(found)}; keep one split file.")
    if found:
        images = coop.find_images(folder, found[0])
        listed = coop.read(folder, images, found[0], name=own, follow_links=follow_links)
        if len(listed.classnames) == 1:
            raise DatasetError(
                f"{folder / found[0]} lists one class, {listed.classnames[0]!r}; list others to "
                "tell it from."
            )
        return _there(listed, some)
    return folders.read(folder, name=own, walk=Walk(recursive, follow_links))
