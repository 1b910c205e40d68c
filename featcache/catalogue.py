"""Names found by files: a folder with one module a thing, and nothing to enter elsewhere."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType


@cache
def modules(folder: Path) -> dict[str, Path]:
    """The file of each thing: `tip_adapter.py` is `tip-adapter`, `plusplus` is `++`, `_x` none."""
    stems = [module.name for module in pkgutil.iter_modules([str(folder)])]
    return {
        stem.replace("plusplus", "++").replace("_", "-"): folder / f"{stem}.py"
        for stem in stems
        if not stem.startswith("_")
    }


def load(package: str, name: str) -> ModuleType:
    """The module of that name in a package, imported now."""
    return import_module(f"{package}.{name.replace('-', '_').replace('++', 'plusplus')}")
