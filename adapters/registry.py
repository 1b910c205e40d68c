"""Which methods there are, found by their files and without importing torch."""

from __future__ import annotations

import ast
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from adapters import unavailable
from featcache.errors import MethodError, UnknownNameError

if TYPE_CHECKING:
    from adapters.method import Method

FOLDER = Path(__file__).parent / "methods"


def names() -> list[str]:
    """The registered methods: the files of `adapters/methods`, with `-` for `_`."""
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules([str(FOLDER)]))


def summary(name: str) -> str:
    """The first line of a method's file, which says what it is.

    Raises `UnknownNameError` with the nearest names, `MethodError` for one in `unavailable`.
    """
    tree = ast.parse(_file(name).read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").partition("\n")[0]


def get(name: str) -> Method:
    """The method of that name.

    Raises `UnknownNameError` with the nearest names, `MethodError` for one in `unavailable`.
    """
    from adapters.method import Method

    module = _file(name).stem
    found = getattr(import_module(f"adapters.methods.{module}"), "method", None)
    if not isinstance(found, Method):
        raise MethodError(f"adapters/methods/{module}.py defines no `method`.")
    return found


def _file(name: str) -> Path:
    if name in unavailable.METHODS:
        raise MethodError(unavailable.refusal(name))
    if name not in names():
        raise UnknownNameError("method", name, names())
    return FOLDER / f"{name.replace('-', '_')}.py"
