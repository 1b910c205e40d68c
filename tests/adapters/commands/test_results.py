"""`adapters results`: the rows of results files, shown or written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapters.results import Results
from tests.adapters.rows import row
from tests.typed import Type


@pytest.fixture
def kept(type_in: Type, tmp_path: Path) -> Type:
    """Three rows in the file that is meant, one in another."""
    rows = [row(method=m, accuracy=a) for m, a in (("gda", 80.0), ("ncm", 70.5))]
    Results(tmp_path / "runs" / "results.sqlite").add_all(
        [*rows, row(method="fma", status="failed", reason="no more", accuracy=None)]
    )
    Results(tmp_path / "other.sqlite").add(row(method="fma", accuracy=91.25))
    return type_in


def test_rows_as_a_table_and_as_documents(kept: Type) -> None:
    said = kept("adapters results").out
    assert "gda" in said
    assert "70.5" in said
    found = kept("adapters results --json").json
    assert [each["method"] for each in found] == ["gda", "ncm", "fma"]
    assert [each["accuracy"] for each in found] == [80.0, 70.5, None]
    assert kept("adapters results --format json").json == found
    assert kept("adapters results --format csv").out.count("\n") == 1 + 3
    assert kept("adapters results --format latex").out.startswith("\\begin")


def test_where_there_is_no_row_it_is_said(kept: Type, tmp_path: Path) -> None:
    assert kept("adapters results --where method=gda,none --where seed=9").out == "no row fits\n"
    assert kept("adapters results --where seed=9 --json").json == []
    (tmp_path / "empty.sqlite").touch()
    assert kept("adapters results --results empty.sqlite").out == "no row yet\n"


def test_conditions_and_several_files(kept: Type) -> None:
    line = "adapters results --json"
    assert [r["method"] for r in kept(line, "--where", "method=ncm,fma").json] == ["ncm", "fma"]
    both = ("--results", "runs/results.sqlite", "--results", "other.sqlite")
    found = kept(line, *both, "--where", "method=fma").json
    assert [(r["status"], r["accuracy"]) for r in found] == [("done", 91.25)]
    assert kept(line, "--where", "method=ncm", "--where", "status=failed").json == []


def test_rows_written_to_a_file(kept: Type, tmp_path: Path) -> None:
    answer = kept("adapters results --out rows.json --json --where method=gda")
    assert answer.json == {"rows": 1, "file": "rows.json"}
    assert json.loads((tmp_path / "rows.json").read_text())[0]["accuracy"] == 80.0
    assert kept("adapters results --out rows.csv").out == "Wrote 3 rows to rows.csv.\n"
    assert kept("adapters results --out rows.doc").status == 1
