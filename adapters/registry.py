"""Which methods, tasks and policies there are, found without importing torch."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from adapters import unavailable
from featcache import catalogue
from featcache.errors import MethodError, UnknownNameError

if TYPE_CHECKING:
    from adapters.method import Method
    from adapters.task import Task

HERE = Path(__file__).parent
METHODS, TASKS = HERE / "methods", HERE / "tasks"
DESCRIBED = "method = Method("  # what a method's file ends with begins so
LEFT_OUT = ("loo", "hoso")  # policies that need no pictures but the support
POLICIES = ("none", *LEFT_OUT, "few-shot-val", "full-val", "transfer", "oracle-test")


def names() -> list[str]:
    """The methods: the files of `adapters/methods`, by the names they are asked for."""
    return sorted(catalogue.modules(METHODS))


def summary(name: str) -> str:
    """The first line of a method's file, which says what it is.

    Raises `UnknownNameError` with the nearest names, `MethodError` for one in `unavailable`.
    """
    with file(name).open(encoding="utf-8") as source:  # to parse all of them would take a while
        quotes, head = source.readline().strip().removeprefix("r").partition('"""')[1:]
    return head.removesuffix(quotes) if quotes else ""


def needs(name: str) -> list[str]:
    """What the cache must hold for a method beside embeddings and text, as its source spells it.

    Raises what `file` raises.
    """
    described = file(name).read_text(encoding="utf-8").rpartition(f"\n{DESCRIBED}")[2]
    spelt = re.search(r"\bneeds=frozenset\((\{.*?\})\)", described)
    return sorted(ast.literal_eval(spelt[1])) if spelt else []


def settings(name: str) -> list[str]:
    """The fields of a method's config, as its source and those that it builds on spell them.

    Raises what `file` raises.
    """
    return [*dict.fromkeys(_fields(file(name), "Config"))]  # one that is overridden stands once


def plain(name: str) -> Method:
    """The method of that name; `adapters.compose.get` knows expressions of names too.

    Raises `UnknownNameError` with the nearest names, `MethodError` for one in `unavailable`.
    """
    from adapters.method import Method

    path = file(name)
    found = getattr(catalogue.load("adapters.methods", name), "method", None)
    if not isinstance(found, Method):
        raise MethodError(f"adapters/methods/{path.name} defines no `method`.")
    return found


def file(name: str) -> Path:
    """The file of the method of that name.

    Raises `UnknownNameError` with the nearest names, `MethodError` for one in `unavailable`.
    """
    if name in unavailable.METHODS:
        raise MethodError(unavailable.refusal(name))
    if name not in catalogue.modules(METHODS):
        raise UnknownNameError("method", name, names())
    return catalogue.modules(METHODS)[name]


def task_names() -> list[str]:
    """The tasks: the files of `adapters/tasks`, the one that is meant where none is named first."""
    return sorted(catalogue.modules(TASKS), key=lambda name: (name != "few-shot", name))


def task_file(name: str) -> Path:
    """The file of the task of that name. Raises `UnknownNameError` with the nearest names."""
    if name not in catalogue.modules(TASKS):
        raise UnknownNameError("task", name, task_names())
    return catalogue.modules(TASKS)[name]


def task(name: str) -> Task:
    """The task of that name. Raises `UnknownNameError` with the nearest names."""
    from adapters.task import Task

    path = task_file(name)
    found = getattr(catalogue.load("adapters.tasks", name), "task", None)
    if not isinstance(found, Task):
        raise MethodError(f"adapters/tasks/{path.name} defines no `task`.")
    return found


def _fields(path: Path, config: str) -> Iterator[str]:
    """The annotated fields of a class, after those of the class of `methods` that it extends."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    shared = {
        alias.asname or alias.name: METHODS / f"{alias.name}.py"
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "adapters.methods"
        for alias in node.names
    }
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == config:
            for base in node.bases:
                yield from _inherited(base, shared)
            for line in node.body:
                if isinstance(line, ast.AnnAssign):
                    yield ast.unparse(line.target)


def _inherited(base: ast.expr, shared: dict[str, Path]) -> Iterator[str]:
    module, _, name = ast.unparse(base).partition(".")
    if module in shared:
        yield from _fields(shared[module], name)
