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


@pytest.mark.slow
def test_compare_methods(tmp_path: Path) -> None:
    make_entry(tmp_path)
    out = run(tmp_path, "compare_methods.py")
    assert "| tip-adapter-f |" in out
    assert (tmp_path / "runs" / "results.sqlite").exists()


def mine(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("red", "blue"):
        (folder / "mine" / name).mkdir(parents=True)
        for i in range(6):
            pixels = rng.integers(0, 200, (64, 64, 3), dtype=np.uint8)
            pixels[:, :, 0 if name == "red" else 2] = 255
            Image.fromarray(pixels).save(folder / "mine" / name / f"{i}.png")


def test_own_pictures(tmp_path: Path) -> None:
    mine(tmp_path)
    out = run(tmp_path, "own_pictures.py", "mine", "mine/red/0.png")
    assert "12 pictures encoded" in out
    assert "mine/red/0.png: red" in out


@pytest.mark.slow
def test_a_classifier_answers_without_this_package(tmp_path: Path) -> None:
    """Where neither this package nor torch can be imported."""
    import re

    mine(tmp_path)
    run(tmp_path, "export_classifier.py", "mine")
    hidden = tmp_path / "hidden"
    for name in ("featcache", "adapters", "torch"):  # whoever imports them fails
        (hidden / name).mkdir(parents=True)
        (hidden / name / "__init__.py").write_text("raise ImportError")
    script = tmp_path / "classify.py"
    script.write_text((EXAMPLES / "classify.py").read_text())
    pictures = [f"mine/{name}/{i}.png" for name in ("red", "blue") for i in range(6)]
    done = subprocess.run(
        [sys.executable, str(script), "classifier", *pictures],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(hidden)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = re.findall(r"(\S+): (\w+) ([\d.]+) %", done.stdout)
    assert [(name, answer) for name, answer, _ in found] == [
        (name, name.split("/")[1]) for name in pictures
    ]


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code cells in order, as a notebook runs them."""
    import json

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEATCACHE_HOME", str(tmp_path / "cache"))
    cells = json.loads((EXAMPLES / "first_steps.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 3
    names: dict[str, object] = {"__name__": "__main__"}
    for source in code:
        exec(compile(source, "cell", "exec"), names)


@pytest.mark.slow
def test_demo_twice(tmp_path: Path) -> None:
    first = run(tmp_path, "demo.py")
    assert "Encoded 1797 pictures" in first
    assert (tmp_path / "demo-results" / "accuracy-over-shots.png").exists()
    assert "Nothing to encode" in run(tmp_path, "demo.py")
