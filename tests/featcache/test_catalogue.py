"""Names found by files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from featcache.catalogue import load, modules
from featcache.resources import data_path


def test_files_are_names(tmp_path: Path) -> None:
    files = ("tip_adapter.py", "lpplusplus.py", "a_plusplus.py", "fma.py", "_shared.py")
    for name in (*files, "__init__.py", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    assert modules(tmp_path) == {
        "a-++": tmp_path / "a_plusplus.py",
        "fma": tmp_path / "fma.py",
        "lp++": tmp_path / "lpplusplus.py",
        "tip-adapter": tmp_path / "tip_adapter.py",
    }
    assert list(modules(tmp_path)) == ["a-++", "fma", "lp++", "tip-adapter"]


def test_a_folder_that_is_not_there_has_none(tmp_path: Path) -> None:
    assert modules(tmp_path / "nowhere") == {}


def test_every_name_loads_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "somebodys"
    package.mkdir()
    for stem in ("tip_adapter", "lpplusplus"):
        (package / f"{stem}.py").write_text(f"name = {stem!r}\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name, path in modules(package).items():
        assert load("somebodys", name).name == path.stem
    with pytest.raises(ModuleNotFoundError):
        load("somebodys", "missing")


def test_every_reader_of_the_table_is_a_file() -> None:
    from featcache.datasets import layouts, worlds

    found = {**modules(Path(layouts.__path__[0])), **modules(Path(worlds.__path__[0]))}
    rows = json.loads(data_path("datasets.json").read_text())
    assert {row["reader"] for row in rows} == set(found) - {"folders"}
