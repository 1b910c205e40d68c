"""Rows of results files as text and as files: briefly for people, whole for programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.report.labels import labelled
from adapters.report.tables import markdown
from featcache.errors import ConfigError, UnknownNameError
from featcache.files import beside, replace

if TYPE_CHECKING:
    import pandas

ALWAYS = ("method", "shots", "seed")
ASKED = (
    "dataset", "backbone", "task", "target", "policy", *ALWAYS, "settings", "bank", "views",
    "status",
)  # fmt: skip
FOUND = ("accuracy", "strict_accuracy", "harmonic_mean", "target_mean", "reason")
FORMATS = ("table", "csv", "json", "latex", "markdown")
SUFFIXES = {".csv": "csv", ".json": "json", ".tex": "latex", ".md": "markdown"}


def brief(frame: pandas.DataFrame) -> pandas.DataFrame:
    """What people want to see of the rows: what was run and how well, less what is always the same.

    Data sets of one name are told apart. CSV, JSON and Parquet hold every column instead.
    """
    frame = labelled(frame)
    told = [name for name in ASKED if frame[name].nunique(dropna=False) > 1 or name in ALWAYS]
    if (frame["target"] == frame["dataset"]).all() and "target" in told:
        told.remove("target")
    return frame[[*told, *(name for name in FOUND if frame[name].notna().any())]]


def text(frame: pandas.DataFrame, form: str) -> str:
    """The frame as text: `csv`, `json` (a list of records), or in brief `latex` or `markdown`.

    Raises `UnknownNameError` for another form.
    """
    if form == "csv":
        return frame.to_csv(index=False)
    if form == "json":
        return str(frame.to_json(orient="records", indent=1)) + "\n"
    frame = brief(frame)
    if form == "latex":
        return str(frame.to_latex(index=False, escape=True, float_format="%.2f", na_rep=""))
    if form != "markdown":
        raise UnknownNameError("format", form, FORMATS)
    rows = [[cell(value) for value in row] for row in frame.itertuples(index=False)]
    return markdown([str(name) for name in frame.columns], rows) + "\n"


def cell(value: Any) -> str:
    """A value as it stands in a table for people."""
    if value is None or value != value:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def write(frame: pandas.DataFrame, path: Path) -> Path:
    """Write the frame; the suffix says how: .csv, .parquet, .json, .tex or .md.

    Raises `UnknownNameError` for another suffix, `CacheError` where the disk refuses.
    """
    if path.suffix == ".parquet":
        try:
            with beside(path) as draft:
                frame.to_parquet(draft, index=False)
        except ImportError:
            raise ConfigError(
                "Parquet files need pyarrow; `pip install pyarrow`, or write .csv."
            ) from None
        return path
    if path.suffix not in SUFFIXES:
        raise UnknownNameError("kind of file", path.suffix, [*SUFFIXES, ".parquet"])
    replace(path, text(frame, SUFFIXES[path.suffix]))
    return path
