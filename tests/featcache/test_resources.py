"""Files that ship with the project are found, installed or not."""

from __future__ import annotations

import json
from importlib import resources as library
from pathlib import Path
from typing import Any

import pytest

from featcache import resources
from featcache.resources import data_path

TABLES = ["published.json", "published-demo.json", "reproduce.json"]
SHIPPED = ["datasets.json", "templates.json", *TABLES, "demo"]


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_is_there(name: str) -> None:
    path = data_path(name)
    assert isinstance(path, Path)
    assert path.name == name
    assert path.exists()
    if path.suffix == ".json":
        assert json.loads(path.read_text(encoding="utf-8"))


def test_a_checkout_that_is_not_installed_has_them_beside_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone(package: str) -> Any:
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(resources, "files", gone)
    for name in SHIPPED:
        assert data_path(name) == Path(resources.__file__).parents[1] / "data" / name
        assert data_path(name).exists()


def test_an_installed_one_has_them_in_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(resources, "files", lambda name: asked.append(name) or tmp_path)
    assert data_path("x/y.json") == tmp_path / "x" / "y.json"
    assert asked == ["featcache.data"]
    assert resources.files is not library.files
