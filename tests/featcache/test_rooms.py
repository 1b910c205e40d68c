"""The rooms of the package: public names in one place, no import that is not meant."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import featcache

PACKAGE = Path(featcache.__file__).parent
LIGHT = ["catalogue", "draws", "errors", "resources", "store.cache", "store.entry", "terminal"]


def test_public_names_are_where_they_are_said_to_be() -> None:
    assert sorted(featcache.__all__) == featcache.__all__
    for name in featcache.__all__:
        assert getattr(featcache, name).__module__.startswith("featcache.")
    with pytest.raises(AttributeError, match="no attribute 'encode'"):
        _ = featcache.encode  # type: ignore[attr-defined]


def test_no_module_has_the_name_of_something_public() -> None:
    """Importing it would put the module where the function was."""
    beside = {path.stem for path in PACKAGE.iterdir()}
    assert not beside & set(featcache.__all__)


def test_packages_below_the_top_import_nothing() -> None:
    """A package that imports its modules would be imported by them in turn."""
    for path in PACKAGE.rglob("*/__init__.py"):
        body = ast.parse(path.read_text()).body
        assert len(body) == 1, path
        assert isinstance(body[0], ast.Expr)


@pytest.mark.parametrize("name", LIGHT)
def test_what_adapters_import_is_light(name: str) -> None:
    code = (
        f"import sys, featcache.{name}\n"
        "heavy = {'torch', 'open_clip', 'numpy', 'h5py', 'PIL'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)


def test_worlds_and_layouts_know_no_registry() -> None:
    for room in ("layouts", "worlds"):
        for path in (PACKAGE / "datasets" / room).rglob("*.py"):
            assert "datasets.registry" not in path.read_text(), path


@pytest.mark.parametrize("room", ["layouts", "worlds"])
def test_every_reader_and_world_has_its_function(room: str) -> None:
    from featcache.catalogue import modules

    function = {"layouts": "read", "worlds": "make"}[room]
    for path in modules(PACKAGE / "datasets" / room).values():
        module = import_module(f"featcache.datasets.{room}.{path.stem}")
        assert callable(getattr(module, function))
