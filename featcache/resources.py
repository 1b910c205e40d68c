"""Where the files that ship with the project lie."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def data_path(name: str) -> Path:
    """Path of a shipped file, such as `data_path("templates.json")`."""
    try:
        folder = files("featcache.data")
    except ModuleNotFoundError:  # a checkout that is not installed: data/ lies beside the package
        return Path(__file__).parent.parent / "data" / name
    return Path(str(folder.joinpath(name)))
