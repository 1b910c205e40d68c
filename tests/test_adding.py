"""The page on adding things is run: its files in a copy of the project, its commands beside it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.newcomer]

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "adding-a-method.md").read_text(encoding="utf-8")
COPIED = ("adapters", "featcache", "data", "tests", "cli.py", "pyproject.toml")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the files of the page, and nothing entered anywhere else."""
    home = tmp_path_factory.mktemp("project")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, home / name, ignore=shutil.ignore_patterns("*.pyc.*"))
        else:
            shutil.copy(source, home / name)
    for path, code in re.findall(r"^```python (\S+)\n(.*?)^```", PAGE, re.M | re.S):
        assert not (home / path).exists(), path
        (home / path).write_text(code, encoding="utf-8")
    return home


@pytest.fixture(scope="module")
def run(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> object:
    folder = tmp_path_factory.mktemp("empty")
    environment = {
        **os.environ,
        "PYTHONPATH": str(copy),
        "FEATCACHE_HOME": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
    }

    def run(words: list[str], cwd: Path = folder) -> str:
        done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout

    door = [sys.executable, "-c", "import cli, sys; cli.featcache()"]
    run([*door, "encode", "--dataset", "digits", "--views", "0"])
    return run


def _typed(line: str, copy: Path) -> tuple[list[str], Path | None]:
    command, *words = shlex.split(line)
    if command == "python":
        return [sys.executable, *words, "-p", "no:cacheprovider", "-p", "no:xdist"], copy
    return [sys.executable, "-c", f"import cli; cli.{command}()", *words], None


SECTIONS = re.split(r"^## ", PAGE, flags=re.M)[1:]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda text: text.partition("\n")[0])
def test_what_the_page_adds_works(section: str, copy: Path, run: object) -> None:
    assert callable(run)
    ran = 0
    for language, block in re.findall(r"^```(console|python)\n(.*?)^```", section, re.M | re.S):
        if language == "python":
            run([sys.executable, "-c", block])
            ran += 1
            continue
        for line in block.splitlines():
            words, where = _typed(line.removeprefix("$ "), copy)
            said = run(words, where) if where else run(words)
            assert "no tests ran" not in said
            ran += 1
    assert ran


def test_a_new_method_is_listed_and_completed(run: object, copy: Path) -> None:
    assert callable(run)
    words, _ = _typed("adapters methods --json", copy)
    assert "nearest" in {each["name"] for each in json.loads(run(words))}
    words, _ = _typed("adapters methods --format markdown", copy)
    assert "| `nearest` | Cover and Hart 1967 |" in run(words)


def test_the_code_of_the_page_is_formatted(copy: Path) -> None:
    files = re.findall(r"^```python (\S+)\n", PAGE, re.M)
    for check in (["check", "--ignore", "B905"], ["format", "--check"]):
        subprocess.run([sys.executable, "-m", "ruff", *check, "-q", *files], check=True, cwd=copy)
