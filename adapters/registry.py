"""Which methods there are, found by their files and without importing torch."""

from __future__ import annotations

import ast
import pkgutil
import re
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from adapters import unavailable
from featcache.errors import MethodError, UnknownNameError

if TYPE_CHECKING:
    from adapters.method import Method

FOLDER = Path(__file__).parent / "methods"


def names() -> list[str]:
    """The registered methods: the files of `adapters/methods`, by the names they are asked for."""
    return sorted(_files())


def summary(name: str) -> str:
    """The first line of a method's file, which says what it is.

    Raises `UnknownNameError` with the nearest names, `MethodError` for one in `unavailable`.
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


@cache
def code_version(name: str) -> str:
    """Hash of the sources that a method's numbers come from, so that a changed one is a new run.

    It covers the method's file and every module of `adapters` that it imports, directly or not:
    its mathematics, the contract and the draws; for an expression those of all its parts and
    `compose`. It does not cover `evaluate`, nor other packages.
    """
    files = {file(leaf) for leaf in leaves(name)}
    if parts(name) != [name]:
        files.add(FOLDER.parent / "compose.py")
    while found := {path for each in files for path in _imports(each)} - files:
        files |= found
    digest = sha256()
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


@cache
def _imports(path: Path) -> frozenset[Path]:
    """The files of the modules of `adapters` that a source file imports."""
    home = FOLDER.parent
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".")
            modules = [module] + [[*module, alias.name] for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name.split(".") for alias in node.names]
        else:
            continue
        below = [inner for top, *inner in modules if top == "adapters"]
        found |= {home.joinpath(*inner).with_suffix(".py") for inner in below}
    return frozenset(each for each in found if each.is_file())


def file(name: str) -> Path:
    """The file of the method of that name.

    Raises `UnknownNameError` with the nearest names, `MethodError` for one in `unavailable`.
    """
    if name in unavailable.METHODS:
        raise MethodError(unavailable.refusal(name))
    files = _files()
    if name not in files:
        raise UnknownNameError("method", name, sorted(files))
    return files[name]


@cache
def _files() -> dict[str, Path]:
    """Each method's file; its name has `-` for `_` and `++` for `plusplus`."""
    stems = [module.name for module in pkgutil.iter_modules([str(FOLDER)])]
    return {s.replace("plusplus", "++").replace("_", "-"): FOLDER / f"{s}.py" for s in stems}
