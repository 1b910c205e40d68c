"""Rows of results files as text and as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas
import pytest

from adapters.report.listing import text, write
from adapters.results import COLUMNS, Results
from featcache.errors import UnknownNameError

ROW: dict[str, Any] = {
    **dict.fromkeys(COLUMNS),
    "run": "0123",
    "method": "fma",
    "shots": 4,
    "seed": 1,
    "accuracy": 91.25,
    "settings": {"blocks": 2},
    "status": "done",
}


def frame_of(tmp_path: Path) -> pandas.DataFrame:
    results = Results(tmp_path / "results.sqlite")
    rows = [
        {**ROW, "run": f"{m}{k}", "method": m, "shots": k} for m in ("fma", "gda") for k in (1, 2)
    ]
    results.add_all(rows)
    return results.frame()


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
def test_a_written_frame_reads_back(tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    frame = frame_of(tmp_path)
    path = write(frame, tmp_path / "out" / f"rows{suffix}")
    loaders = {".csv": pandas.read_csv, ".parquet": pandas.read_parquet, ".json": pandas.read_json}
    back = loaders[suffix](path)
    columns = ["run", "method", "shots", "accuracy", "settings"]
    assert back[columns].values.tolist() == frame[columns].values.tolist()


def test_tables_for_documents(tmp_path: Path) -> None:
    frame = frame_of(tmp_path)
    lines = text(frame, "markdown").splitlines()
    assert lines[0] == "| method | shots | seed | accuracy |"
    assert lines[2] == "| fma | 1 | 1 | 91.25 |"
    assert len(lines) == 6
    assert r"fma & 1 & 1 & 91.25 \\" in text(frame, "latex")
    assert len(json.loads(text(frame, "json"))) == 4
    with pytest.raises(UnknownNameError, match="parquet"):
        write(frame, tmp_path / "rows.xls")
