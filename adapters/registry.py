"""Which methods there are, found by their files and without importing torch."""

from __future__ import annotations

import ast
import pkgutil
import re
from hashlib import sha256
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
    """The method of that name, or of an expression such as `fma@taskres` or `sum:gda+fma`.

    Raises `UnknownNameError` with the nearest names, `MethodError` for parts that do not fit.
    """
    from adapters.method import Method

    if parts(name) != [name]:
        from adapters.compose import build

        return build(name)

    module = file(name).stem
    found = getattr(import_module(f"adapters.methods.{module}"), "method", None)
    if not isinstance(found, Method):
        raise MethodError(f"adapters/methods/{module}.py defines no `method`.")
    return found


def parts(name: str) -> list[str]:
    """The parts of an expression in the order in which it names them; a plain name is its own.

    `sum:a+b` has a and b, `top@base` has top and base.
    """
    if name.startswith("sum:"):
        # A doubled plus belongs to a name (`lp++`).
        return re.findall(r"(?:[\w@-]|\+\+)+", name.removeprefix("sum:"))
    return name.split("@", 1)


def leaves(name: str) -> list[str]:
    """The plain methods that an expression is made of."""
    own = parts(name)
    return own if own == [name] else [leaf for part in own for leaf in leaves(part)]


def with_base(name: str, method: str, base: str) -> str:
    """The expression with `method` in it fitted on top of `base`."""
    if name.startswith("sum:"):
        return "sum:" + "+".join(with_base(part, method, base) for part in parts(name))
    top = name.partition("@")[0]
    return f"{name}@{base}" if top == method else name


def code_version(name: str) -> str:
    """Hash of the source files of a method, so that a changed method is a new run."""
    digest = sha256()
    for leaf in leaves(name):
        digest.update(file(leaf).read_bytes())
    return digest.hexdigest()[:8]


def file(name: str) -> Path:
    """The file of the plain method of that name.

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
