"""Which kind of thing a path is that somebody has, and the reader of that kind."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from featcache.catalogue import load
from featcache.datasets.dataset import Dataset
from featcache.datasets.layouts._class_folders import Walk
from featcache.errors import UnknownNameError

AUTO, FOLDERS, DOMAINS = "auto", "folders", "domains"
KINDS = (
    "hf",
    "webdataset",
    "table",
    "torchvision",
    "flat",
)  # each a file in `kinds`, in the order of asking
LAYOUTS = (AUTO, FOLDERS, DOMAINS, *KINDS)


def kind_of(path: Path) -> str:
    """The kind that a path is, or empty where it is a folder as any other, or none."""
    return next((kind for kind in KINDS if _module(kind).found(path)), "")


def read(kind: str, path: Path, *, name: str, walk: Walk) -> Dataset:
    """Read a path as that kind. Raises DatasetError for what its reader refuses."""
    dataset: Dataset = _module(kind).read(path, name=name, walk=walk)
    return dataset


def check_layout(layout: str) -> None:
    """Raise UnknownNameError where a layout is none of `LAYOUTS`."""
    if layout not in LAYOUTS:
        raise UnknownNameError("layout", layout, LAYOUTS)


def _module(kind: str) -> ModuleType:
    return load("featcache.datasets.kinds", kind)
