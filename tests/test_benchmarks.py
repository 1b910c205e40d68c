"""The benchmarks start: nothing that they name has moved away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_benchmark_starts(script: Path) -> None:
    command = [sys.executable, str(script), "--help"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "--" in said
