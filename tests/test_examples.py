"""The examples run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.entries import make_entry

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(tmp_path: Path, name: str, *arguments: str) -> str:
    environment = {**os.environ, "FEATCACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_compare_methods(tmp_path: Path) -> None:
    make_entry(tmp_path)
    out = run(tmp_path, "compare_methods.py")
    assert "| tip-adapter-f |" in out
    assert (tmp_path / "runs" / "results.sqlite").exists()


def test_own_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("red", "blue"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for i in range(6):
            pixels = rng.integers(0, 200, (64, 64, 3), dtype=np.uint8)
            pixels[:, :, 0 if name == "red" else 2] = 255
            Image.fromarray(pixels).save(tmp_path / "mine" / name / f"{i}.png")
    out = run(tmp_path, "own_pictures.py", "mine", "mine/red/0.png")
    assert "12 pictures encoded" in out
    assert "mine/red/0.png: red" in out


@pytest.mark.slow
def test_demo_twice(tmp_path: Path) -> None:
    first = run(tmp_path, "demo.py")
    assert "Encoded 1797 pictures" in first
    assert (tmp_path / "demo-results" / "accuracy-over-shots.png").exists()
    assert "Nothing to encode" in run(tmp_path, "demo.py")
