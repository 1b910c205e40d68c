"""Names that are found by their files, so that a new one needs a file and no list to stand in."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType


def modules(folder: Path) -> dict[str, Path]:
    """The modules of a folder by the names people give them, in the order of the names.

    `tip_adapter.py` is `tip-adapter`, `lpplusplus.py` is `lp++`. Files that begin with `_` are
    private and are left out.
    """
    files = {_name(path.stem): path for path in folder.glob("*.py") if path.stem[0] != "_"}
    return dict(sorted(files.items()))


def load(package: str, name: str) -> ModuleType:
    """Import the module of that name from a package, such as `load("adapters.tasks", "few-shot")`.

    Raises `ModuleNotFoundError` where `modules` does not have it.
    """
    return import_module(f"{package}.{name.replace('-', '_').replace('++', 'plusplus')}")


def _name(stem: str) -> str:
    return stem.replace("plusplus", "++").replace("_", "-")
