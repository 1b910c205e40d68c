"""What is wrong with a data set on disk, told before hours are spent on encoding it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path

from featcache.datasets.checkup import Checkup
from featcache.datasets.checkup_folders import of_wnids
from featcache.datasets.checkup_lists import of_lists
from featcache.datasets.dataset import Dataset, Stored
from featcache.datasets.kind import AUTO, DOMAINS, check_layout
from featcache.datasets.layouts import aircraft, coop, cub
from featcache.datasets.registry import Reading, load, load_all, root_of
from featcache.datasets.searching import files_below
from featcache.datasets.table import DatasetInfo, bare, family, named, names
from featcache.draws import drawable
from featcache.errors import DatasetError
from featcache.pictures.formats import suffixes

LISTS = {"coop": coop.listed, "aircraft": aircraft.listed, "cub": cub.listed}
WHOLE = ("cifar", "domain")  # which are read to be counted


def inspect(
    name_or_path: str,
    root: Path | None = None,
    *,
    recursive: bool = False,
    follow_links: bool = False,
    open_all: bool = False,
    layout: str = AUTO,
) -> Checkup:
    """Look at a named data set below `root`, or at what one has; nothing is decoded.

    Of domains, counts are by domain and split. The heads of 200 pictures are read, or with
    `open_all` of all. Raises DatasetError where there is no such folder, UnknownNameError for a
    name that is none.
    """
    check_layout(layout)
    if family(name_or_path) or layout == DOMAINS:
        return _of_domains(name_or_path, root, recursive, follow_links, open_all)
    info = named(name_or_path)
    if info is None and layout == AUTO and (own := _published(Path(name_or_path).expanduser())):
        info, root = own, Path(name_or_path).expanduser()
    if info is None:
        result, pictures = _of_own(name_or_path, recursive, follow_links, layout)
    elif info.folder is None:
        return _made(info)
    else:
        result, pictures = _of_table(info, root)
    result.look_into(pictures, open_all)
    if info is not None and info.reader not in WHOLE and result.sound:
        try:
            dataset = load(name_or_path, root, follow_links=follow_links)
            for note in dataset.notes:
                result.add(note, "", wrong=False)
        except DatasetError as error:
            result.add(str(error), "")
    return result


def _published(folder: Path) -> DatasetInfo | None:
    """The row of the table whose file lies in this folder, and by which it would be read."""
    for info in names():
        ours = info.marker.startswith("split_") or _is_called(info, folder.resolve().name)
        if info.folder and ours and info.marker_in(folder):
            return info
    return None


def _made(info: DatasetInfo) -> Checkup:
    result = Checkup(info.name, "", dict(info.sizes), dict(info.sizes), dict(info.sizes))
    result.classes, result.published_classes = info.classes, info.classes
    result.add("it is made, and needs no files", "", wrong=False)
    return result


def _of_domains(
    name_or_path: str, root: Path | None, recursive: bool, follow_links: bool, open_all: bool
) -> Checkup:
    """Domains of one's own, or of a published set, whose pictures are counted domain by domain."""
    infos = family(name_or_path)
    top = Path(name_or_path).expanduser() if not infos else root_of(infos[0], root)
    result = Checkup(infos[0].family if infos else top.resolve().name, str(top))
    how = Reading(root, recursive, follow_links, layout=AUTO if infos else DOMAINS)
    try:
        found = load_all(name_or_path, how)
    except DatasetError as error:
        if not top.is_dir():
            raise
        result.add(str(error), "")
        return result
    pictures = []
    for dataset, info in zip_longest(found, infos):
        pictures += _fill(result, dataset, f"{dataset.name} ")
        if info:
            _tell_pictures(result, info, dataset)
    result.look_into(pictures, open_all)
    return result


def _tell_pictures(result: Checkup, info: DatasetInfo, dataset: Dataset) -> None:
    held = sum(map(len, dataset.splits.values()))
    for there, wanted, what in (
        (held, info.pictures, "pictures"),
        (len(dataset.classnames), info.classes, "classes"),
    ):
        if wanted is not None and there != wanted:
            result.add(
                f"{info.name}: {there:,} {what} are there, the published set has {wanted:,}",
                "see what is missing, or unpack it again",
            )


def _of_own(
    path: str, recursive: bool, follow_links: bool, layout: str
) -> tuple[Checkup, list[Path | Stored]]:
    """What one has: a list against its files, or what the reader of its kind says."""
    folder = Path(path).expanduser()
    result = Checkup(folder.resolve().name, str(folder))
    lists = sorted(folder.glob("split_zhou_*.json")) if folder.is_dir() else []
    if len(lists) == 1 and layout == AUTO:
        try:
            listed = coop.listed(folder, lists[0].name)
            images = coop.find_images(folder, lists[0].name)
        except DatasetError as error:
            result.add(str(error), "")
            return result, []
        return result, [*of_lists(result, folder, images, *listed)]
    try:
        dataset = load(path, recursive=recursive, follow_links=follow_links, layout=layout)
    except DatasetError as error:
        if not folder.exists():
            raise
        result.add(str(error), "")
        return result, [
            path for path in files_below(folder).values() if path.name.lower().endswith(suffixes())
        ]
    return result, _fill(result, dataset)


def _fill(result: Checkup, dataset: Dataset, prefix: str = "") -> list[Path | Stored]:
    """Fill in what there is of a data set that was read; its pictures."""
    for note in dataset.notes:
        result.add(note, "", wrong=False)
    result.classes = max(result.classes, len(dataset.classnames))
    result.there |= {f"{prefix}{split}": len(items) for split, items in dataset.splits.items()}
    labels = [item.label for item in dataset.splits.get("train", ())]
    held = Counter(labels)
    result.viewed += len(drawable(labels))
    small = [name for label, name in enumerate(dataset.classnames) if held[label] == 1]
    if small:
        told = f"{prefix}{len(small)} classes have one training picture"
        result.add(told, "add some, if there are more", small, wrong=False)
    every = (item.source for items in dataset.splits.values() for item in items)
    return [source for source in every if isinstance(source, Path | Stored)]


def _of_table(info: DatasetInfo, root: Path | None) -> tuple[Checkup, list[Path | Stored]]:
    top = root_of(info, root)
    if not top.is_dir():
        raise DatasetError(f"there is no folder {top}; give the one that holds {info.folder}/.")
    inner = top / (info.folder or "")
    folder = next((f for f in (inner, top) if info.marker_in(f)), inner)
    result = Checkup(info.name, str(folder), published=dict(info.sizes))
    result.published_classes = info.classes
    if not info.marker_in(folder):
        _tell_marker(result, info, top, inner)
        return result, []
    try:
        if info.reader in LISTS:
            listed = LISTS[info.reader](folder, info.marker)
            pictures: list[Path | Stored] = [*of_lists(result, folder, info.images, *listed)]
            _tell_published(result, result.listed, len(listed[0]))
        elif info.reader in WHOLE:
            dataset = load(info.name, folder)
            pictures = _fill(result, dataset)
            if info.pictures is not None:
                _tell_pictures(result, info, dataset)
            else:
                _tell_published(result, result.there, result.classes)
        else:
            pictures = [*of_wnids(result, folder, info)]
            _tell_published(result, result.there, result.classes)
    except DatasetError as error:  # a list that is malformed
        result.add(str(error), "")
        return result, []
    return result, pictures


def _tell_marker(result: Checkup, info: DatasetInfo, top: Path, inner: Path) -> None:
    """The file that says what is what is not there: which folder, or which file is it instead."""
    if not inner.is_dir():
        alike = [p.name for p in sorted(top.iterdir()) if p.is_dir() and _is_called(info, p.name)]
        way = (
            f"rename {alike[0]}/ to {info.folder}/"
            if alike
            else "give another --root, or put it there"
        )
        result.add(f"{top} holds no folder {info.folder}/", way, alike)
        return
    markers = info.marker.split("|")
    held = [path for path in files_below(inner) if path.rpartition("/")[2] in markers]
    way = (
        f"it lies in {held[0]}; move all that is beside it to {inner}"
        if held
        else "fetch it as CoOp's DATASETS.md describes"
    )
    result.add(f"{inner} holds no {' or '.join(markers)}", way, held)


def _is_called(info: DatasetInfo, name: str) -> bool:
    return bare(name) in info.spellings


def _tell_published(result: Checkup, held: Mapping[str, int], classes: int) -> None:
    """Counts that are not those of the published set."""
    for split in {**result.published, **held}:
        found, wanted = held.get(split, 0), result.published.get(split, 0)
        if found != wanted:
            what = "listed" if result.listed else "there"
            result.add(
                f"{found:,} {split} pictures are {what}, the published set has {wanted:,}",
                "see what is missing, or fetch the lists again",
            )
    if classes != result.published_classes:
        result.add(
            f"{classes} classes are {'listed' if result.listed else 'there'}, the published set "
            f"has {result.published_classes}",
            "fetch the others, or encode those that are with --classes present",
        )
