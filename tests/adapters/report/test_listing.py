"""Rows of results files as text and as files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas
import pytest

from adapters.report.listing import ALWAYS, FORMATS, SUFFIXES, brief, cell, text, write
from adapters.results import Results
from featcache.errors import ConfigError, UnknownNameError
from tests.adapters.rows import ROW, halves, row
from tests.adapters.rows import frame as made_frame


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


def test_in_brief_what_is_always_the_same_is_left_out() -> None:
    """Method, shots and seed always stand; of the rest what differs, and what was found."""
    assert list(brief(made_frame())) == ["dataset", "method", "shots", "seed", "accuracy"]
    one = pandas.DataFrame([row()])
    assert list(brief(one)) == [*ALWAYS, "accuracy"]
    failed = [row(), row(seed=2, accuracy=None) | {"status": "failed", "reason": "broke"}]
    assert list(brief(pandas.DataFrame(failed))) == [*ALWAYS, "status", "accuracy", "reason"]


def test_targets_are_shown_where_they_are_not_the_data_sets() -> None:
    found = brief(pandas.DataFrame(halves(90, 60, 72)))
    assert list(found) == ["target", *ALWAYS, "accuracy", "harmonic_mean"]
    assert found["target"].tolist() == ["base", "new"]
    made = made_frame()
    made["target"] = made["dataset"]
    assert "target" not in brief(made)


@pytest.mark.parametrize(
    ("value", "told"),
    [(None, ""), (math.nan, ""), (91.256, "91.26"), (3, "3"), ("a|b", "a|b"), (True, "True")],
)
def test_cells_for_people(value: object, told: str) -> None:
    assert cell(value) == told


def test_forms_and_suffixes_are_those_that_are_named(tmp_path: Path) -> None:
    frame = frame_of(tmp_path)
    assert set(SUFFIXES.values()) == set(FORMATS) - {"table"}
    for form in SUFFIXES.values():
        assert text(frame, form).endswith("\n")
    with pytest.raises(UnknownNameError) as error:
        text(frame, "yaml")
    assert str(error.value) == (
        "unknown format 'yaml'; known are: csv, json, latex, markdown, table."
    )
    with pytest.raises(UnknownNameError) as unknown:
        write(frame, tmp_path / "rows.xls")
    assert str(unknown.value) == (
        "unknown kind of file '.xls'; known are: .csv, .json, .md, .parquet, .tex."
    )
    assert not (tmp_path / "rows.xls").exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_holds_what_is_said_in_its_form(tmp_path: Path, suffix: str) -> None:
    frame = frame_of(tmp_path)
    path = write(frame, tmp_path / "deep" / f"rows{suffix}")
    assert path.read_text(encoding="utf-8") == text(frame, SUFFIXES[suffix])


def test_files_for_programs_hold_every_column(tmp_path: Path) -> None:
    frame = frame_of(tmp_path)
    assert text(frame, "csv").splitlines()[0].split(",") == list(frame.columns)
    assert list(json.loads(text(frame, "json"))[0]) == list(frame.columns)


def test_parquet_without_its_library_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("pyarrow")

    monkeypatch.setattr(pandas.DataFrame, "to_parquet", missing)
    with pytest.raises(ConfigError) as error:
        write(frame_of(tmp_path), tmp_path / "rows.parquet")
    assert str(error.value) == "Parquet files need pyarrow; `pip install pyarrow`, or write .csv."


def test_latex_escapes_and_leaves_gaps_empty() -> None:
    made = pandas.DataFrame([row(method="a_b"), row(method="c", accuracy=None)])
    lines = text(made, "latex").splitlines()
    assert r"a\_b & 4 & 1 & 80.00 \\" in lines
    assert r"c & 4 & 1 &  \\" in lines
