"""Which methods there are, found by their files and without importing torch."""

from __future__ import annotations

import ast
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from featcache.errors import MethodError, UnknownNameError

if TYPE_CHECKING:
    from adapters.method import Method

FOLDER = Path(__file__).parent / "methods"


def names() -> list[str]:
    """The registered methods: the files of `adapters/methods`, by the names they are asked for."""
    return sorted(_files())


def summary(name: str) -> str:
    """The first line of a method's file, which says what it is.

    Raises `UnknownNameError` with the nearest names.
    """
    tree = ast.parse(file(name).read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").partition("\n")[0]


def get(name: str) -> Method:
    """The method of that name.

    Raises `UnknownNameError` with the nearest names.
    """
    from adapters.method import Method

    module = file(name).stem
    found = getattr(import_module(f"adapters.methods.{module}"), "method", None)
    if not isinstance(found, Method):
        raise MethodError(f"adapters/methods/{module}.py defines no `method`.")
    return found


def file(name: str) -> Path:
    """The file of the method of that name.

    Raises `UnknownNameError` with the nearest names.
    """
    files = _files()
    if name not in files:
        raise UnknownNameError("method", name, sorted(files))
    return files[name]


def _files() -> dict[str, Path]:
    """Each method's file; its name has `-` for `_` and `++` for `plusplus`."""
    stems = [module.name for module in pkgutil.iter_modules([str(FOLDER)])]
    return {s.replace("plusplus", "++").replace("_", "-"): FOLDER / f"{s}.py" for s in stems}
