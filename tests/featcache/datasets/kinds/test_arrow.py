"""Cells of Arrow and Parquet: the bytes that were put there, read in any order."""

from __future__ import annotations

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from featcache.datasets.kinds import _arrow
from featcache.datasets.kinds._arrow import Cell, listed, open_table
from featcache.errors import DatasetError, PictureError
from tests.featcache.datasets.kinds.trees import arrow_file, arrow_table, png

PICTURES = [png(n) for n in range(10)]


def files(folder: Path) -> list[Path]:
    """The same table as a stream of Arrow, a file of Arrow and one of Parquet."""
    held = arrow_table(PICTURES, [0, 1] * 5)
    arrow_file(folder / "stream.arrow", held)
    with pa.ipc.new_file(str(folder / "file.arrow"), held.schema) as writer:
        writer.write_table(held, max_chunksize=4)
    parquet.write_table(held, folder / "table.parquet", row_group_size=3)
    return [folder / name for name in ("stream.arrow", "file.arrow", "table.parquet")]


def test_the_same_table_gives_the_same_rows_whatever_its_format(tmp_path: Path) -> None:
    for file in files(tmp_path):
        rows, names = listed(file, tmp_path, "test")
        assert names == ("cat", "dog")
        assert [row.label for row in rows] == ["0", "1"] * 5
        assert {row.split for row in rows} == {"test"}
        cells = [row.source for row in rows if isinstance(row.source, Cell)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(Cell.read, pickle.loads(pickle.dumps(cells[::-1]))))
        assert found == PICTURES[::-1]
        assert all(cell.file == file for cell in cells)


def test_a_table_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"image": [png(1)], "label": [0]}), path)
    cell = Cell(path, "image", 0, 0)
    assert cell.read() == png(1)
    (tmp_path / "u.parquet").write_bytes(b"")
    parquet.write_table(pa.table({"image": [png(2)], "label": [0]}), tmp_path / "u.parquet")
    (tmp_path / "u.parquet").replace(path)
    assert cell.read() == png(2)
    parquet.write_table(pa.table({"label": [0]}), path)
    with pytest.raises(PictureError, match=r"cannot be had from t\.parquet"):
        cell.read()
    path.unlink()
    with pytest.raises(OSError, match="No such file"):
        cell.read()


def test_pictures_that_lie_elsewhere_are_refused_at_once(tmp_path: Path) -> None:
    arrow_file(tmp_path / "a.arrow", arrow_table([None, png(1)], [0, 1]))
    with pytest.raises(DatasetError, match=r"row 0: the picture has no bytes.*give the folder"):
        listed(tmp_path / "a.arrow", tmp_path, "")


def test_columns_without_notes_have_no_names(tmp_path: Path) -> None:
    arrow_file(tmp_path / "a.arrow", arrow_table(PICTURES, [0, 1] * 5, names=False))
    assert listed(tmp_path / "a.arrow", tmp_path, "")[1] == ()
    odd = pa.table({"image": PICTURES, "label": [0, 1] * 5}).replace_schema_metadata(
        {"huggingface": '{"info": [1]}'}
    )
    arrow_file(tmp_path / "b.arrow", odd)
    assert open_table(tmp_path / "b.arrow").names == {}


def test_a_column_may_say_the_split(tmp_path: Path) -> None:
    held = {"image": PICTURES, "label": [0, 1] * 5, "split": ["train", None] * 5}
    arrow_file(tmp_path / "a.arrow", pa.table(held))
    assert [row.split for row in listed(tmp_path / "a.arrow", tmp_path, "")[0]] == ["train", ""] * 5


def test_cut_files_are_told(tmp_path: Path) -> None:
    for file in files(tmp_path):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 3])
        with pytest.raises(DatasetError, match=f"cannot read .*{file.name}"):
            listed(file, tmp_path, "")


def test_without_pyarrow_it_is_said_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.parquet").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DatasetError, match=r"pip install 'featcache\[hf\]'"):
        _arrow.open_table(tmp_path / "t.parquet")
