"""Whose feature files these are: every project is asked whether it knows them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Protocol, cast

from featcache.catalogue import load, modules
from featcache.errors import ImportRefusedError, UnknownNameError
from featcache.interchange import projects
from featcache.interchange.given import Given
from featcache.interchange.taken import Taken

PLAIN = "plain"  # arrays by name: what is left where no project knows the files


class Project(Protocol):
    """What a module of `featcache.interchange.projects` holds."""

    def claims(self, given: Given) -> bool:
        """Whether the files are this project's, by their names and what few of them hold."""

    def read(self, given: Given) -> Taken:
        """All that can be taken. Raises `ImportRefusedError` where the files contradict it."""


@cache
def names() -> tuple[str, ...]:
    """The projects whose files are known, as `--format` takes them."""
    return tuple(modules(Path(projects.__path__[0])))


def project(name: str) -> Project:
    """The project of that name. Raises `UnknownNameError` where there is none."""
    if name not in names():
        raise UnknownNameError("format", name, names())
    return cast(Project, load(projects.__name__, name))


def recognise(given: Given) -> str:
    """The one project that knows the files, or `plain`.

    Raises `ImportRefusedError` where several do.
    """
    found = [name for name in names() if name != PLAIN and project(name).claims(given)]
    if len(found) > 1:
        raise ImportRefusedError(
            f"these files could be of {' or '.join(found)}; say which with --format."
        )
    return found[0] if found else PLAIN
